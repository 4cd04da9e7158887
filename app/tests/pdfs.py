"""Small PDFs, good and bad, made for the tests."""

from __future__ import annotations

import io

from pypdf import PdfReader, PdfWriter


def pdf(*pages: str, information: dict[str, str] | None = None) -> bytes:
    """A PDF with the lines of each page, written by hand."""
    output = drawn(*(words(page) for page in pages))
    return _with_information(output, information) if information else output


def words(page: str, left: int = 50, top: int = 750) -> str:
    """What a page draws to show lines of text."""
    shown = " T* ".join(
        f"({line.replace(chr(92), '').replace('(', '').replace(')', '')}) Tj"
        for line in page.splitlines()
    )
    return f"BT /F1 11 Tf 14 TL {left} {top} Td {shown} ET\n"


def bars(left: int, bottom: int) -> str:
    """What a page draws to show a plot of 200 by 150 points."""
    heights = (150, 125, 100, 75, 50)
    each = [f"{left + 40 * at} {bottom} 40 {high} re f\n" for at, high in enumerate(heights)]
    return "0 0 1 rg\n" + "".join(each)


def drawn(*streams: str) -> bytes:
    """A PDF with a page for each stream of drawing operators."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for stream in streams:
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources"
            f" << /Font << /F1 3 0 R >> >> /Contents {len(objects)} 0 R >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    output = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(output))
        output += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    start = len(output)
    output += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    output += b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    output += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\n".encode()
    return output + f"startxref\n{start}\n%%EOF\n".encode()


def _with_information(content: bytes, information: dict[str, str]) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
    writer.add_metadata({f"/{name}": value for name, value in information.items()})
    return _bytes(writer)


def encrypted(content: bytes) -> bytes:
    """The same PDF, for those who have the password."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
    writer.encrypt("secret", algorithm="RC4-128")
    return _bytes(writer)


def _bytes(writer: PdfWriter) -> bytes:
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()
