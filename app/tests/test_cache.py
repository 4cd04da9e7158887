from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import make_settings
from redis.asyncio.connection import parse_url
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import ConnectionError as GoneError
from redis.exceptions import MaxConnectionsError

from research_app import cache as cache_module
from research_app.cache import CacheUnavailableError, Pool, SearchCache, connect
from research_app.settings import Cache, Credentials, parse

SECTION = Cache(url="redis://127.0.0.1:1/0", timeout_seconds=0.1)


class FakeRedis:
    """A few commands over a dictionary; can be gone, not answer, or have no connection free."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.gone = False
        self.busy = False
        self.hangs = False
        self.calls = 0

    async def _answer(self) -> None:
        self.calls += 1
        if self.gone:
            raise GoneError("gone")
        if self.busy:
            raise MaxConnectionsError("all connections are in use")
        if self.hangs:
            await asyncio.sleep(60)

    async def mget(self, *keys: str) -> list[bytes | None]:
        await self._answer()
        return [self.values.get(key) for key in keys]

    async def get(self, key: str) -> bytes | None:
        await self._answer()
        return self.values.get(key)

    async def set(self, key: str, value: Any, nx: bool = False, ex: int = 0) -> bool | None:
        await self._answer()
        if nx and key in self.values:
            return None
        self.values[key] = value if isinstance(value, bytes) else value.encode()
        return True

    def pipeline(self, transaction: bool) -> FakePipeline:
        return FakePipeline(self)


class FakePipeline:
    """What is sent together."""

    def __init__(self, redis: FakeRedis) -> None:
        self.redis = redis
        self.changes: dict[str, bytes | None] = {}

    def set(self, key: str, value: bytes, ex: int) -> None:
        self.changes[key] = value

    def delete(self, key: str) -> None:
        self.changes[key] = None

    async def execute(self) -> None:
        await self.redis._answer()
        for key, value in self.changes.items():
            if value is None:
                self.redis.values.pop(key, None)
            else:
                self.redis.values[key] = value


class Library:
    """Something to search, that counts how often it is."""

    def __init__(self) -> None:
        self.content = b"old"
        self.edition = "0" * 32
        self.asked = 0
        self.keep = True

    async def search(self) -> tuple[bytes, bool]:
        self.asked += 1
        answer = self.content
        await asyncio.sleep(0.01)
        return answer, self.keep

    async def current(self) -> str:
        return self.edition


Scenario = Callable[[SearchCache, FakeRedis, Library], Awaitable[None]]


def play(scenario: Scenario) -> None:
    async def run() -> None:
        redis, library = FakeRedis(), Library()
        await scenario(SearchCache(redis, SECTION, library.current), redis, library)  # type: ignore[arg-type]

    asyncio.run(run())


def test_the_second_search_is_answered_from_the_cache() -> None:
    async def scenario(cache: SearchCache, _: FakeRedis, library: Library) -> None:
        assert await cache.get("k", library.search) == b"old"
        assert await cache.get("k", library.search) == b"old"
        assert library.asked == 1

    play(scenario)


def test_nothing_old_after_a_new_generation() -> None:
    async def scenario(cache: SearchCache, _: FakeRedis, library: Library) -> None:
        await cache.get("k", library.search)
        library.content = b"new"
        await cache.new_generation()
        assert await cache.get("k", library.search) == b"new"

    play(scenario)


def test_an_answer_computed_during_an_ingest_does_not_outlive_it() -> None:
    async def scenario(cache: SearchCache, _: FakeRedis, library: Library) -> None:
        await cache.get("other", library.search)
        slow = asyncio.create_task(cache.get("k", library.search))
        await asyncio.sleep(0.005)
        library.content = b"new"
        await cache.new_generation()
        assert await slow == b"old"
        assert await cache.get("k", library.search) == b"new"

    play(scenario)


def test_who_asks_after_an_ingest_does_not_share_an_answer_from_before_it() -> None:
    async def scenario(cache: SearchCache, _: FakeRedis, library: Library) -> None:
        slow = asyncio.create_task(cache.get("k", library.search))
        await asyncio.sleep(0.005)
        library.content = b"new"
        await cache.new_generation()
        assert await cache.get("k", library.search) == b"new"
        assert await slow == b"old"

    play(scenario)


def test_a_lost_mark_makes_no_old_answer_count_again() -> None:
    """A primary that failed over before the new mark had spread."""

    async def scenario(cache: SearchCache, redis: FakeRedis, library: Library) -> None:
        await cache.get("k", library.search)
        before = dict(redis.values)
        library.content, library.edition = b"new", "1" * 32
        await cache.new_generation()
        redis.values = before
        assert await cache.get("k", library.search) == b"new"

    play(scenario)


def test_an_evicted_mark_is_made_anew() -> None:
    async def scenario(cache: SearchCache, redis: FakeRedis, library: Library) -> None:
        await cache.get("k", library.search)
        del redis.values["research:generation"]
        library.content = b"new"
        assert await cache.get("k", library.search) == b"new"
        assert await cache.get("k", library.search) == b"new"
        assert library.asked == 2

    play(scenario)


def test_partial_answers_are_not_kept() -> None:
    async def scenario(cache: SearchCache, redis: FakeRedis, library: Library) -> None:
        library.keep = False
        await cache.get("k", library.search)
        assert set(redis.values) == {"research:generation"}

    play(scenario)


@pytest.mark.parametrize("failure", ["gone", "hangs"])
def test_without_the_cache_searches_go_on(failure: str) -> None:
    async def scenario(cache: SearchCache, redis: FakeRedis, library: Library) -> None:
        setattr(redis, failure, True)
        for _ in range(5):
            assert await cache.get("k", library.search) == b"old"
        assert library.asked == 5
        assert redis.calls == 1  # then it is left alone for a while
        with pytest.raises(CacheUnavailableError):
            await cache.new_generation()
        setattr(redis, failure, False)
        cache._rest_until = 0.0
        await cache.get("k", library.search)
        await cache.get("k", library.search)
        assert library.asked == 6

    play(scenario)


def test_of_many_who_ask_one_computes() -> None:
    async def scenario(cache: SearchCache, _: FakeRedis, library: Library) -> None:
        answers = await asyncio.gather(*(cache.get("k", library.search) for _ in range(50)))
        assert set(answers) == {b"old"}
        assert library.asked == 1

    play(scenario)


def test_of_many_processes_one_computes() -> None:
    async def scenario(cache: SearchCache, redis: FakeRedis, library: Library) -> None:
        others = [SearchCache(redis, SECTION, library.current) for _ in range(5)]  # type: ignore[arg-type]
        answers = await asyncio.gather(*(node.get("k", library.search) for node in others))
        assert set(answers) == {b"old"}
        assert library.asked == 1
        assert not [key for key in redis.values if "computing" in key]

    play(scenario)


@pytest.mark.parametrize("keep", [True, False])
def test_one_who_gives_up_is_not_waited_for(keep: bool) -> None:
    async def scenario(cache: SearchCache, redis: FakeRedis, library: Library) -> None:
        other = SearchCache(redis, SECTION, library.current)  # type: ignore[arg-type]
        library.keep = False

        async def broken() -> tuple[bytes, bool]:
            await asyncio.sleep(0.02)
            raise ValueError("broken")

        first = asyncio.create_task(cache.get("k", library.search if keep else broken))
        await asyncio.sleep(0.001)
        start = time.monotonic()
        assert await other.get("k", library.search) == b"old"
        assert time.monotonic() - start < cache_module.WAIT_SECONDS / 2
        await asyncio.gather(first, return_exceptions=True)

    play(scenario)


def test_one_who_died_is_waited_for_no_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "WAIT_SECONDS", 0.1)

    async def scenario(cache: SearchCache, redis: FakeRedis, library: Library) -> None:
        await cache.get("other", library.search)
        generation = redis.values["research:generation"] + library.edition.encode()
        redis.values[cache._claim_name("k", generation)] = b"1"
        assert await cache.get("k", library.search) == b"old"
        # and a claim of an earlier library holds nobody up
        await cache.new_generation()
        start = time.monotonic()
        await cache.get("k", library.search)
        assert time.monotonic() - start < 0.09

    play(scenario)


def test_a_reader_who_leaves_does_not_take_the_answer_along() -> None:
    async def scenario(cache: SearchCache, _: FakeRedis, library: Library) -> None:
        first = asyncio.create_task(cache.get("k", library.search))
        await asyncio.sleep(0.001)
        second = asyncio.create_task(cache.get("k", library.search))
        await asyncio.sleep(0.001)
        first.cancel()
        assert await second == b"old"
        assert library.asked == 1

    play(scenario)


def test_an_error_reaches_everybody_and_is_not_kept() -> None:
    async def scenario(cache: SearchCache, _: FakeRedis, library: Library) -> None:
        async def broken() -> tuple[bytes, bool]:
            await asyncio.sleep(0.001)
            raise ValueError("broken")

        found = await asyncio.gather(
            *(cache.get("k", broken) for _ in range(3)), return_exceptions=True
        )
        assert [type(error) for error in found] == [ValueError] * 3
        assert await cache.get("k", library.search) == b"old"

    play(scenario)


def test_off() -> None:
    async def run() -> None:
        library = Library()
        cache = SearchCache(None, Cache(enabled=False), library.current)
        await cache.get("k", library.search)
        await cache.get("k", library.search)
        await cache.new_generation()
        assert library.asked == 2
        assert await cache.ping() == "off"
        await cache.close()

    asyncio.run(run())


def test_connections_verify_and_log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class FakeSentinel:
        def __init__(self, hosts: Any, sentinel_kwargs: Any, **options: Any) -> None:
            seen.update(hosts=hosts, sentinel=sentinel_kwargs, primary=options)

        def master_for(self, name: str, **_: Any) -> str:
            return name

    monkeypatch.setattr(cache_module, "Sentinel", FakeSentinel)
    settings = parse(
        {
            "server": {"tls": False},
            "opensearch": {"urls": ["https://os1:9200"]},
            "cache": {
                "sentinels": ["cache1:26379", "[fd00::2]:26379"],
                "user": "research_app",
                "tls_ca": "/etc/research-pki/ca.pem",
            },
        },
        Credentials.model_validate({"cache_password": "p1", "cache_sentinel_password": "p2"}),
        Path("settings.toml"),
    )
    assert connect(settings) == "research"  # type: ignore[comparison-overlap]
    assert seen["hosts"] == [("cache1", 26379), ("fd00::2", 26379)]
    assert seen["sentinel"]["password"] == "p2"
    assert seen["primary"]["username"] == "research_app"
    assert seen["primary"]["password"] == "p1"
    for part in (seen["sentinel"], seen["primary"]):
        assert part["ssl"] is True
        assert part["ssl_cert_reqs"] == "required"
        assert part["ssl_check_hostname"] is True
        assert part["ssl_ca_certs"] == "/etc/research-pki/ca.pem"


def test_a_reader_without_a_free_connection_does_without_the_cache_alone() -> None:
    async def scenario(cache: SearchCache, redis: FakeRedis, library: Library) -> None:
        await cache.get("k", library.search)
        redis.busy = True
        await cache.get("k", library.search)
        redis.busy = False
        await cache.get("k", library.search)
        assert library.asked == 2

    play(scenario)


class FakeConnection:
    """A connection that is always there."""

    def __init__(self, **_: Any) -> None: ...

    async def connect(self) -> None: ...

    async def re_auth(self) -> None: ...

    async def can_read_destructive(self) -> bool:
        return False

    def should_reconnect(self) -> bool:
        return False


def pool_of(size: int, seconds: float) -> Pool:
    return Pool(connection_class=FakeConnection, max_connections=size, wait_seconds=seconds)  # type: ignore[arg-type]


def test_a_connection_is_waited_for_but_not_for_ever() -> None:
    async def run() -> None:
        pool = pool_of(1, 0.01)
        connection = await pool.get_connection()
        with pytest.raises(MaxConnectionsError):
            await pool.get_connection()
        await pool.release(connection)
        assert await pool.get_connection() is connection

    asyncio.run(run())


def test_one_who_leaves_as_a_connection_gets_free_takes_no_turn_along() -> None:
    async def run() -> None:
        pool = pool_of(1, 60)
        connection = await pool.get_connection()
        first, second = (asyncio.create_task(pool.get_connection()) for _ in range(2))
        await asyncio.sleep(0)
        await pool.release(connection)
        first.cancel()
        assert await asyncio.wait_for(second, 5) is connection

    asyncio.run(run())


@pytest.mark.integration
@pytest.mark.parametrize("way", ["url", "sentinels"])
def test_more_readers_than_connections(
    way: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait their turn, and what was kept for them is found."""
    primary = parse_url(redis_url)

    async def discover(*_: Any) -> tuple[str, int]:
        return primary["host"], primary["port"]

    monkeypatch.setattr(Sentinel, "discover_master", discover)
    settings = make_settings(
        cache={
            "enabled": True,
            way: redis_url if way == "url" else ["127.0.0.1:26379"],
            "tls": False,
            "pool_maxsize": 2,
            "timeout_seconds": 10,
            "prefix": f"test-{uuid.uuid4().hex[:12]}:",
        }
    )

    async def run() -> None:
        library = Library()
        cache = SearchCache(connect(settings), settings.cache, library.current)
        for _ in range(2):
            keys = (f"k{number}" for number in range(40))
            await asyncio.gather(*(cache.get(key, library.search) for key in keys))
        await cache.close()
        assert library.asked == 40

    asyncio.run(run())
