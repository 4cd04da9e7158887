"""Answers kept in a Redis-compatible server. Without it everything works, only slower.

Each answer is stored together with the generation of the library that it came from, and counts
only while that is still the generation; an ingest sets another one. So nothing is ever
searched for and deleted, and an answer computed during an ingest cannot outlive it. The
generation has two halves: a mark in the cache, and the edition of the index, for when that mark
is lost.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.exceptions import MaxConnectionsError, RedisError

from research_app import metrics
from research_app.settings import Cache, Settings
from research_app.stages import stage

logger = logging.getLogger(__name__)

Compute = Callable[[], Awaitable[tuple[bytes, bool]]]
Answer = TypeVar("Answer")
# a key, and the generation that its answer is to be of; while the cache is away that is unknown
Wanted = tuple[str, bytes | None]
FAILURES = (RedisError, OSError, TimeoutError)

# after a failure the cache is left alone this long, so that it costs one search a time-out
REST_SECONDS = 5.0
# how long another process is waited for that computes the same answer, and how long its claim to
# be the one is believed if it dies over it
WAIT_SECONDS = 1.0
CLAIM_SECONDS = 10


class CacheUnavailableError(Exception):
    """The cache does not answer."""


def tls_options(section: Cache) -> dict[str, Any]:
    """How redis-py verifies the servers."""
    if not section.tls:
        return {}
    return {
        "ssl": True,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": section.tls_ca or ssl.get_default_verify_paths().cafile,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }


class Pool(ConnectionPool):
    """Connections that are waited for while all are in use.

    redis-py's own blocking pool knows no sentinels, and its condition loses the turn of a waiter
    who is cancelled as he gets it: the next one then waits beside a free connection.
    """

    def __init__(self, *place: Any, wait_seconds: float, **options: Any) -> None:
        super().__init__(*place, **options)
        self._turns = asyncio.Semaphore(self.max_connections)
        self._wait_seconds = wait_seconds

    async def get_connection(self, *_command: Any, **_options: Any) -> Any:
        """A connection, as soon as one is free."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise MaxConnectionsError("all connections are in use") from None
        connection = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        """Give a connection back."""
        self._turns.release()
        await super().release(connection)


class SentinelPool(Pool, SentinelConnectionPool):
    """The same, of connections to whichever server is the primary."""


def connect(settings: Settings) -> Redis | None:
    """A client of the primary, or None where the cache is off."""
    section = settings.cache
    if not section.enabled:
        return None
    secrets = settings.credentials
    timing: dict[str, Any] = {
        "socket_timeout": section.timeout_seconds,
        "socket_connect_timeout": section.timeout_seconds,
    }
    size: dict[str, Any] = {
        "max_connections": section.pool_maxsize,
        "wait_seconds": section.timeout_seconds,
    }
    login: dict[str, Any] = {}
    if section.user and secrets.cache_password:
        login = {"username": section.user, "password": secrets.cache_password.get_secret_value()}
    if section.url:
        tls = tls_options(section) if section.url.startswith("rediss://") else {}
        tls.pop("ssl", None)
        return Redis.from_pool(Pool.from_url(section.url, **size, **timing, **login, **tls))
    sentinel_login: dict[str, Any] = {}
    if secrets.cache_sentinel_password:
        sentinel_login = {"password": secrets.cache_sentinel_password.get_secret_value()}
        if section.sentinel_user:
            sentinel_login["username"] = section.sentinel_user
    addresses = [address.rsplit(":", 1) for address in section.sentinels]
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [(host.strip("[]"), int(port)) for host, port in addresses],
        sentinel_kwargs={**timing, **tls_options(section), **sentinel_login},
        **timing,
        **login,
        **tls_options(section),
    )
    primary: Redis = sentinel.master_for(
        section.service_name, connection_pool_class=SentinelPool, **size
    )
    return primary


