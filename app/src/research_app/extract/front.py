"""What a paper says of itself: its own information, its XMP packet, and its first page.

What a program or a template left there is not taken, and a guess only where it is a safe one.
"""

from __future__ import annotations

import mmap
import re
from bisect import bisect_left
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from research_app.extract import heading, names
from research_app.extract.heading import Row
from research_app.plain_text import one_line

# what programs and templates leave there
_PLACEHOLDER = re.compile(
    r"(?:untitled\b.*|no title|title|(?:new )?document\s?\d*"
    r"|microsoft (?:word|powerpoint|excel)\b.*"
    r"|powerpoint[- ]pr[äeé]senta.*|pr[äeé]senta(?:tion|ción|zione)\s?\d*|slide \d+|folie \d+"
    r"|.*\.(?:docx?|docm|odt|rtf|tex|dvi|e?ps|pdf|pptx?|xlsx?|indd|qxd|wpd|html?)"
    r"|(?:paper|article|manuscript|main|template|layout|book|thesis|report)\s?\d*"
    r"|.*\b(?:paper title|proceedings template|word template|latex template|author guidelines)\b.*"
    r"|pii:.*|doi:.*|full page photo|blank page|page \d+|\W*)",
    re.I | re.S,
)
# the name of a file, more likely than a title
_FILE_NAME = re.compile(r"\S*[_\d/\\]\S*|[a-z\d-]+")
_YEAR = re.compile(r"D:((?:19|20)\d{2})")
_ABSTRACT = re.compile(
    r"^\W{0,3}(?:abstract|a b s t r a c t|zusammenfassung|r[ée]sum[ée]|resumen|resumo"
    r"|аннотация|摘要)"
    r"(?![^\W\d_])[\s.:\u2013\u2014-]*",
    re.I | re.M,
)
# what comes after an abstract: the keywords, other lists of terms, and the first section
_AFTER_ABSTRACT = re.compile(
    r"^[^\S\n]{0,20}(?:(?:\d|I)\.?[^\S\n]{1,20})?(?:introduction|key[ -]?words?|index terms"
    r"|categories and subject|ccs concepts|general terms|acm reference|author summary"
    r"|jel (?:codes?|classification)|pacs|msc\b|mathematics subject|table of contents|contents$"
    r"|einleitung|einführung|introducci[óo]n|introdução|введение|mots[ -]cl[ée]s"
    r"|schlüsselw|palabras clave|palavras[ -]chave|ключевые слова|关键词)"
    r"|^[^\S\n]{0,20}(?:1|I)\.?[^\S\n]{1,20}(?-i:[A-ZÀ-Þ])[^\n]{2,60}$",
    re.I | re.M,
)
# with its label: an address alone may be that of what the paper cites
_OWN_DOI = re.compile(
    r"\bdoi\b[:\s]*(?:https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/[^\s\"<>]+)", re.I
)
ABSTRACT_LENGTH = (200, 4000)
LEAST_TITLE = 4
MAX_FIELD = 20_000
MAX_PAGE = 100_000
MAX_XMP_BYTES = 1024 * 1024
MAX_XMP_PACKETS = 100
XMP_START, XMP_END = b"<x:xmpmeta", b"</x:xmpmeta>"
DC = "{http://purl.org/dc/elements/1.1/}"
PDF_MARK = b"http://ns.adobe.com/pdf/"
# shares of the words of a given title that are on the page: it is the printed one, where hyphens
# and ligatures may differ; or it has nothing to do with it, as that of a template
ON_PAGE, NOT_ON_PAGE = 0.7, 0.3


def front_matter(
    information: dict[str, str], xmp: dict[str, Any], rows: list[Row], first_page: str
) -> dict[str, Any]:
    """Title, authors, year, abstract and DOI of a paper, as far as they are found.

    :param information: the document's own information
    :param xmp: what `xmp_from` gives
    :param rows: the lines of the first page
    :param first_page: its text
    """
    first_page = first_page[:MAX_PAGE]
    printed = heading.title_rows(rows)
    title = _title([title_from(information), xmp.get("title", "")], printed, first_page)
    place = heading.rows_with(rows, title) or printed
    common = heading.common_words(first_page)
    names = heading.authors_below(place, rows, common)
    return {
        "title": title,
        "authors": _authors(information, xmp, names, first_page),
        "year": year_from(information),
        "abstract": abstract_from(first_page),
        "doi": doi_from(first_page),
    }


