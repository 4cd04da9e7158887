"""Footnotes after the text that they stand below.

The foot of a column is not the end of a sentence, and often not of a word: what stands there in
small letters comes after all other lines of its page.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

from research_app.extract.layout import Box, Line

# By how much the letters of footnotes are smaller, told by lines long enough to have all heights.
SMALLER = 0.93
LONG = 20
# Footnotes stand in the lower part of a page, and a few to a column.
LOWEST = 0.5
MAX_LINES = 40

MARK = re.compile(r"^(?:\d{1,3}[.)]?|[*†‡§¶\u2217]+|[a-z]\))\s?(?=\S)|^[a-z](?=[A-Z])")


def footnotes_last(lines: Sequence[Line], frame: Box) -> list[Line]:
    """The lines of a page, those of its footnotes at the end."""
    long = [line.box.height for line in lines if len(line.text) >= LONG]
    if len(long) < 4:
        return list(lines)
    usual = statistics.median(long)
    notes: set[int] = set()
    for end in _column_ends(lines):
        notes.update(_notes(lines, end, usual, frame.bottom + LOWEST * frame.height))
    body = [line for at, line in enumerate(lines) if at not in notes]
    return body + [lines[at] for at in sorted(notes)]


def _column_ends(lines: Sequence[Line]) -> list[int]:
    """The last line of each column: the one before a line that stands higher, to its right."""
    return [
        at
        for at in range(len(lines) - 1)
        if lines[at + 1].box.bottom > lines[at].box.top
        and lines[at + 1].box.left > lines[at].box.left
    ]


def _notes(lines: Sequence[Line], end: int, usual: float, half: float) -> range:
    """The lines up to the end of a column that are its footnotes; none, where none has a mark."""
    first = None
    for at in range(end, max(-1, end - MAX_LINES), -1):
        line = lines[at]
        if line.box.top > half or (at < end and line.box.bottom < lines[at + 1].box.bottom - 1):
            break
        if len(line.text) >= LONG and line.box.height > SMALLER * usual:
            break
        if MARK.match(line.text):
            first = at
    return range(first, end + 1) if first is not None else range(0)
