from __future__ import annotations

import pytest

from research_app.extract.layout import Box, Line
from research_app.extract.running_heads import without

FRAME = Box(0, 0, 600, 800)


def line(text: str, top: float, left: float = 100, height: float = 9) -> Line:
    return Line(text, Box(left, top - height, left + 6 * len(text), top))


def page(*edges: Line, body: str = "some text") -> list[Line]:
    return [*edges, *(line(f"{body} {at}", 700 - 12 * at) for at in range(20))]


def kept(*pages: list[Line]) -> list[list[str]]:
    """What is left of pages but for their text."""
    found = without(pages, [FRAME] * len(pages))
    return [[line.text for line in lines if "text" not in line.text] for lines in found]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        # the same on each page, whatever its number
        ([[("A Journal 5, 2020", 60)]] * 3, []),
        ([[("A Journal", 780), (f"{n}", 50)] for n in (7, 8, 9)], []),
        ([[(f"Page {n} of 9", 50)] for n in (1, 2, 3)], []),
        ([[(n, 50)] for n in ("iii", "iv", "v")], []),
        ([[(f"{n} Name et al.", 780), ("A Journal", 50)] for n in (2, 3, 4)], []),
        # two rows
        ([[("A Journal", 60), ("Some licence", 48)] for _ in range(3)], []),
        # what stands on one page only, or between the heads and the text
        ([[(f"{n} zebras", 780)] for n in ("Ten", "Six", "Two")], ["Ten zebras"]),
        ([[("A Journal", 780), (n, 760)] for n in ("One", "Two", "Three")], ["One"]),
        # a table that goes on from page to page
        ([[("0.1 0.5 0.7", 780)]] * 3, ["0.1 0.5 0.7"]),
        # in the middle of the page, or at another height on each
        ([[("Summary", 400)]] * 3, ["Summary"]),
        ([[("Summary", top)] for top in (780, 740, 700)], ["Summary"]),
    ],
)
def test_heads_and_feet(edges: list[list[tuple[str, float]]], expected: list[str]) -> None:
    pages = [page(*(line(text, top) for text, top in own)) for own in edges]
    assert kept(*pages)[0] == expected


def test_the_titles_of_slides_stay() -> None:
    slides = [page(line("Results", 780, height=20)) for _ in range(4)]
    assert kept(*slides) == [["Results"]] * 4


def test_a_page_with_nothing_else_keeps_it() -> None:
    assert kept(*([line(f"Potato {number}", 750)] for number in range(3)))[1] == ["Potato 1"]


def test_both_pages_of_two() -> None:
    assert kept(page(line("A Journal", 60)), page(line("A Journal", 60))) == [[], []]
    assert kept(page(line("A Journal", 60))) == [["A Journal"]]
    assert without([[], []], [FRAME, FRAME]) == [[], []]
