"""How often somebody may ask: counted in the cache tier for all nodes together.

While the cache does not answer each node counts for itself, so that a limit is then somewhat
higher; nobody sees an error for it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Any

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.exceptions import MaxConnectionsError

from research_app.cache import FAILURES, REST_SECONDS
from research_app.cache import connect as connect_cache
from research_app.settings import Settings

logger = logging.getLogger(__name__)


class _Shared(RedisStorage):
    """Counts through our own client: its TLS, its users, its sentinels."""

    STORAGE_SCHEME = None  # type: ignore[assignment]  # asked for by no address

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        super().__init__("redis://", implementation="redispy", key_prefix=prefix)

    def configure_bridge(self) -> None:
        """Use the client that there is."""
        bridge: Any = self.bridge
        bridge.storage = self._redis
        bridge.connection_getter = lambda _readonly: self._redis


class Rates:
    """Counts who asks for what."""

    def __init__(self, settings: Settings) -> None:
        self._limits = settings.limits.rates
        # of two commands, each of which may wait for a connection as long as for an answer
        self._seconds = 3 * settings.cache.timeout_seconds
        self._redis = connect_cache(settings)
        self._shared: SlidingWindowCounterRateLimiter | None = None
        if self._redis is not None:
            storage = _Shared(self._redis, f"{settings.cache.prefix}limits")
            self._shared = SlidingWindowCounterRateLimiter(storage)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._rest_until = 0.0

    async def hit(self, what: str, who: str) -> int | None:
        """Count one; None where it is within the limit, else the seconds to wait."""
        limit = self._limits.get(what)
        if limit is None:
            return None
        if self._shared is not None and time.monotonic() >= self._rest_until:
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._count(self._shared, limit, what, who)
            except MaxConnectionsError:
                logger.debug("limits: all connections are in use; counting here alone")
            except FAILURES as error:
                self._rest_until = time.monotonic() + REST_SECONDS
                logger.warning("limits: %s; counting here alone", type(error).__name__)
        return await self._count(self._own, limit, what, who)

    @staticmethod
    async def _count(
        counter: SlidingWindowCounterRateLimiter, limit: RateLimitItem, what: str, who: str
    ) -> int | None:
        if await counter.hit(limit, what, who):
            return None
        window = await counter.get_window_stats(limit, what, who)
        return max(1, math.ceil(window.reset_time - time.time()))

    async def close(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            await self._redis.aclose()
