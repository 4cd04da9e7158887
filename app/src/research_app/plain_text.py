"""Text that is safe to store and to show."""

from __future__ import annotations

import re
import unicodedata

# more marks on one letter than any script has; sorting them takes the square of their number
_MARKS = 30
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ue000-\uf8ff]")


def clean(text: str) -> str:
    """Text without control characters, private-use characters and broken surrogates."""
    if text.isprintable():  # has none of them, as nearly every text
        return composed(text)
    text = text.encode("utf-8", "ignore").decode("utf-8")
    return _CONTROL.sub(" ", composed(text))


def composed(text: str) -> str:
    """Text in Unicode's form NFC, without the marks that pile up on one letter."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", _without_piles(text))


def _without_piles(text: str) -> str:
    """Text in which no letter has more than some marks."""
    kept: list[str] = []
    marks = 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks <= _MARKS:
            kept.append(letter)
    return "".join(kept)


def one_line(text: str) -> str:
    """Clean text with every run of white space as one space."""
    text = clean(text)
    if text.isprintable() and "  " not in text:  # no white space but single spaces
        return text.strip(" ")
    return " ".join(text.split())
