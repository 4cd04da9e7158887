"""Who writes an answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from research_app.answer.passage import Passage


class ProviderError(Exception):
    """No answer from this provider; the message is for the log."""


class Provider(Protocol):
    """Writes an answer from passages, citing them as [1], [2] … in their order."""

    @property
    def name(self) -> str: ...

    def stream(self, question: str, passages: Sequence[Passage]) -> AsyncGenerator[str, None]:
        """The text, bit by bit. It may be nothing, where the passages do not answer."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
