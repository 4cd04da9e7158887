"""Where text stands on a page: lines with their boxes, put together from what the reader finds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

# Rectangles of one line: at the same height, and no farther apart than letters are high.
SAME_HEIGHT = 0.3
MAX_GAP = 1.6
SPACE_GAP = 0.15
LEAST_HEIGHT = 6.0
MAX_PITCH = 40.0
USUAL_PITCH = 12.0


class Box(NamedTuple):
    """A rectangle of a page, in points from its lower left corner."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom

    @property
    def area(self) -> float:
        return self.width * self.height

    def union(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(
            min(self.left, other.left),
            min(self.bottom, other.bottom),
            max(self.right, other.right),
            max(self.top, other.top),
        )

    def gap_beside(self, other: Box) -> float:
        """How far apart they are from left to right; 0 where one is above the other."""
        return max(0.0, self.left - other.right, other.left - self.right)

    def gap_above(self, other: Box) -> float:
        """How far apart they are from bottom to top; 0 where one is beside the other."""
        return max(0.0, self.bottom - other.top, other.bottom - self.top)

    def turned(self, quarters: int) -> Box:
        """Where it is when the page is turned so by the clock, about its lower left corner."""
        left, bottom, right, top = self
        match quarters % 4:
            case 1:
                return Box(bottom, -right, top, -left)
            case 2:
                return Box(-right, -top, -left, -bottom)
            case 3:
                return Box(-top, left, -bottom, right)
        return self

    def near(self, other: Box, distance: float) -> bool:
        """Whether they overlap or almost do."""
        return self.gap_beside(other) <= distance and self.gap_above(other) <= distance


class Line(NamedTuple):
    """A line of text; `beside` where it stands to the right of the one before, in the same row."""

    text: str
    box: Box
    beside: bool = False


def _stands_beside(last: Box, box: Box) -> bool:
    """Whether a box begins where the one before ends, in the same row."""
    return box.left >= last.right and _is_level(last, box)


def _is_level(line: Box, box: Box) -> bool:
    overlap = min(line.top, box.top) - max(line.bottom, box.bottom)
    return overlap > 0 and overlap >= SAME_HEIGHT * min(line.height, box.height)


def goes_on(line: Box, box: Box) -> bool:
    """Whether a piece of text stands in a line, as the next one of it."""
    height = min(line.height, box.height)
    gap = box.left - line.right
    near = -height <= gap <= MAX_GAP * max(line.height, LEAST_HEIGHT)
    return near and _is_level(line, box)


def lines_from(parts: Iterable[tuple[str, Box]]) -> list[Line]:
    """Lines out of the pieces of text of a page, in the order in which they are read."""
    texts: list[list[str]] = []
    boxes: list[Box] = []
    beside: list[bool] = []
    for text, box in parts:
        if not text.strip():
            continue
        last = boxes[-1] if boxes else None
        if last and goes_on(last, box):
            apart = box.left - last.right > SPACE_GAP * max(last.height, LEAST_HEIGHT)
            if apart and not texts[-1][-1].endswith(" "):
                texts[-1].append(" ")
            texts[-1].append(text)
            boxes[-1] = last.union(box)
        else:
            beside.append(last is not None and _stands_beside(last, box))
            texts.append([text])
            boxes.append(box)
    return [
        Line("".join(text).strip(), box, level)
        for text, box, level in zip(texts, boxes, beside, strict=True)
    ]


def usual_pitch(lines: list[Line]) -> float:
    """From the top of a line to the top of the next, as it mostly is."""
    steps = [
        above.box.top - below.box.top
        for above, below in pairwise(lines)
        if 0 < above.box.top - below.box.top < MAX_PITCH
    ]
    return statistics.median(steps) if steps else USUAL_PITCH
