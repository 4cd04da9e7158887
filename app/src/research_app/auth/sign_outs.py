"""Which sign-ins have ended before their time: said once by a browser, known to all nodes.

Kept in the cache tier for as long as a token of the sign-in could still be good. While that does
not answer, and on a site without it, a node knows of its own alone; it tells the cache as soon as
that answers.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time

from redis.exceptions import MaxConnectionsError

from research_app.cache import FAILURES, REST_SECONDS
from research_app.cache import connect as connect_cache
from research_app.settings import Settings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 3.0  # how long another node may go on, at most
REMEMBERED = 10_000


class SignOuts:
    """Notes and looks up the identities of sign-ins."""

    def __init__(self, settings: Settings) -> None:
        self._redis = connect_cache(settings)
        self._prefix = f"{settings.cache.prefix}signed-out:"
        # the wait for a connection, and that for the answer
        self._seconds = 2 * settings.cache.timeout_seconds
        self._rest_until = 0.0
        self._ended: dict[str, float] = {}  # until when it matters
        self._untold: dict[str, float] = {}  # those that the cache is not told yet
        self._going_on: dict[str, float] = {}  # when it was looked up

    async def note(self, identity: str, seconds: int) -> None:
        """From now on no token of that sign-in counts."""
        now = time.monotonic()
        self._ended = {name: until for name, until in self._ended.items() if until > now}
        self._ended[identity] = now + seconds
        if self._redis is not None:
            self._untold[identity] = now + seconds
            await self.tell()

    async def tell(self) -> None:
        """Tell the cache what it is not told yet, as far as it answers."""
        for identity, until in list(self._untold.items()):
            seconds = math.ceil(until - time.monotonic())
            try:
                if self._redis is not None and seconds > 0:
                    async with asyncio.timeout(self._seconds):
                        await self._redis.set(self._prefix + identity, b"1", ex=seconds)
            except FAILURES as error:
                self._failed(error)
                return
            self._untold.pop(identity, None)

    async def keep_telling(self) -> None:
        """Try again for as long as the process runs."""
        while True:
            await asyncio.sleep(REST_SECONDS)
            await self.tell()

    async def has(self, identity: str) -> bool:
        """Whether that sign-in has ended, as far as it is known here."""
        if identity in self._ended:
            return True
        now = time.monotonic()
        looked = self._going_on.get(identity, float("-inf"))
        if self._redis is None or now < max(self._rest_until, looked + LOOK_SECONDS):
            return False
        try:
            async with asyncio.timeout(self._seconds):
                ended = bool(await self._redis.exists(self._prefix + identity))
        except FAILURES as error:
            self._failed(error)
            return False
        if not ended:
            if len(self._going_on) >= REMEMBERED:
                self._going_on.clear()
            self._going_on[identity] = now
        return ended

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, MaxConnectionsError):
            return  # busy, not broken
        self._rest_until = time.monotonic() + REST_SECONDS
        logger.warning("sign-outs: %s; those of other nodes are not known", type(error).__name__)

    async def close(self) -> None:
        """Close the connections; what the cache is not told by now it will not be."""
        if self._redis is not None:
            await self.tell()
            await self._redis.aclose()
