"""What is printed at the head and the foot of each page, and is no part of the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from research_app.extract.layout import Box, Line

# Rows at each end of a page that may be head or foot, and where heads and feet end, in heights of
# the page: below or above stands text, whatever it is.
ROWS = 4
MARGIN = 0.15
LEAST_PAGES = 3
# A line in letters larger than the others is the title of a slide.
TALLER = 1.3

_DIGITS = re.compile(r"\d+")
_LETTER = re.compile(r"[^\W\d_]")
_ROMAN = re.compile(r"^[-\u2013\u2014\s]*[ivxlc]{1,7}[-\u2013\u2014\s]*$", re.I)

Key = tuple[str, int]


def without(pages: Sequence[Sequence[Line]], frames: Sequence[Box]) -> list[list[Line]]:
    """The lines of each page without its heads and feet.

    They are rows at the edge of a page that come again at the same height on other pages, whatever
    numbers stand in them; on three, or on both where there are two.
    """
    edges = [_edges(lines, frame) for lines, frame in zip(pages, frames, strict=True)]
    seen: Counter[Key] = Counter()
    for page in edges:
        seen.update({key for edge in page for _, keys in edge for key in keys})
    least = min(LEAST_PAGES, max(2, len(pages)))
    return [_kept(lines, page, seen, least) for lines, page in zip(pages, edges, strict=True)]


Row = tuple[list[int], list[Key]]


def _edges(lines: Sequence[Line], frame: Box) -> tuple[list[Row], list[Row]]:
    """The rows at the head and at the foot of a page, the outermost first."""
    if not lines:
        return [], []
    tall = sorted(line.box.height for line in lines)[len(lines) // 2] * TALLER
    rows = list(_rows(lines))
    inner_top, inner_bottom = (
        frame.top - MARGIN * frame.height,
        frame.bottom + MARGIN * frame.height,
    )
    numbered = [(row, _keys(lines, row, tall)) for row in rows[:ROWS] + rows[-ROWS:]]
    head = [row for row in numbered[:ROWS] if lines[row[0][0]].box.top > inner_top]
    foot = [row for row in numbered[::-1][:ROWS] if lines[row[0][0]].box.bottom < inner_bottom]
    return head, foot


def _rows(lines: Sequence[Line]) -> Iterator[list[int]]:
    """Lines that stand at one height, from the top of the page."""
    row: list[int] = []
    for at in sorted(range(len(lines)), key=lambda at: -lines[at].box.top):
        box = lines[at].box
        if row and (box.bottom + box.top) / 2 < lines[row[0]].box.bottom:
            yield row
            row = []
        row.append(at)
    if row:
        yield row


def _keys(lines: Sequence[Line], row: list[int], tall: float) -> list[Key]:
    """By what a row is known again; a row in large letters by nothing."""
    if any(lines[at].box.height > tall and len(lines[at].text) > 3 for at in row):
        return []
    text = " ".join(lines[at].text for at in sorted(row, key=lambda at: lines[at].box.left))
    height = round(lines[row[0]].box.bottom / 4)
    bare = " ".join(_DIGITS.sub("#", "#" if _ROMAN.match(text) else text).split())
    if bare.count("#") > 1 and not _LETTER.search(bare):
        return []  # a row of a table of numbers
    return [(bare, height), (bare, height + 1)]


def _kept(
    lines: Sequence[Line], edges: tuple[list[Row], list[Row]], seen: Counter[Key], least: int
) -> list[Line]:
    gone: set[int] = set()
    for edge in edges:
        for row, keys in edge:
            if not any(seen[key] >= least for key in keys):
                break
            gone.update(row)
    if len(gone) == len(lines):
        return list(lines)  # a page with nothing else
    return [line for at, line in enumerate(lines) if at not in gone]
