from __future__ import annotations

import pytest

from research_app.extract.layout import Box, Line
from research_app.extract.reading_order import footnotes_last

FRAME = Box(0, 0, 600, 800)
BODY = [f"line {at} of the text of this paper" for at in range(30)]


def column(left: float, texts: list[str], top: float = 700, height: float = 10) -> list[Line]:
    return [
        Line(text, Box(left, top - 12 * at - height, left + 200, top - 12 * at))
        for at, text in enumerate(texts)
    ]


LEFT, RIGHT = column(50, BODY), column(320, BODY)


@pytest.mark.parametrize(
    ("notes", "moved"),
    [
        (column(50, ["1 A note on zebras and others.", "that goes on in a line"], 300, 8), True),
        (column(50, ["* They ran as fast as others."], 300, 8), True),
        (column(50, ["no mark is before these words"], 300, 8), False),
        (column(50, ["1 as large as the text is set"], 300, 10), False),
    ],
)
def test_footnotes_of_a_column(notes: list[Line], moved: bool) -> None:
    lines = [*LEFT, *notes, *RIGHT]
    expected = [*LEFT, *RIGHT, *notes] if moved else lines
    assert footnotes_last(lines, FRAME) == expected


def test_pages_with_little_on_them() -> None:
    assert footnotes_last([], FRAME) == []
    assert footnotes_last(LEFT[:2], FRAME) == LEFT[:2]
