"""How many searches may be under way, and how many may wait for their turn."""

from __future__ import annotations

import asyncio
from types import TracebackType

from research_app import metrics
from research_app.index.client import IndexUnavailableError
from research_app.stages import stage


class TooManySearchesError(IndexUnavailableError):
    """So many wait already that one more would wait in vain."""


class Gate:
    """Lets some through, some wait, and turns the rest away at once."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._at_once = at_once
        self._may_wait = waiting
        self._waiting = 0
        self._running = 0

    async def __aenter__(self) -> None:
        if self._turns.locked() and self._waiting >= self._may_wait:
            metrics.SEARCHES_TURNED_AWAY.inc()
            raise TooManySearchesError(f"{self._waiting} searches wait already")
        self._waiting += 1
        try:
            with stage("waiting"):
                await self._turns.acquire()
        finally:
            self._waiting -= 1
        self._running += 1

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._running -= 1
        self._turns.release()

    def state(self) -> dict[str, int]:
        """How many run and how many wait."""
        return {"running": self._running, "waiting": self._waiting}
