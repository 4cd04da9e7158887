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

from research_app.extract.layout import Line
from research_app.sources.document import one_line

_PLACEHOLDER = re.compile(
    r"^(untitled|title|document|microsoft word|.*\.(docx?|tex|dvi|pdf))\b", re.I
)
_YEAR = re.compile(r"D:((?:19|20)\d{2})")
_ABSTRACT = re.compile(r"\bAbstract\b[\s.:\u2014-]*", re.I)
_AFTER_ABSTRACT = re.compile(
    r"^[^\S\n]*(?:\d\.?\s+|I\.?\s+)?(?:Introduction|Keywords?|Index Terms)\b", re.I | re.M
)
# with its label: an address alone may be that of what the paper cites
_OWN_DOI = re.compile(
    r"\bdoi\b[:\s]*(?:https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/[^\s\"<>]+)", re.I
)
_MARKS = re.compile(r"(?<=[^\W\d])[\d*†‡§¶]+(?:,[\d*†‡§¶]+)*(?=\s|,|$)")
_WORD = r"[A-ZÀ-Þ][\w.\u2019'-]*"
_PARTICLES = r"(?:(?:de|van|von|der|la|di|da|del|den)\s+)*"
_NAME = re.compile(rf"{_WORD}(?:\s+{_PARTICLES}{_WORD}){{1,3}}")
_NO_NAME = re.compile(
    r"\b(university|institute|department|school|laboratory|abstract|journal|proceedings|college)\b",
    re.I,
)

ABSTRACT_LENGTH = (200, 4000)
MARKS = "0123456789*†‡§¶,"
MAX_XMP_BYTES = 1024 * 1024
MAX_XMP_PACKETS = 100
XMP_START, XMP_END = b"<x:xmpmeta", b"</x:xmpmeta>"
DC = "{http://purl.org/dc/elements/1.1/}"
PDF_MARK = b"http://ns.adobe.com/pdf/"
TITLE_FACTOR = 1.25
TITLE_LINES = 4
TITLE_LENGTH = (10, 300)


def title_from(information: dict[str, str]) -> str:
    """The document's own title, unless it is what a word processor left there."""
    title = one_line(information.get("Title", ""))
    return "" if len(title) < 4 or _PLACEHOLDER.match(title) else title


def authors_from(information: dict[str, str]) -> list[str]:
    """Names of the document's own author field."""
    given = re.sub(r"\s+et\s+al\b\.?", "", one_line(information.get("Author", "")))
    names = re.split(r"\s*(?:;|,|\band\b|&)\s*", given)
    return [name for name in names if len(name) > 1]


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
        if next_end < len(ends) and ends[next_end] - begin <= most:
            return one_line(first_page[begin : ends[next_end]])
    return ""


def doi_from(first_page: str) -> str:
    """The paper's own DOI: the only one on its first page."""
    found = {match[1].rstrip(".,;)]") for match in _OWN_DOI.finditer(first_page)}
    return found.pop() if len(found) == 1 else ""


def heading_from(lines: list[Line]) -> tuple[str, list[str]]:
    """Title and authors as the first page sets them: the largest letters, and names below."""
    if not lines:
        return "", []
    top, bottom = max(line.box.top for line in lines), min(line.box.bottom for line in lines)
    upper = [line for line in lines if line.box.bottom > top - 0.5 * (top - bottom)]
    tallest = max((line.box.height for line in upper if len(line.text) >= 4), default=0.0)
    usual = sorted(line.box.height for line in lines)[len(lines) // 2]
    if tallest < TITLE_FACTOR * usual:
        return "", []
    at = [index for index, line in enumerate(upper) if line.box.height >= 0.85 * tallest]
    run = [index for place, index in enumerate(at) if index - at[0] == place][:TITLE_LINES]
    title = one_line(" ".join(upper[index].text for index in run))
    if not TITLE_LENGTH[0] <= len(title) <= TITLE_LENGTH[1] or " " not in title:
        return "", []
    below = upper[run[-1] + 1 : run[-1] + 2]
    return title, names_from(below[0].text) if below else []


def names_from(text: str) -> list[str]:
    """The names in a line that is nothing but names."""
    if _NO_NAME.search(text):
        return []
    parts = [
        _MARKS.sub("", part.rstrip().rstrip(MARKS)).strip()
        for part in re.split(r",(?!\d)|;|\band\b|&", text)
    ]
    names = [part for part in parts if part]
    return names if names and all(_NAME.fullmatch(name) for name in names) else []


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
    names = [one_line(item.text or "") for item in creators.iter()] if creators is not None else []
    found = {"title": title, "authors": [name for name in names if len(name) > 1]}
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
