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

from research_app.extract import figures, front, heading, hyphens, references, running_heads
from research_app.extract.figure_captions import CAPTION
from research_app.extract.hyphens import Vocabulary
from research_app.extract.layout import Box, Line
from research_app.extract.page_lines import PageLines, lines_of
from research_app.extract.reading_order import footnotes_last
from research_app.sources.document import RefusedError

MAX_PAGES = 5000
# letters of text, as `page_lines` counts them: eight hundred full pages, or four seconds
MAX_TEXT = 3_000_000
# that many pages are named in a sentence
MAX_NAMED = 5

# A form that its own program draws: what other programs show in its place.
_XFA = (pdfium_raw.FORMTYPE_XFA_FULL, pdfium_raw.FORMTYPE_XFA_FOREGROUND)
_PLACEHOLDER = re.compile(r"please wait|\badobe\b|\bacrobat\b", re.I)
_SURELY_PLACEHOLDER = re.compile(
    r"if this message is not eventually replaced|requires Adobe (?:Acrobat )?Reader \d", re.I
)
MAX_PLACEHOLDER_WORDS = 250

IS_XFA = (
    "an interactive form (XFA) that only Adobe's programs show: it has no text of its own;"
    " print it to a PDF there and take that"
)
IS_SCAN = "no text in it: a scan, which needs text recognition (OCR), or empty pages"
IS_UNKNOWN = (
    "no text in it that can be told: its fonts do not say which letters they show; it needs text"
    " recognition (OCR), as a scan does"
)


@dataclass
class Contents:
    """What the pages of a PDF hold."""

    information: dict[str, str]
    pages: list[str] = field(default_factory=list)
    # the first page with its head and foot, where a paper says of itself what it is
    first: str = ""
    figures: list[dict[str, Any]] = field(default_factory=list)
    # the lines of the first page
    rows: list[heading.Row] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    cover: bytes | None = None
    mended: list[str] = field(default_factory=list)
    # pages in all, those included that are not read any more
    count: int = 0
    # why there is not one word on the pages, where recognition may find some
    wordless: str = ""


