"""Requests to one host, no faster than a polite visitor would make them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from research_app.cache import FAILURES, connect
from research_app.settings import Settings

logger = logging.getLogger(__name__)


class Pace:
    """The turns of this process."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free: dict[str, float] = {}

    def wait(self, host: str, pause: float) -> None:
        """Wait for the turn of this request."""
        with self._lock:
            now = time.monotonic()
            self._free = {name: at for name, at in self._free.items() if at > now}
            turn = self._free.get(host, now)
            self._free[host] = turn + pause
        if turn > now:
            self._sleep(turn - now)


# every job makes its own fetcher, and a host sees one visitor
OF_THIS_PROCESS = Pace()


class SharedPace:
    """The turns of all processes on all hosts, kept in the cache tier.

    While that does not answer each process keeps its own.
    """

    def __init__(
        self,
        settings: Settings,
        own: Pace = OF_THIS_PROCESS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._own = own
        self._sleep = sleep

    def wait(self, host: str, pause: float) -> None:
        """Wait for the turn of this request, in a thread that no event loop runs in."""
        self._own.wait(host, pause)
        if pause <= 0:
            return
        try:
            while (left := asyncio.run(self._taken(host, pause))) > 0:
                self._sleep(left)
        except FAILURES as error:
            logger.warning("fetching: %s; keeping a pace of its own", type(error).__name__)

    async def _taken(self, host: str, pause: float) -> float:
        """Nothing where the turn is ours now, else the seconds until it may be."""
        # a client of its own, since one belongs to the event loop that it was used in first
        redis = connect(self._settings)
        if redis is None:
            return 0.0
        try:
            key = f"{self._settings.cache.prefix}turn:{host}"
            if await redis.set(key, b"1", nx=True, px=max(1, round(1000 * pause))):
                return 0.0
            left: int = await redis.pttl(key)
            return max(1, left) / 1000
        finally:
            await redis.aclose()
