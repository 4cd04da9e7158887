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


def stream(content: bytes, entries: str = "") -> bytes:
    """An object that is a stream."""
    head = f"<< /Length {len(content)} {entries} >>\nstream\n".encode()
    return head + content + b"\nendstream"


def built(*objects: bytes) -> bytes:
    """A PDF of these objects, the first of which is its catalog."""
    output = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(output))
        output += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    start = len(output)
    output += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    output += b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    output += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\n".encode()
    return output + f"startxref\n{start}\n%%EOF\n".encode()


CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def one_page(content: bytes, *others: bytes, resources: str = "") -> bytes:
    """A PDF with one page, whose content is object 5; others follow."""
    page = (
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R"
        f" /Resources << /Font << /F1 4 0 R >> {resources} >> >>"
    )
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    return built(CATALOG, pages, page.encode(), FONT, content, *others)


def drawn(*streams: str) -> bytes:
    """A PDF with a page for each stream of drawing operators."""
    objects = [CATALOG, b"", FONT]
    kids = []
    for drawing in streams:
        objects.append(stream(drawing.encode("latin-1")))
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources"
            f" << /Font << /F1 3 0 R >> >> /Contents {len(objects)} 0 R >>".encode()
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    return built(*objects)


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