def described(contents: Contents, file: bytes | mmap.mmap) -> dict[str, Any]:
    """The fields of a document that its pages and its own information give."""
    texts = [page.strip() for page in contents.pages]
    found = {
        "passages": [{"text": text, "page": at} for at, text in enumerate(texts, 1) if text],
        "pages": contents.count,
        **front.front_matter(
            contents.information, front.xmp_from(file), contents.rows, contents.first
        ),
        "references": contents.references,
        "figures": [_sent(figure) for figure in contents.figures],
        "cover": _encoded(contents.cover),
        "mended": contents.mended,
        "wordless": contents.wordless,
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


def _read(document: pdfium.PdfDocument) -> Contents:
    contents = Contents(document.get_metadata_dict(skip_empty=True), count=len(document))
    pages, rows = _pages(document)
    contents.wordless = _without_words(document, pages)
    if contents.wordless:
        contents.pages = [""] * len(pages)
        _take_figures(document, contents, pages, [[] for _ in pages])
        return contents
    frames = [page.frame for page in pages]
    whole = [page.lines for page in pages]
    inner = running_heads.without(whole, frames)
    words = Vocabulary(line.text for lines in inner for line in lines)
    flowing = _mended([footnotes_last(*page) for page in zip(inner, frames, strict=True)], words)
    first = _mended([whole[0]], words)[0]
    contents.first = _text(first)
    contents.pages = [
        "\n".join(part for part in (_text(lines), _text(page.aside)) if part)
        for lines, page in zip(flowing, pages, strict=True)
    ]
    contents.rows = [rows[line.box]._replace(text=line.text) for line in first if line.box in rows]
    _take_figures(document, contents, pages, flowing)
    _take_references(contents, flowing)
    contents.mended = [*_said(pages), *_said_of_end(pages, contents.count)]
    return contents


def _pages(document: pdfium.PdfDocument) -> tuple[list[PageLines], dict[Box, heading.Row]]:
    """The lines of each page, and what those of the first are set in, by their place.

    The last of fewer pages than there are is the one in which the text became too much.
    """
    pages: list[PageLines] = []
    rows: list[heading.Row] = []
    room = MAX_TEXT
    for index in range(len(document)):
        with _page(document, index) as (page, text):
            pages.append(lines_of(page, text, room))
            if index == 0:
                rows = heading.rows_of(text, pages[0].lines)
        room -= pages[-1].size
        if pages[-1].cut:
            break
    return pages, {row.box: row for row in rows}


def _without_words(document: pdfium.PdfDocument, pages: list[PageLines]) -> str:
    """Why a document has no text, where its pages may show some; nothing where it has text.

    :raises RefusedError: it has only the text of a placeholder
    """
    texts = [line.text for page in pages for line in (*page.lines, *page.aside)]
    is_xfa = pdfium_raw.FPDF_GetFormType(document.raw) in _XFA
    if not any(letter.isalnum() for text in texts for letter in text):
        if is_xfa:
            raise RefusedError(IS_XFA)
        return IS_UNKNOWN if any(page.unknown for page in pages) else IS_SCAN
    if len(texts) > MAX_PLACEHOLDER_WORDS:
        return ""
    whole = " ".join(texts)
    sign = _PLACEHOLDER if is_xfa else _SURELY_PLACEHOLDER
    if len(whole.split()) <= MAX_PLACEHOLDER_WORDS and sign.search(whole):
        raise RefusedError(IS_XFA)
    return ""


def _mended(pages: list[list[Line]], words: Vocabulary) -> list[list[Line]]:
    """The pages of a document with the words whole that the ends of lines and pages cut."""
    lines = [line for page in pages for line in page]
    texts = iter(hyphens.mended(lines, words))
    mended = [[line._replace(text=next(texts)) for line in page] for page in pages]
    return [[line for line in page if line.text] for page in mended]


def _text(lines: list[Line]) -> str:
    """Lines as they are read: a row of a table is one."""
    return "".join(
        ("" if not at else " " if line.beside else "\n") + line.text
        for at, line in enumerate(lines)
    )


def _said(pages: list[PageLines]) -> list[str]:
    """What is left out of a document, in words."""
    unknown = [str(number) for number, page in enumerate(pages, 1) if page.unknown]
    if not unknown:
        return []
    some = ", ".join(unknown[:MAX_NAMED]) + (" and others" if len(unknown) > MAX_NAMED else "")
    which = "page" if len(unknown) == 1 else f"{len(unknown)} pages:"
    return [f"{which} {some}: the fonts do not say which letters they show; no text is taken"]


def _said_of_end(pages: list[PageLines], count: int) -> list[str]:
    """Where the reading ended, if that is not the end of the document."""
    if not pages[-1].cut:
        return []
    return [
        f"it has more text than is read of one document: what follows page {len(pages)} of"
        f" {count}, and perhaps the end of that page, is left out"
    ]


def _take_figures(
    document: pdfium.PdfDocument,
    contents: Contents,
    pages: list[PageLines],
    flowing: list[list[Line]],
) -> None:
    """The pictures of a document: its first page, and what has a caption."""
    for index, (found, lines) in enumerate(zip(pages, flowing, strict=True)):
        room = len(contents.figures) < figures.MAX_FIGURES
        wanted = room and any(CAPTION.match(line.text) for line in lines)
        if not wanted and index > 0:
            continue
        page = document[index]
        try:
            if index == 0:
                contents.cover = figures.cover(page, found.turns)
            if wanted:
                contents.figures += figures.figures_of(page, index + 1, lines, found.turns)
        finally:
            page.close()


def _take_references(contents: Contents, flowing: list[list[Line]]) -> None:
    """Keep the list of references out of the text."""
    place = references.find_heading(contents.pages)
    if place is None:
        return
    last = min(len(contents.pages), place.page + references.MAX_LISTED_PAGES)
    lines = {index: flowing[index] for index in range(place.page, last)}
    found = references.split(contents.pages, lines, place)
    contents.pages, contents.references = found.pages, found.references


def extract(file: BinaryIO) -> dict[str, Any]:
    """Read one PDF; "wordless" says why there is no text, where recognition (OCR) may find some."""
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
