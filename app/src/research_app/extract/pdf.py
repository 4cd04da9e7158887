"""A PDF's text per page, its figures and references, and what it says of itself."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_raw

from research_app.extract import figures, front, heading, references
from research_app.extract.figure_captions import ANYWHERE
from research_app.extract.layout import Box, Line, lines_from
from research_app.sources.document import RefusedError, clean

MAX_PAGES = 5000
MAX_CHARACTERS = 20_000_000
MAX_PIECES = 20_000

_HYPHENATED = re.compile(r"(\w)[-\u00ad\u2010\ufffe\x02][^\S\n]*\n\s*([a-z])")


def join_hyphenated(text: str) -> str:
    """Words that the end of a line cut in two, whole again."""
    return _HYPHENATED.sub(r"\1\2", text)


@dataclass
class Contents:
    """What the pages of a PDF hold."""

    information: dict[str, str]
    pages: list[str] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    # the lines of the first page
    rows: list[heading.Row] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    cover: bytes | None = None
    # there is no word on them: they are pictures
    scanned: bool = False


def described(contents: Contents, file: bytes | mmap.mmap) -> dict[str, Any]:
    """The fields of a document that its pages and its own information give."""
    texts = [clean(join_hyphenated(page)).strip() for page in contents.pages]
    first = texts[0] if texts else ""
    found = {
        "passages": [{"text": text, "page": at} for at, text in enumerate(texts, 1) if text],
        "pages": len(texts),
        **front.front_matter(contents.information, front.xmp_from(file), contents.rows, first),
        "references": contents.references,
        "figures": [_sent(figure) for figure in contents.figures],
        "cover": _encoded(contents.cover),
        "scanned": contents.scanned,
    }
    return {name: value for name, value in found.items() if value}


def _encoded(picture: bytes | None) -> str | None:
    return base64.b64encode(picture).decode("ascii") if picture else None


def _sent(figure: dict[str, Any]) -> dict[str, Any]:
    return {**figure, "picture": _encoded(figure["picture"])}


def opened(data: mmap.mmap) -> pdfium.PdfDocument:
    """A PDF to read pages of; RefusedError where it cannot be opened."""
    try:
        return pdfium.PdfDocument((ctypes.c_ubyte * len(data)).from_buffer(data))
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium_raw.FPDF_ERR_PASSWORD:
            raise RefusedError("encrypted: a password is needed to read it") from None
        raise RefusedError("damaged: it cannot be opened as a PDF") from None


@contextlib.contextmanager
def _page(document: pdfium.PdfDocument, index: int) -> Iterator[tuple[Any, Any]]:
    """A page and its text, closed afterwards."""
    page = document[index]
    try:
        text = page.get_textpage()
        try:
            yield page, text
        finally:
            text.close()
    finally:
        page.close()


def _lines(text: Any) -> list[Line]:
    count = min(text.count_rects(), MAX_PIECES)
    boxes = [Box(*text.get_rect(index)) for index in range(count)]
    return lines_from((clean(text.get_text_bounded(*box)), box) for box in boxes)


def _read(document: pdfium.PdfDocument) -> Contents:
    contents = Contents(document.get_metadata_dict(skip_empty=True))
    total = 0
    for index in range(len(document)):
        with _page(document, index) as (page, text):
            words = text.get_text_bounded().replace("\r\n", "\n")
            total += len(words)
            if total > MAX_CHARACTERS:
                raise RefusedError("over 20 million characters of text")
            contents.pages.append(words)
            wanted = len(contents.figures) < figures.MAX_FIGURES and ANYWHERE.search(words)
            lines = _lines(text) if wanted or index == 0 else []
            if index == 0:
                contents.rows = heading.rows_of(text, lines)
                contents.cover = figures.cover(page)
            if wanted:
                contents.figures += figures.figures_of(page, index + 1, lines)
    if not any(words.strip() for words in contents.pages):
        contents.scanned = True
        return contents
    _take_references(document, contents)
    return contents


def _take_references(document: pdfium.PdfDocument, contents: Contents) -> None:
    """Keep the list of references out of the text."""
    place = references.find_heading(contents.pages)
    if place is None:
        return
    last = min(len(contents.pages), place.page + references.MAX_LISTED_PAGES)
    lines = {}
    for index in range(place.page, last):
        with _page(document, index) as (_, text):
            lines[index] = _lines(text)
    found = references.split(contents.pages, lines, place)
    contents.pages, contents.references = found.pages, found.references


def extract(file: BinaryIO) -> dict[str, Any]:
    """Read one PDF; "scanned" says of one that it has no word, and needs text recognition."""
    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    document = opened(data)
    try:
        if len(document) > MAX_PAGES:
            raise RefusedError(f"over {MAX_PAGES} pages")
        contents = _read(document)
    except pdfium.PdfiumError:
        raise RefusedError("damaged: a page cannot be read") from None
    finally:
        document.close()
    return described(contents, data)
