from __future__ import annotations

import pytest

from research_app.extract.hyphens import Vocabulary, mended
from research_app.extract.layout import Box, Line


def column(*texts: str) -> list[Line]:
    return [Line(text, Box(0, -12 * at, 300, 10 - 12 * at)) for at, text in enumerate(texts)]


def whole(*texts: str, elsewhere: str = "") -> list[str]:
    words = Vocabulary([elsewhere, *texts])
    return [text for text in mended(column(*texts), words) if text]


@pytest.mark.parametrize(
    ("lines", "elsewhere", "expected"),
    [
        (("was discov-", "ered there"), "", ["was discovered", "there"]),
        (("was discov\u2010", "ered there"), "", ["was discovered", "there"]),
        (("was discov\u00ad", "ered there"), "", ["was discovered", "there"]),
        (("an intermedi-", "ate."), "", ["an intermediate."]),
        (("die Gesell-", "schaft"), "", ["die Gesellschaft"]),
        (("die Ge-", "bäude"), "", ["die Gebäude"]),
        (("die Abh-", "ängigkeit"), "", ["die Abhängigkeit"]),
        (("иссле-", "дование"), "", ["исследование"]),
        (("a well-", "known fact"), "it is well-known", ["a well-known", "fact"]),
        (("a well-", "known fact"), "well-knowing people", ["a well-known", "fact"]),
        (("a data-", "base"), "the database and a data-base, a database", ["a database"]),
        (("a low-", "dimensional one"), "the low and dimensional", ["a low-dimensional", "one"]),
        (("the state-of-the-", "art of it"), "", ["the state-of-the-art", "of it"]),
        (("the state-", "of-the-art"), "", ["the state-of-the-art"]),
        (("a GPU-", "based one"), "", ["a GPU-based", "one"]),
        (("the INTRO-", "DUCTION"), "", ["the INTRODUCTION"]),
        (("by Navier-", "Stokes"), "Navier-Stokes flows", ["by Navier-Stokes"]),
        (("by Navier-", "Stokes"), "", ["by Navier-", "Stokes"]),
        (("both pre-", "and post-processing"), "", ["both pre-", "and post-processing"]),
        (
            ("see https://a.org/one-", "two/three now"),
            "",
            ["see https://a.org/one-two/three", "now"],
        ),
        (("pp. 12-", "20."), "", ["pp. 12-20."]),
        (("a list -", "of things"), "", ["a list -", "of things"]),
        (("an incom-", "prehensi-", "ble text"), "", ["an incomprehensible", "text"]),
    ],
)
def test_words_at_the_ends_of_lines(
    lines: tuple[str, ...], elsewhere: str, expected: list[str]
) -> None:
    assert whole(*lines, elsewhere=elsewhere) == expected


def test_what_stands_between_the_parts_of_a_word() -> None:
    found = whole("the dif-", "time in ms", "ferences show", elsewhere="differences")
    assert found == ["the differences", "time in ms", "show"]


def test_the_end_of_another_word_is_not_taken() -> None:
    found = whole("a tech-", "nology and tech-", "niques here", elsewhere="techniques")
    assert found == ["a technology", "and techniques", "here"]


def test_a_row_of_a_table_is_not_the_end_of_a_line() -> None:
    cells = [Line("a mem-", Box(0, 0, 50, 10)), Line("ber", Box(90, 0, 120, 10), beside=True)]
    assert mended(cells, Vocabulary([])) == ["a mem-", "ber"]
