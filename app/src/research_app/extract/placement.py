"""Which of the drawings on a page belongs to which caption."""

from __future__ import annotations

import re
from collections.abc import Sequence

from research_app.extract.figure_captions import Caption
from research_app.extract.layout import Box, Line

NEAR = 12.0
MAX_CLUSTERS = 60
# smaller ones are logos, rules and formulas
MIN_SIDE = 36.0
MIN_AREA = 2500.0
MAX_SHARE = 0.9
RULE = 2.0
# beyond it a drawing is not the caption's
MAX_DISTANCE = 320.0
BESIDE = 1.5
PROSE_WIDTH = 0.22
PROSE_LETTERS = 40
# "(b) the same on a smaller scale" stands between a panel and the caption of all
PANEL = re.compile(r"\(?[a-zA-Z]\)")


def clusters(boxes: Sequence[Box], page: Box) -> list[Box]:
    """Drawings, each made of the pieces that lie close together."""
    found: list[Box] = []
    for box in boxes:
        if box.area > MAX_SHARE * page.area or min(box.width, box.height) < 0:
            continue
        if box.height < RULE and box.width > 0.3 * page.width:
            continue  # a rule across the page
        _add(found, box)
    merged = True
    while merged:
        merged = False
        for at in range(len(found) - 1, -1, -1):
            box = found.pop(at)
            count = len(found)
            _add(found, box)
            merged = merged or len(found) == count
    return [
        box for box in found if min(box.width, box.height) >= MIN_SIDE and box.area >= MIN_AREA
    ][:MAX_CLUSTERS]


def _add(found: list[Box], box: Box) -> None:
    """Join a box to one that is near it, the latest first; or keep it as another."""
    for at in range(len(found) - 1, max(-1, len(found) - 200), -1):
        if found[at].near(box, NEAR):
            found[at] = found[at].union(box)
            return
    found.append(box)


def is_prose(line: Line, page: Box) -> bool:
    """A line of running text, not a word in a drawing."""
    wide = len(line.text) >= PROSE_LETTERS and line.box.width >= PROSE_WIDTH * page.width
    return wide and not PANEL.match(line.text)


def _between(drawing: Box, caption: Box, prose: Sequence[Box]) -> bool:
    """Whether running text separates a drawing from a caption below or above it."""
    low, high = sorted((min(drawing.top, caption.top), max(drawing.bottom, caption.bottom)))
    return any(
        low - 1 <= text.bottom
        and text.top <= high + 1
        and text.gap_beside(drawing) == 0
        and text.gap_beside(caption) == 0
        for text in prose
    )


def _distance(drawing: Box, caption: Box, above: bool) -> float:
    """How far a drawing is from a caption that stands below it (or above it), or beside it."""
    beside, apart = drawing.gap_beside(caption), drawing.gap_above(caption)
    if apart == 0:
        return BESIDE * beside
    on_right_side = drawing.bottom >= caption.top - NEAR if above else drawing.top <= caption.bottom
    return apart + 2 * beside if on_right_side else float("inf")


def place(
    captions: Sequence[Caption], drawings: Sequence[Box], lines: Sequence[Line], page: Box
) -> dict[str, Box]:
    """Number of a caption → the part of the page that it is about.

    Captions stand below their figures; on a page where more find one when they are taken to stand
    above, they do.
    """
    own = [caption.box for caption in captions]
    prose = [
        line.box
        for line in lines
        if is_prose(line, page) and not any(line.box.near(box, -0.5) for box in own)
    ]
    below = _assigned(captions, drawings, prose, above=True)
    if len(below) == len(captions):
        return below
    other = _assigned(captions, drawings, prose, above=False)
    return other if len(other) > len(below) else below


def _assigned(
    captions: Sequence[Caption], drawings: Sequence[Box], prose: Sequence[Box], *, above: bool
) -> dict[str, Box]:
    found: dict[str, Box] = {}
    for drawing in drawings:
        if any(drawing.near(caption.box, -NEAR) for caption in captions):
            continue  # a frame around it all
        distances = [
            (_distance(drawing, caption.box, above), caption.number)
            for caption in captions
            if not _between(drawing, caption.box, prose)
        ]
        distance, number = min(distances, default=(float("inf"), ""))
        if distance <= MAX_DISTANCE:
            found[number] = found[number].union(drawing) if number in found else drawing
    return found


def room_above(caption: Box, lines: Sequence[Line], taken: Sequence[Box], page: Box) -> Box | None:
    """Where a figure may be that nothing else shows: from a caption up to what is next."""
    prose = [line.box for line in lines if is_prose(line, page)]
    over = [
        box.bottom
        for box in (*prose, *taken)
        if box.bottom >= caption.top - 1 and box.gap_beside(caption) == 0
    ]
    top = min(over, default=page.top - 0.06 * page.height)
    room = Box(caption.left, caption.top, caption.right, top)
    return room if room.height >= 2 * MIN_SIDE and room.width >= MIN_SIDE else None
