"""Captions of figures among the lines of a page."""

from __future__ import annotations

import re
from typing import NamedTuple

from research_app.extract.layout import Box, Line
from research_app.extract.references import join

# "Figure 3: …", "Fig. 3. …", "FIGURE S2 | …"; not "Figure 3 shows" and not "Figure 3A1. This is"
CAPTION = re.compile(
    r"^(?:Figure|Fig\.?|FIGURE|FIG\.?)\s*(?P<number>[A-Z]?\.?\d{1,3})\s*[.:|\u2014\u2013-]\s*(?=\S|$)"
)

MAX_LINES = 30
MAX_CAPTIONS = 30
MAX_CHARACTERS = 2000
# a caption goes on in the next line where that is as near and as high as lines of one text are
MAX_PITCH = 1.6
TALLER = 1.4


class Caption(NamedTuple):
    """The caption of a figure, and where it stands."""

    number: str
    text: str
    box: Box


def find(lines: list[Line]) -> list[Caption]:
    """The captions of a page; of two with one number the first."""
    found: dict[str, Caption] = {}
    for at, line in enumerate(lines):
        if len(found) == MAX_CAPTIONS:
            break
        match = CAPTION.match(line.text)
        if match and match["number"] not in found:
            texts, box = _whole(lines, at)
            text = join(texts)[:MAX_CHARACTERS]
            if CAPTION.sub("", text).strip():
                found[match["number"]] = Caption(match["number"], text, box)
    return list(found.values())


def _whole(lines: list[Line], at: int) -> tuple[list[str], Box]:
    """The lines of a caption that begins at one, and the box around them."""
    texts, box = [lines[at].text], lines[at].box
    last, highest = box, max(box.height, 6.0)
    for line in lines[at + 1 : at + MAX_LINES]:
        if CAPTION.match(line.text) or not _follows(last, line.box, highest):
            break
        texts.append(line.text)
        box, last, highest = box.union(line.box), line.box, max(highest, line.box.height)
    return texts, box


def _follows(above: Box, below: Box, highest: float) -> bool:
    step = above.top - below.top
    beneath = below.left < above.right and above.left - below.left < 40
    near = 0 < step <= MAX_PITCH * highest
    return near and beneath and below.height <= TALLER * highest
