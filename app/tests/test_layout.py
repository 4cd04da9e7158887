from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from research_app.extract.layout import Box, Line, lines_from, usual_pitch

finite = st.floats(-1000, 1000, allow_nan=False)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, bottom = draw(finite), draw(finite)
    return Box(left, bottom, left + draw(st.floats(0, 600)), bottom + draw(st.floats(0, 800)))


def test_pieces_of_a_line_become_one() -> None:
    pieces = [
        ("A title in", Box(100, 700, 160, 710)),
        ("italics", Box(163, 700, 200, 710)),
        (",", Box(200.5, 698, 202, 702)),  # a comma hangs below the line
        ("2", Box(203, 706, 206, 711)),  # and a footnote's mark stands above it
        ("the other column", Box(320, 700, 420, 710)),
        ("the next line", Box(100, 688, 160, 698)),
        (" ", Box(161, 688, 162, 698)),
    ]
    assert [line.text for line in lines_from(pieces)] == [
        "A title in italics,2",
        "the other column",
        "the next line",
    ]


@given(st.lists(st.tuples(st.text(max_size=5), boxes()), max_size=30))
def test_no_letter_is_lost(pieces: list[tuple[str, Box]]) -> None:
    def letters(texts: list[str]) -> str:
        return "".join("".join(texts).split())

    lines = lines_from(pieces)
    assert letters([line.text for line in lines]) == letters([text for text, _ in pieces])


@given(boxes(), boxes())
def test_boxes(one: Box, other: Box) -> None:
    both = one.union(other)
    assert both.near(one, 0)
    assert both.near(other, 0)
    assert both.area >= max(one.area, other.area) - 1e-6
    assert one.near(other, 10) == other.near(one, 10)


def test_the_pitch_is_that_of_most_lines() -> None:
    lines = [Line("x", Box(0, top - 9, 10, top)) for top in (700, 688, 676, 600, 588)]
    assert usual_pitch(lines) == 12
    assert usual_pitch([]) == 12
