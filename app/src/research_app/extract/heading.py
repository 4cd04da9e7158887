"""The title and the authors as a first page sets them: the largest letters, and names below."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium_raw

from research_app.extract import names
from research_app.extract.layout import Box, Line
from research_app.plain_text import one_line

# of the first page, in the order in which it is read
MAX_ROWS = 150
MAX_LETTERS = 100_000
MAX_FACE = 200
LARGER = 1.15
SAME_SIZE = 0.05
TITLE_LINES = 6
TITLE_LENGTH = (8, 300)
TITLE_PITCH = 2.2
LIST_LINES = 16
SIZES = 5
CENTRED = 0.06
SENTENCE_WORDS = 6

_MASTHEAD = re.compile(
    r"^(?:(?:the )?(?:international |european |american )?"
    r"(?:journal|proceedings|transactions|annals|bulletin|archives)\b"
    r"|lecture notes|contents|arxiv\s?:|issn|isbn|doi\b|https?:|www\.|vol(?:ume)?\b"
    r"|chapter \d+$|research article$|original (?:research|article|paper)$|review article$"
    r"|technical report\b|working paper\b|page \d|\d+\s*$)",
    re.I,
)
_END = re.compile(
    r"^(?:(?:\d+|[IVX]+)?\.?\s*)(?:abstract|summary|introduction|key\s?words|index terms"
    r"|table of contents|contents|zusammenfassung|einleitung|r[ée]sum[ée]|resumen|resumo"
    r"|аннотация|введение|摘要|要旨)\b",
    re.I,
)
_AFFILIATION = re.compile(rf"[{names.MARKS}({{\[]")
_GOES_ON = re.compile(r"(?:[,;&-]|\b(?:and|und|et))$")
_LISTED = re.compile(rf"[,;&]|\band\b|[^\W\d_][{names.MARKS}]")
_TRAILING_MARKS = re.compile(r"[\s*†‡§¶\u2217⋆]+$")
_WORD = re.compile(r"[^\W\d_]+")


class Row(NamedTuple):
    """A line of the first page, with the size of its letters and the name of their font."""

    text: str
    box: Box
    size: float
    face: str = ""


def rows_of(text: Any, lines: list[Line]) -> list[Row]:
    """The first lines of a page of PDFium's, with what they are set in.

    The box of a line is as tall as what happens to stand in it; letters of one size that have
    nothing below the line would be smaller than others.
    """
    measured = text.count_chars() <= MAX_LETTERS
    return [
        Row(line.text, line.box, *(_set_in(text, line.box) if measured else (line.box.height, "")))
        for line in lines[:MAX_ROWS]
    ]


def _set_in(text: Any, box: Box) -> tuple[float, str]:
    """The size and the font of a letter at one of the ends of a line; 0 where none is found."""
    middle = (box.top + box.bottom) / 2
    for place in (box.left + 1, box.right - 1):
        index = text.get_index(place, middle, 3, 3)
        if index is not None:
            break
    else:
        return 0.0, ""
    _, bottom, _, top = text.get_charbox(index, loose=True)
    name = ctypes.create_string_buffer(MAX_FACE)
    flags = ctypes.c_int()
    pdfium_raw.FPDFText_GetFontInfo(text, index, name, MAX_FACE, flags)
    return abs(top - bottom), name.value.decode("utf-8", "replace")


def is_title(text: str) -> bool:
    """Whether a line that is set large reads as a title, and not as the head of a journal."""
    words = text.split()
    letters = sum(map(str.isalpha, text))
    if not TITLE_LENGTH[0] <= len(text) <= TITLE_LENGTH[1] or _MASTHEAD.match(text):
        return False
    if len(words) < 2 and text.isascii():
        return False
    # R E S E A R C H, and rows of numbers
    return letters > 2 * len(words) and letters >= 0.6 * len(text.replace(" ", ""))


def title_rows(rows: list[Row]) -> list[Row]:
    """The lines of the title: the largest on the upper half of the page that read as one."""
    level = [row for row in rows if not _is_upright(row)]
    if not level:
        return []
    top, bottom = max(row.box.top for row in level), min(row.box.bottom for row in level)
    upper = [row for row in level if row.box.bottom >= top - 0.55 * (top - bottom)]
    usual = _usual_size(level)
    larger = sorted(
        {round(row.size, 1) for row in upper if row.size >= LARGER * usual}, reverse=True
    )
    for size in larger[:SIZES]:
        for run in _runs(upper, size):
            if is_title(joined(run)):
                return run
    return []


def _is_upright(row: Row) -> bool:
    """Whether a line is set from bottom to top, as a stamp at the margin."""
    return row.box.height > 2 * row.box.width and len(row.text) > 3


def _usual_size(rows: list[Row]) -> float:
    """The size of the letter in the middle, of all letters."""
    sizes = sorted((row.size, len(row.text)) for row in rows)
    half, seen = sum(length for _, length in sizes) / 2, 0
    for size, length in sizes:
        seen += length
        if seen >= half:
            return size
    return sizes[-1][0]


def _runs(rows: list[Row], size: float) -> Iterator[list[Row]]:
    """Lines of one size that follow each other."""
    run: list[Row] = []
    for row in rows:
        same = abs(row.size - size) <= SAME_SIZE * size
        if run and not (same and len(run) < TITLE_LINES and _follows(run[-1], row)):
            yield run
            run = []
        if same:
            run.append(row)
    if run:
        yield run


def _follows(above: Row, below: Row) -> bool:
    """Whether a line is set beside or directly below another."""
    step = above.box.top - below.box.top
    if abs(step) < 0.5 * above.size:
        return above.box.gap_beside(below.box) < 2 * above.size
    return 0 < step <= TITLE_PITCH * above.size and above.box.gap_beside(below.box) <= 0


def joined(rows: Iterable[Row]) -> str:
    """The lines of a title as one, without the marks of its footnotes."""
    return _TRAILING_MARKS.sub("", one_line(" ".join(row.text for row in rows)))


def rows_with(rows: list[Row], title: str) -> list[Row]:
    """The lines in which a title that is known is printed."""
    wanted = letters_of(title)
    found: list[Row] = []
    seen = ""
    for row in rows if wanted else ():
        letters = letters_of(row.text)
        if letters and wanted.startswith(seen + letters):
            found.append(row)
            seen += letters
            if seen == wanted:
                return found
        elif found:
            found, seen = ([row], letters) if letters and wanted.startswith(letters) else ([], "")
    return []


def letters_of(text: str) -> str:
    """The letters and digits of a text, in small letters."""
    return "".join(filter(str.isalnum, text.casefold()))


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return _WORD.findall(text.casefold())


def common_words(text: str) -> AbstractSet[str]:
    """The words that a text uses in small letters, outside of addresses."""
    pieces = (piece for piece in text.split() if "@" not in piece)
    return {word for piece in pieces for word in _WORD.findall(piece) if word.islower()}


def authors_below(title: list[Row], rows: list[Row], common: AbstractSet[str]) -> list[str]:
    """The names between the title and the text, all in the letters of the first of them."""
    if not title:
        return []
    region = list(_between(title, rows))
    found: list[str] = []
    first: Row | None = None
    at = 0
    while at < len(region):
        row = region[at]
        taken: list[str] = []
        count = 1
        if first is None or _alike(first, row):
            taken, count = _names_at(region, at, common)
        if taken:
            first = first or row
            found += [name for name in taken if name not in found]
        at += count
    return found


def _between(title: list[Row], rows: list[Row]) -> Iterator[Row]:
    """The lines below the title and above the text, in the column of the title."""
    low = min(row.box.bottom for row in title)
    left, right = min(row.box.left for row in title), max(row.box.right for row in title)
    page = [row for row in rows if not _is_upright(row)]
    first, last = min(row.box.left for row in page), max(row.box.right for row in page)
    if abs((left + right) - (first + last)) < 2 * CENTRED * (last - first):
        left, right = first, last
    for row in page:
        size = title[0].size
        below = row.box.top < low + 0.3 * size and row not in title
        if not below or row.box.right <= left or row.box.left >= right:
            continue
        if _END.match(row.text) or _is_sentence(row.text):
            return
        yield row


def _is_sentence(text: str) -> bool:
    return sum(word.isalpha() and word.islower() for word in text.split()) >= SENTENCE_WORDS


def _alike(one: Row, other: Row) -> bool:
    same_size = abs(one.size - other.size) <= SAME_SIZE * one.size
    return same_size and one.face == other.face


def _names_at(region: list[Row], at: int, common: AbstractSet[str]) -> tuple[list[str], int]:
    """The names in a line and in those that go on with its list, and how many lines that are."""
    if _AFFILIATION.match(region[at].text):
        return [], 1
    texts = [region[at].text]
    for above, below in zip(region[at:], region[at + 1 : at + LIST_LINES], strict=False):
        open_end = _GOES_ON.search(above.text) or (
            _LISTED.search(above.text) and _LISTED.search(below.text)
        )
        if not (open_end and _alike(above, below) and _follows(above, below)):
            break
        if _AFFILIATION.match(below.text):
            break
        texts.append(below.text)
    for count in range(len(texts), 0, -1):
        if found := names.listed(_list(texts[:count]), common):
            return found, count
    # one line of a long list that is something else does not cost the list
    found = names.listed(_list(texts), common, share=0.7)
    return (found, len(texts)) if len(found) > 2 else ([], 1)


def _list(texts: list[str]) -> str:
    """Lines as one; a word that the end of a line cuts in two is whole."""
    text = texts[0]
    for more in texts[1:]:
        first = more.split(maxsplit=1)[0] if more.split() else ""
        cut = (
            first[:1].islower()
            and first not in ("and", "und", "et")
            and not names.is_particle(first)
        )
        text = text.rstrip("-\u00ad\u2010\x02") + more if cut else f"{text} {more}"
    return text
