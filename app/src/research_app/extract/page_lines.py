"""The lines of a page as PDFium sees its letters, in the order in which they are read."""

from __future__ import annotations

import ctypes
import functools
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from research_app.extract import right_to_left
from research_app.extract.layout import Box, Line, goes_on, lines_from
from research_app.plain_text import clean

# What PDFium puts in the place of a hyphen at which a word goes on in the next line; and it says
# that the line ends nowhere else.
HYPHENS = "\x02\ufffe"
_WORD = re.compile(rf"[^\s{HYPHENS}]+[{HYPHENS}]?|[{HYPHENS}]")
_ROW = re.compile(rf"[^\r\n{HYPHENS}]+[{HYPHENS}]?|[{HYPHENS}]")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)
NOWHERE = Box(0, 0, 0, 0)
# Letters of which PDFium does not know what they are: beyond this share a page is not text. One
# word of some is asked for.
MAX_UNKNOWN = 0.5
SAMPLE = 5
# A piece of text that stands apart takes as long as so many letters of one that goes on.
PIECE = 40
LAST_LATIN = "\u024f"


class Word(NamedTuple):
    """A word of a page, and where it stands when the page is turned so that it is level."""

    text: str
    box: Box
    degrees: int


@dataclass
class PageLines:
    """The lines of a page; `turns` is by how many quarter turns they are set."""

    lines: list[Line] = field(default_factory=list)
    # what is written across the others: the stamp of an archive, the names of axes
    aside: list[Line] = field(default_factory=list)
    turns: int = 0
    frame: Box = NOWHERE
    unknown: bool = False
    # how much text it is, in letters; whether it is more than there was room for
    size: int = 0
    cut: bool = False


class Letters:
    """What PDFium knows of the letters of a page."""

    def __init__(self, text: Any) -> None:
        self._page = text.raw
        count = pdfium.FPDFText_CountChars(self._page)
        self._four = tuple(ctypes.c_double() for _ in range(4))
        self.text = self._whole(count)

    def _whole(self, count: int) -> str:
        """The letters, one for each that PDFium counts; a surrogate counts as one."""
        if count <= 0:
            return ""
        buffer = (ctypes.c_ushort * (count + 1))()
        if pdfium.FPDFText_GetText(self._page, 0, count, buffer) == count + 1:
            content = bytes(buffer)[:-2]
            text = content.decode("utf-16-le", "surrogatepass")
            return text if len(text) == count else "".join(map(chr, buffer[:count]))
        codes = (pdfium.FPDFText_GetUnicode(self._page, at) for at in range(count))
        return "".join(chr(code) if code < 0x110000 else " " for code in codes)

    def boxes(self, start: int, end: int) -> list[Box]:
        """What the letters of a range cover, in as many pieces as they were written."""
        count = pdfium.FPDFText_CountRects(self._page, start, end - start)
        left, top, right, bottom = self._four
        found = []
        for at in range(count):
            pdfium.FPDFText_GetRect(self._page, at, left, top, right, bottom)
            found.append(Box(left.value, bottom.value, right.value, top.value))
        return found

    def box(self, start: int, end: int) -> Box | None:
        """The box around the letters of a range."""
        return _around(self.boxes(start, end))

    def origin(self, at: int) -> tuple[float, float]:
        """Where the pen is set down for a letter."""
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDFText_GetCharOrigin(self._page, at, x, y)
        return x.value, y.value

    def degrees(self, at: int) -> int:
        """By how much a letter is turned, against the clock."""
        angle: float = pdfium.FPDFText_GetCharAngle(self._page, at)
        return -round(math.degrees(angle)) % 360 if angle > 0 else 0  # PDFium counts by it

    def size(self, at: int) -> float:
        """The size of a letter's font, as far as it is known."""
        size: float = pdfium.FPDFText_GetFontSize(self._page, at)
        return size if size > 1 else 10.0

    def unknown(self, at: int) -> bool:
        """Whether the font does not say what a letter is, and PDFium can hardly have guessed it.

        A guess among the Latin letters is mostly right: their fonts have the usual names for them.
        """
        letter = self.text[at]
        if letter <= LAST_LATIN and letter.isprintable():
            return False
        return bool(pdfium.FPDFText_HasUnicodeMapError(self._page, at) == 1)

    def glyphs(self, start: int, end: int) -> Iterator[right_to_left.Glyph]:
        """The letters of a range one by one, without what PDFium has added."""
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        for at in range(start, end):
            if pdfium.FPDFText_IsGenerated(self._page, at) == 1:
                continue
            pdfium.FPDFText_GetCharBox(self._page, at, left, right, bottom, top)
            box = Box(left.value, bottom.value, right.value, top.value)
            yield right_to_left.Glyph(self.text[at], self.origin(at)[0], box)


