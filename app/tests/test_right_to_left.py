from __future__ import annotations

import pytest

from research_app.extract.layout import Box
from research_app.extract.right_to_left import Glyph, in_reading_order


def row(*signs: str) -> list[Glyph]:
    """Signs beside each other from the left; a sign may stand for two letters, in their order."""
    glyphs = []
    for at, sign in enumerate(signs):
        box = Box(10.0 * at, 0, 10.0 * at + (0 if sign == " " else 9.5), 12)
        glyphs += [Glyph(letter, box.left, box) for letter in sign]
    return glyphs


SALAM = ("م", "ال", "س")  # as PDFium gives the two letters of one sign


@pytest.mark.parametrize(
    ("signs", "text"),
    [
        (SALAM, "سلام"),
        (("م", "لا", "س"), "سلام"),
        ((*SALAM, " ", "م", "ل", "ع"), "علم سلام"),
        ((*SALAM, " ", "R", "o", " ", "م", "ل", "ع"), "علم Ro سلام"),
        ((*SALAM, " ", "1", "2", ".", "5", " ", "م", "ل", "ع"), "علم 12.5 سلام"),
        ((*SALAM, " ", "5", "0", "%"), "50% سلام"),
        (("a", "b", " ", *SALAM, " ", "c", "d", "e"), "ab سلام cde"),
        ((")", "5", "(", " ", *SALAM), "سلام (5)"),
        (("ם", "\u05d5", "ל", "ש"), "של\u05d5ם"),
        # written from the left by a program that knew no other way
        (("ש", "ל", "\u05d5", "ם"), "של\u05d5ם"),
    ],
)
def test_rows(signs: tuple[str, ...], text: str) -> None:
    assert in_reading_order(row(*signs)) == text
    backwards = in_reading_order(sorted(row(*signs), key=lambda glyph: -glyph.origin))
    assert backwards == text  # whichever way the letters are written


def test_a_gap_is_a_space() -> None:
    left, right = row(*SALAM), row("م", "ل", "ع")
    far = [
        Glyph(glyph.text, glyph.origin + 40, Box(glyph.box.left + 40, 0, glyph.box.right + 40, 12))
        for glyph in right
    ]
    assert in_reading_order(left + far) == "علم سلام"


def test_a_mark_follows_its_letter() -> None:
    letters = row("ب", "ح")
    mark = Glyph("\u064e", 12.0, Box(12, 13, 16, 15))
    assert in_reading_order([letters[0], mark, letters[1]]) == "ح\u064eب"


def test_nothing() -> None:
    assert in_reading_order([]) == ""
