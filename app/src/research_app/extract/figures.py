"""Figures of a PDF: the drawing that a caption is about, as a small picture.

The part of the page is rendered, whatever it is made of: a photograph, a plot of a thousand lines,
or both with letters over them.
"""

from __future__ import annotations

import io
import math
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_raw
from PIL import Image

from research_app.extract import figure_captions, placement
from research_app.extract.layout import Box, Line

DRAWN = (
    pdfium_raw.FPDF_PAGEOBJ_IMAGE,
    pdfium_raw.FPDF_PAGEOBJ_PATH,
    pdfium_raw.FPDF_PAGEOBJ_SHADING,
    pdfium_raw.FPDF_PAGEOBJ_FORM,
)
MAX_OBJECTS = 20_000
MAX_FIGURES = 200
LONGEST_SIDE = 480
COVER_SIDE = 320
QUALITY = 72
MARGIN = 4.0


def pieces(page: Any, frame: Box, turns: int) -> list[Box]:
    """Where something other than text is drawn, on the page turned so."""
    boxes = []
    for count, item in enumerate(page.get_objects(filter=DRAWN, max_depth=1)):
        if count >= MAX_OBJECTS:
            break
        box = Box(*item.get_bounds()).turned(turns)
        if all(map(math.isfinite, box)) and box.near(frame, 0):
            boxes.append(_within(box, frame))
    return boxes


def _within(box: Box, frame: Box) -> Box:
    return Box(
        max(box.left, frame.left),
        max(box.bottom, frame.bottom),
        min(box.right, frame.right),
        min(box.top, frame.top),
    )


def figures_of(page: Any, number: int, lines: list[Line], turns: int) -> list[dict[str, Any]]:
    """The figures of a page that have a caption; the picture of one may be missing.

    `turns` is by how many quarters the page is turned by the clock, that its lines are level.
    """
    captions = figure_captions.find(lines)
    if not captions:
        return []
    frame = Box(*page.get_bbox()).turned(turns)
    drawn = pieces(page, frame, turns)
    placed = placement.place(captions, placement.clusters(drawn, frame), lines, frame)
    own = [*placed.values(), *(caption.box for caption in captions)]
    found = []
    for caption in captions:
        box = placed.get(caption.number)
        if box is None:
            others = [other for other in own if other != caption.box]
            box = placement.room_above(caption.box, lines, others, frame)
            if box and not any(piece.near(box, -MARGIN) for piece in drawn):
                box = None
        picture = render(page, box, frame, LONGEST_SIDE, turns) if box else None
        found.append({"page": number, "caption": caption.text, "picture": picture})
    return found


def cover(page: Any, turns: int) -> bytes | None:
    """The whole page, small, turned so that its lines are level."""
    frame = Box(*page.get_bbox()).turned(turns)
    return render(page, frame, frame, COVER_SIDE, turns)


def render(page: Any, box: Box, frame: Box, longest: int, turns: int) -> bytes | None:
    """A part of a turned page as a WebP picture; None where there is nothing on it."""
    if page.get_rotation():
        page.set_rotation(0)
    box = _within(
        Box(box.left - MARGIN, box.bottom - MARGIN, box.right + MARGIN, box.top + MARGIN), frame
    )
    if min(box.width, box.height) < 1:
        return None
    box, frame = box.turned(-turns), frame.turned(-turns)
    scale = longest / max(box.width, box.height)
    crop = (
        box.left - frame.left,
        box.bottom - frame.bottom,
        frame.right - box.right,
        frame.top - box.top,
    )
    try:
        bitmap = page.render(scale=scale, crop=crop, may_draw_forms=False, rev_byteorder=True)
    except (pdfium.PdfiumError, ValueError):
        return None  # the text is worth having without it
    try:
        picture = bitmap.to_pil().convert("RGB")
    finally:
        bitmap.close()
    if _is_blank(picture):
        return None
    picture.thumbnail((longest, longest))
    picture = picture.rotate(-90 * turns, expand=True)
    output = io.BytesIO()
    picture.save(output, "WEBP", quality=QUALITY, method=2)
    return output.getvalue()


def _is_blank(picture: Image.Image) -> bool:
    return all(low == high for low, high in picture.getextrema())  # type: ignore[misc]
