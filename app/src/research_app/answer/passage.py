"""What an answer is made of: passages, each with its place in a document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from research_app.web.places import place_address

# "[12]" inside a document is that document's own reference; in an answer it would look like ours
_REFERENCES = re.compile(r"\s?\[\d++(?:\s*[,;\u2013-]\s*\d++)*+\]")


class Passage(Protocol):
    """A passage as the search finds it."""

    @property
    def item_id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def page(self) -> int | None: ...
    @property
    def start(self) -> float | None: ...
    @property
    def text(self) -> str: ...


class PassageFinder(Protocol):
    """Finds the passages that may answer a question, the best first."""

    async def passages(self, question: str, size: int) -> Sequence[Passage]: ...


def without_references(text: str) -> str:
    """A text without the numbers by which it refers to its own sources."""
    return _REFERENCES.sub("", text)


def address(passage: Passage) -> str:
    """The address that opens a document at the place of a passage."""
    return place_address(passage.item_id, passage.page, passage.start)
