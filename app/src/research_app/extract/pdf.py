"""A PDF's text per page, and what it says of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_raw

from research_app.sources.document import RefusedError, clean, one_line

MAX_PAGES = 5000
MAX_CHARACTERS = 20_000_000

_HYPHENATED = re.compile(r"(\w)[-\u00ad\u2010\ufffe\x02]\s*\r?\n\s*([a-z])")
_PLACEHOLDER = re.compile(
    r"^(untitled|title|document|microsoft word|.*\.(docx?|tex|dvi|pdf))\b", re.I
)
_YEAR = re.compile(r"D:((?:19|20)\d{2})")
_ABSTRACT = re.compile(
    r"\bAbstract\b[\s.:\u2014-]*(?P<abstract>.{200,4000}?)"
    r"(?=\n\s*(?:\d\.?\s+|I\.?\s+)?(?:Introduction|Keywords?|Index Terms)\b)",
    re.I | re.S,
)


def join_hyphenated(text: str) -> str:
    """Words that the end of a line cut in two, whole again."""
    return _HYPHENATED.sub(r"\1\2", text)


def title_from(information: dict[str, str]) -> str:
    """The document's own title, unless it is what a word processor left there."""
    title = one_line(information.get("Title", ""))
    return "" if len(title) < 4 or _PLACEHOLDER.match(title) else title


def authors_from(information: dict[str, str]) -> list[str]:
    """Names of the document's own author field."""
    names = re.split(r"\s*(?:;|,|\band\b|&)\s*", one_line(information.get("Author", "")))
    return [name for name in names if len(name) > 1]


def year_from(information: dict[str, str]) -> int | None:
    """The year in which the file was made."""
    found = _YEAR.match(information.get("CreationDate", ""))
    return int(found.group(1)) if found else None


def abstract_from(first_page: str) -> str:
    """The abstract, where the first page has one under its usual heading."""
    found = _ABSTRACT.search(first_page)
    return one_line(found.group("abstract")) if found else ""


def described(information: dict[str, str], pages: list[str]) -> dict[str, Any]:
    """The fields of a document that its text and its own information give."""
    passages = [{"text": text, "page": number} for number, text in enumerate(pages, 1) if text]
    fields: dict[str, Any] = {"passages": passages, "pages": len(pages)}
    if title := title_from(information):
        fields["title"] = title
    if authors := authors_from(information):
        fields["authors"] = authors
    if year := year_from(information):
        fields["year"] = year
    if pages and (abstract := abstract_from(pages[0])):
        fields["abstract"] = abstract
    return fields


def _open(path: Path) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium_raw.FPDF_ERR_PASSWORD:
            raise RefusedError("encrypted: a password is needed to read it") from None
        raise RefusedError("damaged: it cannot be opened as a PDF") from None


def _page_text(document: pdfium.PdfDocument, index: int) -> str:
    page = document[index]
    text_page = page.get_textpage()
    try:
        return clean(join_hyphenated(text_page.get_text_bounded())).strip()
    finally:
        text_page.close()
        page.close()


def extract(path: Path) -> dict[str, Any]:
    """Read one PDF."""
    document = _open(path)
    try:
        if len(document) > MAX_PAGES:
            raise RefusedError(f"over {MAX_PAGES} pages")
        information = document.get_metadata_dict(skip_empty=True)
        pages: list[str] = []
        total = 0
        for index in range(len(document)):
            pages.append(_page_text(document, index))
            total += len(pages[-1])
            if total > MAX_CHARACTERS:
                raise RefusedError("over 20 million characters of text")
    except pdfium.PdfiumError:
        raise RefusedError("damaged: a page cannot be read") from None
    finally:
        document.close()
    if total == 0:
        raise RefusedError("no text in it: scanned pages need text recognition first")
    return described(information, pages)
