"""Words that the end of a line cut in two, whole again.

A hyphen at the end of a line is either the typesetter's or the word's own. The rest of the document
tells: how it writes the word, and words that begin alike, where no line ends.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

from research_app.extract.layout import Line

HYPHENS = "-\u2010\u00ad"
SOFT = "\u00ad"

_LETTER = r"[^\W\d_]"
_WORD = re.compile(rf"{_LETTER}+(?:[-\u2010]{_LETTER}+)*")
# the end of a line, and how the next one goes on
_BEFORE = re.compile(rf"\S*\w[{HYPHENS}]$")
_AFTER = re.compile(r"\S+")
_FIRST = re.compile(rf"{_LETTER}+")
_ADDRESS = re.compile(r"://|www\.|@|doi\.org|/")
LONGEST = 200
# how many lines below the rest of a word is looked for, and how often in a document
NEAR = 60
MAX_SEARCHES = 500
# of one word, each but the last a whole line
MAX_PARTS = 4

# "pre- and postprocessing": the hyphen stands for a word that follows
_AND = frozenset(
    {"and", "or", "to", "und", "oder", "bis", "sowie", "et", "ou", "y", "o", "en", "и"}
)
# that many letters of what follows tell whether a word of the document begins like this
_ALIKE = 3
_LEAST_WORD = 3


class Vocabulary:
    """The words that a document writes within its lines, with and without hyphens."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = list(lines)

    @cached_property
    def _times(self) -> Counter[str]:
        """How often each word comes; counted only where somebody asks."""
        times: Counter[str] = Counter()
        cut = False
        for line in self._lines:
            low = line.lower().rstrip().replace("\u2010", "-")
            found = _WORD.findall(low)
            found = found[1:] if cut else found
            cut = low.endswith(tuple(HYPHENS))
            for word in found[:-1] if cut else found:
                times[word] += 1
                if "-" in word:
                    times.update(word.split("-"))
        return times

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self._times)

    def times(self, word: str) -> int:
        """How often a word comes."""
        return self._times[word]

    def begins(self, start: str) -> bool:
        """Whether a word begins so."""
        at = bisect_left(self._sorted, start)
        return at < len(self._sorted) and self._sorted[at].startswith(start)

    def keeps_hyphen(self, before: str, after: str) -> bool:
        """Whether the hyphen between two parts is the word's own."""
        before, after = before.lower(), after.lower()
        whole, apart = self.times(before + after), self.times(f"{before}-{after}")
        if whole or apart:
            return apart > whole
        alike = after[:_ALIKE]
        if self.begins(before + alike):
            return False
        if self.begins(f"{before}-{alike}"):
            return True
        long_enough = min(len(before), len(after)) >= _LEAST_WORD
        return long_enough and bool(self.times(before) and self.times(after))


def joined(line: str, following: str, words: Vocabulary) -> tuple[str, str] | None:
    """Two lines with the word between them whole at the end of the first; None where there is none.

    What belongs to the word is taken off the second.
    """
    cut = _BEFORE.search(line, max(0, len(line) - LONGEST))
    rest = _AFTER.match(following)
    if cut is None or rest is None or not following[0].isalnum():
        return None
    mark, stem, tail = line[-1], line[:-1], rest[0][:LONGEST]
    following = following[len(tail) :].lstrip()
    if _ADDRESS.search(cut[0]) and mark != SOFT:
        return line + tail, following
    before, after = _last(stem), _FIRST.match(tail)
    if not before or after is None:
        return (line if mark != SOFT else stem) + tail, following
    if not after[0].islower() and not _goes_on_large(before, after[0], words):
        return None
    if after[0].lower() in _AND and not words.times((before + after[0]).lower()):
        return None
    own = mark != SOFT and _is_own(stem, before, after[0], tail, words)
    return stem + ("-" if own else "") + tail, following


def _goes_on_large(before: str, after: str, words: Vocabulary) -> bool:
    """Whether a word goes on in capitals, or in letters that are neither large nor small."""
    if not after[0].isupper() or (before.isupper() and after.isupper()):
        return True
    return bool(words.times(f"{before}-{after}".lower()) or words.times((before + after).lower()))


def _is_own(stem: str, before: str, after: str, tail: str, words: Vocabulary) -> bool:
    """Whether a hyphen at the end of a line belongs to the word."""
    if words.times((before + after).lower()) > words.times(f"{before}-{after}".lower()):
        return False
    if after[0].isupper() and not before.isupper():
        return True
    if before.isupper() and len(before) > 1 and not after.isupper():
        return True
    compound = stem[: -len(before)].endswith(("-", "\u2010"))
    if compound or (tail[len(after) :][:1] in HYPHENS and tail[len(after) + 1 :]):
        return True  # no typesetter adds a hyphen to a word that has one
    return words.keeps_hyphen(before, after)


def mended(lines: Sequence[Line], words: Vocabulary) -> list[str]:
    """The texts of lines with their words whole; one that was only the end of a word is empty.

    Between the two parts of a word may stand what is no text, as the letters of a drawing: where
    the next line does not make a word that the document has, one below it may.
    """
    texts = [line.text for line in lines]
    searches = MAX_SEARCHES
    for at in range(len(texts) - 1):
        for _ in range(MAX_PARTS):
            if not texts[at].endswith(tuple(HYPHENS)) or lines[at + 1].beside:
                break
            below = [to for to in range(at + 1, min(len(texts), at + NEAR)) if texts[to]]
            if not below:
                break
            other = below[0]
            before = _last(texts[at][:-1])
            if searches and not _is_known(before, texts[other], words):
                searches -= 1
                free = (to for to in below if not texts[to - 1].endswith(tuple(HYPHENS)))
                other = next((to for to in free if _is_known(before, texts[to], words)), other)
            both = joined(texts[at], texts[other], words)
            if both is None:
                break
            texts[at], texts[other] = both
    return texts


def _is_known(before: str, following: str, words: Vocabulary) -> bool:
    """Whether the document has the word of which this is the beginning and a line has the end."""
    after = _FIRST.match(following)
    if not before or after is None or not after[0][0].islower():
        return False
    whole = (before + after[0]).lower()
    return bool(words.times(whole) or words.times(f"{before}-{after[0]}".lower()))


def _last(text: str) -> str:
    """The letters with which a text ends."""
    at = len(text)
    while at > len(text) - LONGEST and text[at - 1 : at].isalpha():
        at -= 1
    return text[max(0, at) :]
