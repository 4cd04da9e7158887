"""What is said in a recording that has no transcript."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from research_app.extract.caption_forms import Cue


class Recogniser(Protocol):
    """Turns speech into words with their seconds."""

    @property
    def name(self) -> str:
        """The model and how it is used: with another one, recordings are heard again."""
        ...

    def recognise(self, path: Path) -> list[Cue]:
        """What is said; RefusedError where it cannot be heard."""
        ...
