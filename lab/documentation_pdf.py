"""Renders the project's documentation as PDF files, the library of a clone that has no other."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

LINES_PER_PAGE = 56
COLUMNS = 92


def pages_of(markdown: str) -> list[list[str]]:
    """The text of a Markdown file as pages of lines; markup that only decorates is left out."""
    lines: list[str] = []
    for line in markdown.splitlines():
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line).replace("**", "").replace("`", "")
        lines += textwrap.wrap(plain, COLUMNS) or [""]
    starts = range(0, max(len(lines), 1), LINES_PER_PAGE)
    return [lines[start : start + LINES_PER_PAGE] for start in starts]


def title_of(markdown: str, fallback: str) -> str:
    """The first heading."""
    heading = re.search(r"^#+\s+(.+)$", markdown, re.MULTILINE)
    return heading[1].replace("`", "") if heading else fallback


def text_string(text: str) -> bytes:
    """A PDF string in Latin-1, which the built-in fonts have."""
    encoded = text.encode("latin-1", "replace")
    return b"(" + re.sub(rb"([\\()])", rb"\\\1", encoded) + b")"


def pdf(title: str, pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF of version 1.4 with the text in Helvetica."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages):
        rows = b"".join(text_string(line) + b" Tj T*\n" for line in lines)
        stream = b"BT /F1 10 Tf 13 TL 56 780 Td\n" + rows + b"ET"
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            b"/Resources << /Font << /F1 3 0 R >> >> "
            + f"/Contents {5 + 2 * number} 0 R >>".encode()
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n".encode() + stream + b"\nendstream")
    objects.append(b"<< /Title " + text_string(title) + b" /Author (research-stack) >>")
    return _file(objects)


def _file(objects: Sequence[bytes]) -> bytes:
    """The objects with the table that says where each begins; the last one is the information."""
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>"
    out += f"trailer\n{trailer}\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)


def render(checkout: Path, target: Path) -> int:
    """Writes a PDF for each Markdown file at the top and in docs/, with the titles beside them.

    Returns how many there are.
    """
    known = []
    target.mkdir(parents=True, exist_ok=True)
    sources = [*sorted(checkout.glob("*.md")), *sorted((checkout / "docs").rglob("*.md"))]
    for source in sources:
        markdown = source.read_text(encoding="utf-8")
        name = "-".join(source.relative_to(checkout).with_suffix(".pdf").parts)
        title = title_of(markdown, source.stem)
        (target / name).write_bytes(pdf(title, pages_of(markdown)))
        known.append(json.dumps({"file": name, "title": title}) + "\n")
    (target / "metadata.jsonl").write_text("".join(known), encoding="utf-8")
    return len(sources)
