"""Rows of Arabic, Hebrew and their like, in the order in which they are read.

A page says where each letter stands, not which comes first: programs write the letters of such a
row from the left, from the right, or word by word. So a row is put in order by its places.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from research_app.extract.layout import Box

HAS = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff]")

# A gap this wide, in heights of the row, is a space; wider where the row has spaces of its own,
# but for those between one script and another, which programs leave out.
GAP, GAP_BESIDE_SPACES = 0.17, 0.5
INSIDE = 0.15
# More letters at one place are no sign, but what the file says of a whole row.
LONGEST_SIGN = 3

# letters with which words end and hardly any begins
_FINAL = "\u0629\u0649\u05da\u05dd\u05df\u05e3\u05e5"
_BEGINS_FINAL = re.compile(rf"(?<!\w)[{_FINAL}](?=\w)")
_ENDS_FINAL = re.compile(rf"(?<=\w)[{_FINAL}](?!\w)")

_RIGHT = frozenset({"R", "AL"})
_NUMBER = frozenset({"EN", "AN"})
_WITHIN_NUMBERS = frozenset({"ES", "CS", "ET"})
_LAM = "\u0644"
_ALEF = frozenset("\u0622\u0623\u0625\u0627\u0671")
_BRACKETS = str.maketrans("()[]{}", ")(][}{")


class Glyph(NamedTuple):
    """A letter, or the letters that one sign stands for, and where it stands."""

    text: str
    origin: float
    box: Box


def in_reading_order(glyphs: Sequence[Glyph]) -> str:
    """The text of a row, from its letters in any order."""
    signs = _signs(glyphs)
    if any(len(sign.text) > LONGEST_SIGN for sign in signs):
        texts = (f" {sign.text.strip()} " if len(sign.text) > 1 else sign.text for sign in signs)
        return " ".join("".join(texts).split())
    seen = _with_spaces(_with_marks(signs))
    kinds = [_kind(text) for text in seen]
    right = sum(kind in _RIGHT for kind in kinds)
    if right < sum(kind == "L" for kind in kinds):
        return "".join(_from_left(seen, kinds)).strip()
    text = "".join(_from_right(seen, kinds)).strip()
    if len(_BEGINS_FINAL.findall(text)) > len(_ENDS_FINAL.findall(text)):
        text = "".join(seen).strip()  # a program that knew only rows from the left wrote it
    return _closed(text)


def _kind(text: str) -> str:
    return unicodedata.bidirectional(text[0])


def _signs(glyphs: Sequence[Glyph]) -> list[Glyph]:
    """Letters that stand at one place are one sign, which PDFium gives in the wrong order."""
    return [
        Glyph(_ordered("".join(letter.text for letter in letters)), *place)
        for place, letters in groupby(glyphs, key=lambda glyph: glyph[1:])
    ]


def _ordered(letters: str) -> str:
    if len(letters) > 1 and len(letters) <= LONGEST_SIGN:
        letters = letters.strip() or " "  # PDFium gives a mark that stands alone as one on a space
    if len(letters) == 1 or not HAS.search(letters):
        return letters
    if len(letters) == 2 and letters[0] == _LAM and letters[1] in _ALEF:
        return letters  # PDFium itself has taken U+FEFB and its like apart
    return letters[::-1]


def _with_marks(signs: list[Glyph]) -> list[Glyph]:
    """From the left; a mark belongs to the letter that it stands over, and follows it."""
    letters = sorted((sign for sign in signs if _kind(sign.text) != "NSM"), key=lambda s: s.origin)
    marks = [sign for sign in signs if _kind(sign.text) == "NSM"]
    if not marks:
        return letters
    middles = sorted((mark.box.left + mark.box.right, mark.text) for mark in marks)
    at = 0
    marked: list[Glyph] = []
    for place, letter in enumerate(letters):
        following = letters[place + 1].box.left if place + 1 < len(letters) else float("inf")
        end = max(letter.box.right, letter.box.left)
        limit = end if following < end else (end + following) / 2
        text = letter.text
        while not text.isspace() and at < len(middles) and middles[at][0] / 2 <= limit:
            text += middles[at][1]
            at += 1
        marked.append(letter._replace(text=text))
    if marked:
        rest = "".join(text for _, text in middles[at:])
        marked[-1] = marked[-1]._replace(text=marked[-1].text + rest)
    return marked


def _with_spaces(glyphs: list[Glyph]) -> list[str]:
    """The texts of a row, with a space where there is a gap."""
    height = max((glyph.box.height for glyph in glyphs), default=0.0)
    has_spaces = any(glyph.text.isspace() for glyph in glyphs)
    texts = [glyphs[0].text] if glyphs else []
    for before, glyph in pairwise(glyphs):
        if glyph.text.isspace() and glyph.origin < before.box.right - INSIDE * height:
            continue  # not between letters but in one: what a mark is set on
        spaced = before.text.isspace() or glyph.text.isspace()
        same = (_kind(before.text) in _RIGHT) == (_kind(glyph.text) in _RIGHT)
        least = (GAP_BESIDE_SPACES if has_spaces and same else GAP) * height
        if not spaced and glyph.box.left - before.box.right > least:
            texts.append(" ")
        texts.append(glyph.text)
    return texts


def _runs(kinds: list[str], inner: frozenset[str] | None) -> list[tuple[int, int]]:
    """Ranges of a row, each a run against its direction, or a single letter with it.

    Against the direction of a row from the right go Latin words and numbers; against that of one
    from the left (`inner`), words from the right.
    """
    runs: list[tuple[int, int]] = []
    at = 0
    while at < len(kinds):
        end = _run_to_left(kinds, at) if inner is None else _run_of(kinds, at, inner)
        runs.append((at, max(end, at + 1)))
        at = runs[-1][1]
    return runs


def _run_of(kinds: list[str], start: int, inner: frozenset[str]) -> int:
    """Where a run of such letters ends, with what is between them; before it, where none begins."""
    end = at = start
    if kinds[start] not in inner:
        return start
    while at < len(kinds) and kinds[at] != "L":
        at += 1
        if kinds[at - 1] in inner:
            end = at
    return end


def _run_to_left(kinds: list[str], start: int) -> int:
    """Where words and numbers that are read from the left end."""
    at = end = start
    while at < len(kinds) and kinds[at] not in _RIGHT:
        if kinds[at] == "L":
            at = end = at + 1
            while at < len(kinds) and kinds[at] not in _RIGHT and kinds[at] not in _STRONG:
                at += 1
            if at < len(kinds) and kinds[at] in _STRONG:
                continue
            break
        if kinds[at] in _NUMBER or (kinds[at] == "ET" and _beside_number(kinds, at)):
            at = end = at + 1
            if at + 1 < len(kinds) and kinds[at] in _WITHIN_NUMBERS and kinds[at + 1] in _NUMBER:
                at += 1
            continue
        break
    return end


_STRONG = _NUMBER | {"L"}


def _beside_number(kinds: list[str], at: int) -> bool:
    return (at > 0 and kinds[at - 1] in _NUMBER) or (
        at + 1 < len(kinds) and kinds[at + 1] in _NUMBER
    )


def _from_right(texts: list[str], kinds: list[str]) -> list[str]:
    ordered: list[str] = []
    for start, end in reversed(_runs(kinds, None)):
        ordered += texts[start:end]
    return ordered


def _from_left(texts: list[str], kinds: list[str]) -> list[str]:
    ordered: list[str] = []
    for start, end in _runs(kinds, _RIGHT):
        if end - start > 1:
            ordered += _from_right(texts[start:end], kinds[start:end])
        else:
            ordered += texts[start:end]
    return ordered


def _closed(text: str) -> str:
    """The row with its brackets turned, where they would close before they open."""
    turned = text.translate(_BRACKETS)
    return turned if _wrong(turned) < _wrong(text) else text


def _wrong(text: str) -> int:
    """How many brackets have no partner."""
    depth = wrong = 0
    for letter in text:
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            wrong += depth == 0
            depth -= depth > 0
    return wrong + depth
