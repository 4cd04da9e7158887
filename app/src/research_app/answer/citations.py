"""Lets only those citations through that lead somewhere.

A model may write any number in brackets. Those of passages that it was given stay, each in its
own brackets; all others go, with the space before them.
"""

from __future__ import annotations

import re

_ONE = r"\[\s*\d+(?:\s*(?:[,;]|[-\u2013])\s*\d+)*\s*\]"
_CITATIONS = re.compile(rf"(?<!\s)\s*{_ONE}(?:\s*{_ONE})*")
# what stands in the brackets of something that is, or may become, a citation
_INSIDE = re.compile(r"[\d\s,;\-\u2013]*")
_PART = re.compile(r"(\d+)(?:\s*[-\u2013]\s*(\d+))?")
MARK = re.compile(r"\[(\d+)\]")
# a longer one is none, and a longer row of them is shown before it ends
LONGEST = 200


class CitationFilter:
    """A text that comes in bits, however they are cut."""

    def __init__(self, known: int) -> None:
        self._known = known
        self._held = ""
        self._opened = False
        self.cited: set[int] = set()

    def feed(self, text: str) -> str:
        """What can be shown by now."""
        self._held += text
        cut = _pending(self._held)
        if len(self._held) - cut > 2 * LONGEST:
            cut = self._give_up(cut)
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._shown(ready)

    def _give_up(self, start: int) -> int:
        """Where to cut what has been waited for too long; a bracket that never closes is none."""
        held, end = self._held, len(self._held.rstrip())
        last = held.rfind("[", start)
        if last < 0 or len(held) - end > LONGEST:
            return len(held) - 1
        if end - last <= LONGEST:
            return last
        self._held = f"{held[:last]}({held[last + 1 :]}"
        return len(held)

    def end(self) -> str:
        """The rest."""
        rest, self._held = self._held, ""
        return self._shown(rest)

    def restart(self) -> None:
        """Forget the text so far, which counts no longer."""
        self._held, self._opened = "", False
        self.cited.clear()

    def _shown(self, text: str) -> str:
        parts: list[str] = []
        position = 0
        for match in _CITATIONS.finditer(text):
            self._add(parts, text[position : match.start()])
            # what goes from within a bracket leaves a space, lest the rest become a citation
            self._add(parts, self._kept(match.group()) or " " * self._opened)
            position = match.end()
        self._add(parts, text[position:])
        return "".join(parts)

    def _add(self, parts: list[str], text: str) -> None:
        """Show some more, and remember which bracket is open behind it."""
        parts.append(text)
        begin = text.rfind("[")
        inside = _INSIDE.fullmatch(text, begin + 1) is not None
        self._opened = inside and (begin >= 0 or self._opened)

    def _kept(self, found: str) -> str:
        numbers: list[int] = []
        for first, last in _PART.findall(found):
            numbers += _numbers(first, last, self._known)
        kept = list(dict.fromkeys(numbers))
        self.cited.update(kept)
        space = found[: len(found) - len(found.lstrip())]
        return space + "".join(f"[{number}]" for number in kept) if kept else ""


def _pending(text: str) -> int:
    """Where that begins which may still become a citation, or a row of them, with more text."""
    end = len(text)
    begin = text.rfind("[")
    if begin >= 0 and _INSIDE.fullmatch(text, begin + 1):
        end = begin
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        if end == 0 or text[end - 1] != "]":
            return end
        begin = text.rfind("[", 0, end)
        if begin < 0 or not _INSIDE.fullmatch(text, begin + 1, end - 1):
            return end
        end = begin


def _numbers(first: str, last: str, known: int) -> list[int]:
    """The numbers of one part, "3" or "3-5", that are known."""
    if max(len(first), len(last)) > 6:
        return []
    low, high = int(first), int(last or first)
    return list(range(max(1, low), min(high, known) + 1))
