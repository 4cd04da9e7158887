"""The list of references at the end of a paper, taken apart and kept out of the text.

Entries are told apart by what the list has: numbers, lines that hang, or gaps.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from research_app.extract.layout import Line, usual_pitch

HEADING = re.compile(
    r"^[ \t]*(?:\d{1,4}[ \t]*|(?:\d{1,2}|[IVX]{1,5})\.?[ \t]+)?"
    r"(?:References(?:[ \t]+and[ \t]+notes)?|Bibliography|Literature(?:[ \t]+cited)?"
    r"|Works[ \t]+cited|Reference[ \t]+list|REFERENCES|BIBLIOGRAPHY)[ \t]*:?[ \t]*\r?$",
    re.M,
)
AFTER = re.compile(
    r"^[ \t]*(?:\d{1,2}\.?[ \t]+|[A-Z]\.?[ \t]+)?(?:Appendi(?:x|ces)\b.{0,80}"
    r"|Supplement(?:ary|al)\b.{0,80}|Supporting information\b.{0,80}"
    r"|(?:Author|Data|Code)[ \t]+(?:contributions?|availability)\b.{0,40}"
    r"|Acknowledge?ments?\b.{0,20}|About the authors?)[ \t]*\r?$",
    re.M | re.I,
)
NUMBER = re.compile(r"^(?:\[(\d{1,4})\]|(\d{1,4})[.)])(?:\s+|$)")
YEAR = re.compile(r"\b(?:1[5-9]|20)\d{2}\b|https?://|\bdoi\b", re.I)
ADDRESS = re.compile(r"https?://|doi\.org/")
LONGEST_ADDRESS = 2000
TAIL_PARTS = 8

MIN_ENTRIES = 2
MAX_ENTRIES = 5000
MAX_LISTED_PAGES = 200
MAX_ENTRY = 1500
HANG = (5.0, 60.0)
COLUMN = 100.0
LEAST_HANGING = 0.12
GAP = 1.25


@dataclass(frozen=True)
class Place:
    """Where the list begins: the page, and the letters of it that the heading takes."""

    page: int
    start: int
    end: int


@dataclass(frozen=True)
class Split:
    """A paper without its references, and these."""

    pages: list[str]
    references: list[str]


def find_heading(pages: list[str]) -> Place | None:
    """The last line of a paper that is nothing but such a heading."""
    for number in range(len(pages) - 1, -1, -1):
        if found := list(HEADING.finditer(pages[number])):
            return Place(number, found[-1].start(), found[-1].end())
    return None


def split(pages: list[str], lines: dict[int, list[Line]], place: Place) -> Split:
    """Take the list out of a paper.

    `lines` has the pages from the heading on. The list ends at the next heading, or on the first
    page on which no entry begins.
    """
    kept = list(pages)
    kept[place.page] = pages[place.page][: place.start]
    listed: list[list[Line]] = []
    for number in range(place.page, len(pages)):
        here, rest = _listed(pages[number], lines.get(number, []), place, number)
        if not here or (number > place.page and not _continues(listed, here)):
            break
        listed.append(here)
        kept[number] = _joined(pages[number][: place.start] if number == place.page else "", rest)
        if rest:
            break
    entries = _entries(listed)
    enough = len(entries) >= MIN_ENTRIES and sum(map(bool, map(YEAR.search, entries))) * 2 >= len(
        entries
    )
    return Split(kept, entries[:MAX_ENTRIES]) if enough else Split(pages, [])


def _joined(*parts: str) -> str:
    return "\n".join(part for part in (part.strip() for part in parts) if part)


def _listed(page: str, lines: list[Line], place: Place, number: int) -> tuple[list[Line], str]:
    """The lines of the list on a page, and the text that follows the list there."""
    offset = place.end if number == place.page else 0
    if number == place.page:
        heads = [at for at, line in enumerate(lines) if HEADING.match(line.text)]
        lines = lines[heads[-1] + 1 :] if heads else []
    after = AFTER.search(page, offset)
    if after is None:
        return lines, ""
    ends = [at for at, line in enumerate(lines) if AFTER.match(line.text)]
    return lines[: ends[0]] if ends else lines, page[after.start() :]


def _continues(listed: list[list[Line]], here: list[Line]) -> bool:
    """Whether a page goes on with the list."""
    before = [line for lines in listed for line in lines]
    starts = _starts([*listed, here])
    first = len(before)
    begun = [at for at in starts if at >= first]
    text = " ".join(line.text for line in here)
    return bool(begun) and bool(YEAR.search(text))


def _starts(listed: list[list[Line]]) -> list[int]:
    """Which lines, counted over all pages, begin an entry."""
    lines = [line for page in listed for line in page]
    numbered = _numbered(lines)
    if len(numbered) >= MIN_ENTRIES:
        return numbered
    found: list[int] = []
    first = 0
    hanging = _is_hanging(listed)
    for page in listed:
        edges = _edges(page)
        pitch = usual_pitch(page)
        for at, line in enumerate(page):
            above = page[at - 1] if at else None
            if line.beside:
                begins = False  # wide spaces of a line that fills its column
            elif hanging:
                begins = line.box.left - edges[at] < HANG[0]
            elif above is None or line.box.top > above.box.top:  # a new page or column
                begins = not found or line.text[:1].isupper()
            else:
                begins = above.box.top - line.box.top > GAP * pitch
            if begins:
                found.append(first + at)
        first += len(page)
    return found


def _numbered(lines: list[Line]) -> list[int]:
    """Lines that begin with 1, 2, 3 and so on."""
    found: list[int] = []
    expected = 1
    for at, line in enumerate(lines):
        match = NUMBER.match(line.text)
        if match and int(match[1] or match[2]) == expected:
            found.append(at)
            expected += 1
    return found


def _edges(page: list[Line]) -> list[float]:
    """For each line the left edge of its column: the leftmost line that is near."""
    lefts = sorted(line.box.left for line in page)
    edges: list[float] = []
    for left in lefts:
        if not edges or left - edges[-1] > COLUMN:
            edges.append(left)
    return [edges[bisect_right(edges, line.box.left) - 1] for line in page]


def _is_hanging(listed: list[list[Line]]) -> bool:
    """Whether lines that go on are set in from those that begin."""
    total = inner = 0
    for page in listed:
        for line, edge in zip(page, _edges(page), strict=True):
            total += 1
            inner += HANG[0] <= line.box.left - edge <= HANG[1]
    return inner >= max(1, LEAST_HANGING * total)


def _entries(listed: list[list[Line]]) -> list[str]:
    lines = [line for page in listed for line in page]
    starts = _starts(listed)
    ends = [*starts[1:], len(lines)] if starts else []
    texts = (
        join([line.text for line in lines[start:end]])
        for start, end in zip(starts, ends, strict=True)
    )
    return [text[:MAX_ENTRY] for text in (NUMBER.sub("", text, count=1) for text in texts) if text]


def join(texts: Iterable[str]) -> str:
    """The lines of an entry as one: addresses whole again."""
    parts: list[str] = []
    tail = ""  # where the text so far ends
    for text in texts:
        if tail and not (_is_unfinished(tail) and not text[:1].isupper()):
            parts.append(" ")
        if text:
            parts.append(text)
        tail = "".join(parts[-TAIL_PARTS:])[-LONGEST_ADDRESS:]
    return " ".join("".join(parts).split())


def _is_unfinished(text: str) -> bool:
    """Whether a text ends in the middle of an address."""
    word = text.rsplit(maxsplit=1)[-1] if text.strip() and not text[-1].isspace() else ""
    if word.endswith(("http:", "https:")):
        return True
    return word.endswith(tuple("/.-_=?&#")) and ADDRESS.search(word[:-1]) is not None