class SearchCache:
    """Looks answers up, computes what is missing once, and forgets all at a new generation."""

    def __init__(
        self, redis: Redis | None, section: Cache, edition: Callable[[], Awaitable[str]]
    ) -> None:
        self._redis = redis
        self._edition = edition
        self._section = section
        self._rest_until = 0.0
        self._running: dict[Wanted, asyncio.Future[bytes]] = {}
        self._mark_key = f"{section.prefix}generation"

    @property
    def enabled(self) -> bool:
        """Whether there is a cache at all."""
        return self._redis is not None

    async def get(self, key: str, compute: Compute) -> bytes:
        """The answer of a key. Of many who ask for it at once, one computes it."""
        # each looks it up: who asks after an ingest does not wait for an answer from before it
        with stage("cache"):
            generation, answer = await self._look_up(key)
        if answer is not None:
            metrics.CACHE.labels("hit").inc()
            return answer
        wanted = (key, generation)
        running = self._running.get(wanted)
        metrics.CACHE.labels("miss" if running is None else "shared").inc()
        # a reader who leaves does not take the answer from those who wait with him
        if running is not None:
            with stage("cache"):
                return await asyncio.shield(running)
        running = asyncio.ensure_future(self._compute(wanted, compute))
        self._running[wanted] = running
        running.add_done_callback(lambda done: self._ended(wanted, done))
        return await asyncio.shield(running)

    def _ended(self, wanted: Wanted, done: asyncio.Future[bytes]) -> None:
        self._running.pop(wanted, None)
        if not done.cancelled():
            done.exception()  # seen, even if every reader has left

    async def _compute(self, wanted: Wanted, compute: Compute) -> bytes:
        key, generation = wanted
        if generation is None:
            return (await compute())[0]
        claim = self._claim_name(key, generation)
        with stage("cache"):
            if not await self._claim(claim):
                answer = await self._wait_for_other(key, claim)
                if answer is not None:
                    metrics.CACHE.labels("shared").inc()
                    return answer
        try:
            answer, keep = await compute()
        except BaseException:
            with stage("cache"):
                await self._settle(claim)
            raise
        with stage("cache"):
            await self._settle(claim, (self._name(key), generation + answer) if keep else None)
        return answer

    def _claim_name(self, key: str, generation: bytes) -> str:
        return f"{self._section.prefix}computing:{key}:{generation.decode()}"

    async def _claim(self, claim: str) -> bool:
        """Whether it is for this process to compute an answer; if in doubt, it is."""
        assert self._redis is not None  # noqa: S101
        try:
            claimed = self._redis.set(claim, b"1", nx=True, ex=CLAIM_SECONDS)
            return bool(await self._in_time(claimed))
        except FAILURES as error:
            self._failed(error)
            return True

    async def _wait_for_other(self, key: str, claim: str) -> bytes | None:
        """The answer that another process computes, or None: it takes too long, or gave up."""
        assert self._redis is not None  # noqa: S101
        deadline = time.monotonic() + WAIT_SECONDS
        pause = WAIT_SECONDS / 100
        while time.monotonic() < deadline:
            await asyncio.sleep(pause)
            pause = min(2 * pause, WAIT_SECONDS / 10)
            try:
                claimed = await self._in_time(self._redis.get(claim))
            except FAILURES as error:
                self._failed(error)
                return None
            _, answer = await self._look_up(key)
            if answer is not None or claimed is None:
                return answer
        return None

    async def _look_up(self, key: str) -> tuple[bytes | None, bytes | None]:
        """The generation now, and the answer if it is of that generation."""
        if self._redis is None or time.monotonic() < self._rest_until:
            return None, None
        edition = await self._edition()
        try:
            found = await self._in_time(self._redis.mget(self._mark_key, self._name(key)))
            mark, stored = cast("list[bytes | None]", found)
            if mark is None:
                mark = await self._first_mark()
        except FAILURES as error:
            self._failed(error)
            return None, None
        if mark is None:
            return None, None
        generation = mark + edition.encode()
        if stored is not None and stored.startswith(generation):
            return generation, stored[len(generation) :]
        return generation, None

    async def _first_mark(self) -> bytes | None:
        assert self._redis is not None  # noqa: S101
        await self._in_time(self._redis.set(self._mark_key, uuid.uuid4().hex, nx=True))
        return cast("bytes | None", await self._in_time(self._redis.get(self._mark_key)))

    async def _settle(self, claim: str, kept: tuple[str, bytes] | None = None) -> None:
        """Keep an answer, then tell those who wait for it that nobody computes it any more."""
        assert self._redis is not None  # noqa: S101
        if time.monotonic() < self._rest_until:
            return
        try:
            pipeline = self._redis.pipeline(transaction=False)
            if kept is not None:
                pipeline.set(*kept, ex=self._section.ttl_seconds)
            pipeline.delete(claim)
            await self._in_time(pipeline.execute())
        except FAILURES as error:
            self._failed(error)

    def _name(self, key: str) -> str:
        return f"{self._section.prefix}search:{key}"

    async def _in_time(self, command: Awaitable[Answer]) -> Answer:
        # the wait for a connection ends after half of it, so that what takes too long is the cache
        async with asyncio.timeout(2 * self._section.timeout_seconds):
            return await command

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, MaxConnectionsError):
            return  # busy, not broken: one reader does without it
        self._rest_until = time.monotonic() + REST_SECONDS
        metrics.CACHE.labels("error").inc()
        logger.warning("cache: %s; searching without it", type(error).__name__)

    async def new_generation(self) -> None:
        """From now on no earlier answer counts."""
        if self._redis is None:
            return
        try:
            async with asyncio.timeout(10 * self._section.timeout_seconds):
                await self._redis.set(self._mark_key, uuid.uuid4().hex)
        except FAILURES as error:
            raise CacheUnavailableError(type(error).__name__) from error

    async def ping(self) -> str:
        """Prove that the primary answers; returns a word about it."""
        if self._redis is None:
            return "off"
        try:
            await self._redis.get(self._mark_key)
        except FAILURES as error:
            raise CacheUnavailableError(type(error).__name__) from error
        return "answers"

    def pool(self) -> tuple[int, int]:
        """How many connections are in use, and how many may be."""
        pool = getattr(self._redis, "connection_pool", None)
        in_use = getattr(pool, "_in_use_connections", ())
        return len(in_use), getattr(pool, "max_connections", 0)

    async def close(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            await self._redis.aclose()
