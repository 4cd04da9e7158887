"""What was wrong in a document that is taken all the same, in a few sentences."""

from __future__ import annotations

TOLD = 5


class Faults:
    """Collects sentences: the first few are told, the others counted."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self.count = 0

    def add(self, sentence: str) -> None:
        """Something that is repaired, or left out."""
        self.count += 1
        if len(self._told) < TOLD:
            self._told.append(sentence)

    @property
    def sentences(self) -> list[str]:
        """At most six, the last with the number of those that are not told."""
        rest = self.count - len(self._told)
        return [*self._told, f"and {rest:,} more like these"] if rest else list(self._told)
