"""Text that is safe to store and to show."""

from __future__ import annotations

import re
import unicodedata

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ue000-\uf8ff]")


def clean(text: str) -> str:
    """Text without control characters, private-use characters and broken surrogates."""
    if text.isprintable():  # has none of them, as nearly every text
        return unicodedata.normalize("NFC", text)
    text = text.encode("utf-8", "ignore").decode("utf-8")
    return _CONTROL.sub(" ", unicodedata.normalize("NFC", text))


def one_line(text: str) -> str:
    """Clean text with every run of white space as one space."""
    text = clean(text)
    if text.isprintable() and "  " not in text:  # no white space but single spaces
        return text.strip(" ")
    return " ".join(text.split())