def _title(given: list[str], printed: list[Row], first_page: str) -> str:
    """The title that is given and printed; else the printed one; else the one that is given."""
    known = set(heading.words_of(first_page))
    kept = [(_share(title, known), title) for title in given if title]
    best, title = max(kept, key=lambda item: item[0], default=(0.0, ""))
    if printed and (best < NOT_ON_PAGE or (best < ON_PAGE and _FILE_NAME.fullmatch(title))):
        return heading.joined(printed)
    return title


def _share(title: str, known: set[str]) -> float:
    """How many of the words of a title are known, of 1."""
    words = heading.words_of(title)
    return sum(word in known for word in words) / max(1, len(words))


def _authors(
    information: dict[str, str], xmp: dict[str, Any], printed: list[str], first_page: str
) -> list[str]:
    """The authors that are given; the printed ones where those are others, or more."""
    given, more = names.of_field(information.get("Author", ""))
    given = given or xmp.get("authors", [])
    known = set(heading.words_of(first_page))
    families = [set(heading.words_of(name.split()[-1])) for name in given]
    if printed and (more or len(printed) > len(given) or not all(f <= known for f in families)):
        return printed
    return given


def title_from(information: dict[str, str]) -> str:
    """The document's own title, unless it is what a program or a template left there."""
    title = one_line(information.get("Title", "")[:MAX_FIELD])
    return "" if len(title) < LEAST_TITLE or _PLACEHOLDER.fullmatch(title) else title


def authors_from(information: dict[str, str]) -> list[str]:
    """Names of the document's own author field."""
    return names.of_field(information.get("Author", ""))[0]


def year_from(information: dict[str, str]) -> int | None:
    """The year in which the file was made."""
    found = _YEAR.match(information.get("CreationDate", ""))
    return int(found.group(1)) if found else None


def abstract_from(first_page: str) -> str:
    """The abstract, where the first page has one under its usual heading."""
    ends = [found.start() for found in _AFTER_ABSTRACT.finditer(first_page)]
    least, most = ABSTRACT_LENGTH
    for found in _ABSTRACT.finditer(first_page):
        begin = found.end()
        next_end = bisect_left(ends, begin + least)
        end = ends[next_end] if next_end < len(ends) else len(first_page)
        if least <= end - begin <= most:
            return one_line(first_page[begin:end])
    return ""


def doi_from(first_page: str) -> str:
    """The paper's own DOI: the only one on its first page."""
    found = {match[1].rstrip(".,;)]") for match in _OWN_DOI.finditer(first_page)}
    return found.pop() if len(found) == 1 else ""


def xmp_from(data: bytes | mmap.mmap) -> dict[str, Any]:
    """Title and authors of a file's XMP packet; nothing where it has none that can be read."""
    packet = _packet(data)
    if packet is None:
        return {}
    try:
        root: Element = fromstring(packet, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return {}
    title = title_from({"Title": _text(root.find(f".//{DC}title"))})
    creators = root.find(f".//{DC}creator")
    items = [item.text or "" for item in creators.iter()] if creators is not None else []
    found = {"title": title, "authors": authors_from({"Author": ";".join(items)})}
    return {name: value for name, value in found.items() if value}


def _text(element: Element | None) -> str:
    if element is None:
        return ""
    return next((item.text for item in element.iter() if item.text and item.text.strip()), "")


def _packet(data: bytes | mmap.mmap) -> bytes | None:
    """The last packet of the file that is about the file, not about a picture in it."""
    start = len(data)
    for _ in range(MAX_XMP_PACKETS):
        if (start := data.rfind(XMP_START, 0, start)) < 0:
            break
        end = data.find(XMP_END, start, start + MAX_XMP_BYTES)
        packet = data[start : end + len(XMP_END)] if end >= 0 else b""
        if PDF_MARK in packet:
            return packet
    return None