def lines_of(page: Any, text: Any, room: int) -> PageLines:
    """The lines of a page and what is known of them, up to so much text."""
    letters = Letters(text)
    frame = Box(*page.get_bbox())
    found = PageLines()
    words = []
    for word in _words(letters):
        found.size += len(word.text) + PIECE
        if found.size > room:
            found.cut = True
            break
        if _is_on(word, frame):
            words.append(word)
    if not words:
        return found
    unknown = _unknown(letters)
    if unknown > MAX_UNKNOWN:
        found.unknown = True
        return found
    turned: Counter[int] = Counter()
    for word in words:
        turned[word.degrees] += len(word.text)
    ((usual, _),) = turned.most_common(1)
    found.turns = usual // 90 if usual % 90 == 0 else 0
    found.frame = frame.turned(found.turns)
    for degrees, some in groupby(words, key=lambda word: word.degrees):
        lines = lines_from((_shown(word.text), word.box) for word in some)
        if degrees == usual:
            found.lines += lines
        else:
            found.aside += lines
    return found


def _shown(text: str) -> str:
    """The text of a word in letters that can be searched for; a hyphen of PDFium's is one."""
    soft = text[-1:] in HYPHENS and text[-1:] != ""
    whole = text[:-1] if soft else text
    if not whole.isascii():
        whole = whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
        whole = whole.translate(_LIGATURES)
    return clean(whole) + ("-" if soft else "")


def _is_on(word: Word, frame: Box) -> bool:
    if word.degrees == 0:
        return word.box.near(frame, 0)
    return word.degrees % 90 != 0 or word.box.turned(-word.degrees // 90).near(frame, 0)


def _unknown(letters: Letters) -> float:
    """The share of words that begin with a letter of which nobody knows what it is."""
    starts = [match.start() for match in _WORD.finditer(letters.text)][::SAMPLE]
    return sum(map(letters.unknown, starts)) / max(1, len(starts))


def _around(boxes: list[Box]) -> Box | None:
    return functools.reduce(Box.union, boxes) if boxes else None


def _words(letters: Letters) -> Iterator[Word]:
    """The words of a page, or whole rows of them where nothing in the row stands apart."""
    for row in _ROW.finditer(letters.text):
        start, end = row.end() - len(row[0].lstrip()), row.start() + len(row[0].rstrip())
        if start >= end:
            continue
        if right_to_left.HAS.search(row[0]):
            yield from _row_from_right(letters, start, end)
            continue
        degrees = letters.degrees(start)
        boxes = [box.turned(degrees // 90) for box in letters.boxes(start, end)]
        if degrees % 90 == 0 and boxes and all(goes_on(*pair) for pair in pairwise(boxes)):
            yield Word(letters.text[start:end], functools.reduce(Box.union, boxes), degrees)
            continue
        for match in _WORD.finditer(letters.text, start, end):
            yield _word(letters, match.start(), match.end(), degrees)


def _row_from_right(letters: Letters, start: int, end: int) -> Iterator[Word]:
    box = letters.box(start, end)
    text = right_to_left.in_reading_order(list(letters.glyphs(start, end)))
    if box and text:
        yield Word(text, box, 0)


def _word(letters: Letters, start: int, end: int, degrees: int) -> Word:
    text = letters.text[start:end]
    if letters.text[end : end + 1] == " " and text[-1] not in HYPHENS:
        text += " "
    box = letters.box(start, end)
    if box is None:
        x, y = letters.origin(start)
        box = Box(x, y, x, y)
    if degrees % 90 == 0:
        return Word(text, box.turned(degrees // 90), degrees)
    return Word(text, _level(letters, start, end, degrees), degrees)


def _level(letters: Letters, start: int, end: int, degrees: int) -> Box:
    """Where a slanting word stands on a page that is turned until it is level."""
    size = letters.size(start)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    (left, bottom), (right, _) = (
        (x * cosine + y * sine, y * cosine - x * sine)
        for x, y in (letters.origin(start), letters.origin(end - 1))
    )
    return Box(left, bottom, right + size / 2, bottom + size)
