from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_layout import boxes

from research_app.extract import figure_captions, placement
from research_app.extract.figure_captions import CAPTION, Caption
from research_app.extract.layout import Box, Line

PAGE = Box(0, 0, 600, 800)


def line(text: str, top: float, left: float = 100, right: float = 500, height: float = 9) -> Line:
    return Line(text, Box(left, top - height, right, top))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Figure 3: The result", "3"),
        ("Fig. 12. The result", "12"),
        ("FIGURE 1 | The result", "1"),
        ("Figure S2. More", "S2"),
        ("Figure A.1: More", "A.1"),
        ("Fig 4 \u2013 A dash", "4"),
        ("Figure 3 shows the result", ""),
        ("Figure 3A1. This is also well replicated", ""),
        ("Figure 1 of the original publication", ""),
        ("Figures 3: and 4", ""),
        ("see Figure 3: there", ""),
        ("Configure 3: it", ""),
    ],
)
def test_what_begins_a_caption(text: str, number: str) -> None:
    match = CAPTION.match(text)
    assert (match["number"] if match else "") == number


def test_a_caption_ends_where_the_text_goes_on() -> None:
    lines = [
        line("Figure 1: A caption of two lines with a", 300),
        line("hyphen in it.", 289),
        line("The text below stands apart from it and is not the caption's.", 260),
        line("Figure 2: Another", 200),
        line("Figure 3: directly below it", 189),
    ]
    assert [caption.text for caption in figure_captions.find(lines)] == [
        "Figure 1: A caption of two lines with a hyphen in it.",
        "Figure 2: Another",
        "Figure 3: directly below it",
    ]


def test_the_first_of_two_with_one_number() -> None:
    lines = [line("Figure 1: the caption", 300), line("Figure 1: mentioned again", 200)]
    assert [caption.box.top for caption in figure_captions.find(lines)] == [300]


def caption(number: str, box: Box) -> Caption:
    return Caption(number, f"Figure {number}: x", box)


def test_a_drawing_belongs_to_the_caption_below_it() -> None:
    drawings = [Box(100, 500, 500, 700), Box(100, 200, 280, 400), Box(320, 200, 500, 400)]
    captions = [caption("1", Box(100, 480, 500, 490)), caption("2", Box(100, 180, 500, 190))]
    assert placement.place(captions, drawings, [], PAGE) == {
        "1": drawings[0],
        "2": Box(100, 200, 500, 400),  # both panels
    }


def test_where_captions_stand_above() -> None:
    drawings = [Box(100, 500, 500, 700), Box(100, 100, 500, 400)]
    captions = [caption("1", Box(100, 710, 500, 720)), caption("2", Box(100, 410, 500, 420))]
    assert placement.place(captions, drawings, [], PAGE) == {"1": drawings[0], "2": drawings[1]}


def test_a_caption_beside_its_drawing() -> None:
    drawing = Box(200, 300, 500, 600)
    captions = [caption("1", Box(50, 400, 190, 500))]
    assert placement.place(captions, [drawing], [], PAGE) == {"1": drawing}


def test_text_between_parts_them() -> None:
    drawing, below = Box(100, 500, 500, 700), caption("1", Box(100, 300, 500, 310))
    prose = line("A line of the paper's own text that runs across the column.", 450)
    panel = line("(b) The same on a smaller scale, for the second of the sets", 450)
    assert placement.place([below], [drawing], [prose], PAGE) == {}
    assert placement.place([below], [drawing], [panel], PAGE) == {"1": drawing}


def test_what_is_no_drawing() -> None:
    logo, rule, background = Box(10, 770, 40, 795), Box(50, 100, 550, 100.5), PAGE
    plot = [Box(100 + x, 300, 105 + x, 400) for x in range(0, 100, 10)]
    assert placement.clusters([logo, rule, background, *plot], PAGE) == [Box(100, 300, 195, 400)]


@given(st.lists(boxes(), max_size=40), st.lists(boxes(), max_size=5))
def test_placing_anything(drawn: list[Box], labels: list[Box]) -> None:
    """Each drawing goes to one caption at most, and a place holds whole drawings."""
    drawings = placement.clusters(drawn, PAGE)
    captions = [caption(str(number), box) for number, box in enumerate(labels)]
    found = placement.place(captions, drawings, [], PAGE)
    assert set(found) <= {caption.number for caption in captions}
    for box in found.values():
        assert any(drawing.union(box) == box for drawing in drawings)


@given(st.lists(boxes(), max_size=40))
def test_clusters_do_not_depend_on_luck(drawn: list[Box]) -> None:
    found = placement.clusters(drawn, PAGE)
    assert all(box.width >= placement.MIN_SIDE for box in found)
    assert set(placement.clusters(drawn[::-1], PAGE)) == set(found)
    assert not any(one.near(other, placement.NEAR) for one, other in combinations(found, 2))


@given(st.lists(st.tuples(st.text(max_size=30), boxes()), max_size=20))
def test_captions_of_anything(pieces: list[tuple[str, Box]]) -> None:
    for found in figure_captions.find([Line(text, box) for text, box in pieces]):
        assert CAPTION.match(found.text)
        assert len(found.text) <= figure_captions.MAX_CHARACTERS
