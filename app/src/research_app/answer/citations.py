"""Lets only those citations through that lead somewhere.

A model may write any number in brackets. Those of passages that it was given stay, each in its
own brackets; all others go, with the space before them.
"""

from __future__ import annotations

import re

_ONE = r"\[\s*\d+(?:\s*(?:[,;]|[-\u2013])\s*\d+)*\s*\]"
_CITATIONS = re.compile(rf"\s*{_ONE}(?:\s*{_ONE})*")
# what may still become a citation, or a row of them, when more text comes
_PENDING = re.compile(r"\s*(?:\[[\d\s,;\-\u2013]*\]\s*)*(?:\[[\d\s,;\-\u2013]*)?$")
_OPENED = re.compile(r"\[[\d\s,;\-\u2013]*$")
_PART = re.compile(r"(\d+)(?:\s*[-\u2013]\s*(\d+))?")
MARK = re.compile(r"\[(\d+)\]")


class CitationFilter:
    """A text that comes in bits, however they are cut."""

    def __init__(self, known: int) -> None:
        self._known = known
        self._held = ""
        self._opened = ""
        self.cited: set[int] = set()

    def feed(self, text: str) -> str:
        """What can be shown by now."""
        self._held += text
        pending = _PENDING.search(self._held)
        cut = pending.start() if pending else len(self._held)
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._shown(ready)

    def end(self) -> str:
        """The rest."""
        rest, self._held = self._held, ""
        return self._shown(rest)

    def _shown(self, text: str) -> str:
        shown, position = self._opened, 0
        for match in _CITATIONS.finditer(text):
            shown += text[position : match.start()]
            # what goes from within a bracket leaves a space, lest the rest become a citation
            shown += self._kept(match.group()) or " " * bool(_OPENED.search(shown))
            position = match.end()
        shown += text[position:]
        before = len(self._opened)
        opened = _OPENED.search(shown)
        self._opened = opened.group() if opened else ""
        return shown[before:]

    def _kept(self, found: str) -> str:
        numbers: list[int] = []
        for first, last in _PART.findall(found):
            numbers += _numbers(first, last, self._known)
        kept = list(dict.fromkeys(numbers))
        self.cited.update(kept)
        space = found[: len(found) - len(found.lstrip())]
        return space + "".join(f"[{number}]" for number in kept) if kept else ""


def _numbers(first: str, last: str, known: int) -> list[int]:
    """The numbers of one part, "3" or "3-5", that are known."""
    if max(len(first), len(last)) > 6:
        return []
    low, high = int(first), int(last or first)
    return list(range(max(1, low), min(high, known) + 1))
