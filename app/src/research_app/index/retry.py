"""How a search is asked again: a node that hangs answers nothing, and the cluster notices late."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from opensearchpy.exceptions import ConnectionError as UnreachableError
from opensearchpy.exceptions import ConnectionTimeout, OpenSearchException, TransportError

logger = logging.getLogger(__name__)

# 500 is what a node that stops says to the searches that it has not finished.
RETRIED = (500, 502, 503, 504)

# A search takes milliseconds: after so long the copy that was asked is taken for one that hangs.
# The last attempt gets what is left, since all may be slow.
FIRST_SECONDS = 1.5
NEXT_SECONDS = 2.5
# For so long after that no search is sent to a certain copy: the cluster then chooses, and avoids
# by itself a node that owes it answers. It removes one that hangs after 8 to 9 s.
AVOID_SECONDS = 15.0
# While nothing answers nobody waits longer than this for a word about it. One search every few
# seconds goes on after its reader was told, and finds out whether slow answers come again.
DOWN_SECONDS = 2.0
PROBE_SECONDS = 10.0

Params = dict[str, Any]
Ask = Callable[[Params], Awaitable[dict[str, Any]]]
Clock = Callable[[], float]


class Retry:
    """Asks until an answer comes; remembers what the searches before met with."""

    def __init__(
        self,
        seconds: float,
        attempts: int,
        first: float = FIRST_SECONDS,
        clock: Clock = time.monotonic,
    ) -> None:
        """At most so many attempts in so many seconds; the first one has less."""
        self._seconds, self._attempts, self._first = seconds, attempts, first
        self._clock = clock
        self._avoid_until = 0.0
        self._down = False
        self._probe_at = 0.0
        self._probe: asyncio.Task[dict[str, Any]] | None = None

    async def __call__(self, ask: Ask, preference: str = "") -> dict[str, Any]:
        """The answer; what the last attempt met with is raised, and what no attempt mends.

        :param ask: sends the request with the given parameters to the next node
        :param preference: asks for the same copies each time, as long as they answer
        """
        if not self._down:
            return await self._answer(ask, preference, self._seconds)
        seconds = min(DOWN_SECONDS, self._seconds)
        if self._clock() < self._probe_at:
            return await self._answer(ask, preference, seconds)
        self._probe_at = self._clock() + PROBE_SECONDS
        self._probe = asyncio.create_task(self._answer(ask, preference, self._seconds))
        self._probe.add_done_callback(_look_at)
        done, _ = await asyncio.wait({self._probe}, timeout=seconds)
        if not done:
            late = TimeoutError(f"no answer within {seconds:g} s")
            raise ConnectionTimeout("TIMEOUT", str(late), late)
        return self._probe.result()

    async def _answer(self, ask: Ask, preference: str, seconds: float) -> dict[str, Any]:
        deadline = self._clock() + seconds
        failures = 0
        while True:
            steered = bool(preference) and self._clock() >= self._avoid_until
            left = max(deadline - self._clock(), 0.1)
            params: Params = {"request_timeout": min(self._longest(failures), left)}
            if steered:
                params["preference"] = preference
            try:
                found = await ask(params)
            except OpenSearchException as error:
                if not _may_pass(error):
                    raise
                failures += 1
                self._avoid_until = self._clock() + AVOID_SECONDS
                if failures >= self._attempts or self._clock() >= deadline:
                    self._down = True
                    raise
                logger.warning("a search is sent again: %s", type(error).__name__)
            else:
                self._down = False
                return found

    def _longest(self, failures: int) -> float:
        if failures + 1 >= self._attempts:
            return self._seconds
        return NEXT_SECONDS if failures else self._first


def _look_at(probe: asyncio.Task[dict[str, Any]]) -> None:
    """Take what a probe met with, as its reader may have left."""
    if not probe.cancelled():
        probe.exception()


def _may_pass(error: OpenSearchException) -> bool:
    """Whether another node may answer, or the same one later."""
    return isinstance(error, UnreachableError) or (
        isinstance(error, TransportError) and error.status_code in RETRIED
    )
