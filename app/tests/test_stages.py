"""Where the time of a request goes: in its log line and in the metrics."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import io
import json
import logging
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio.to_thread
import httpx
import pytest
from conftest import FakeAccounts, FakeHealth, FakePassage, Site, make_settings
from fastapi.testclient import TestClient
from model_server import OPENAI, Model, serving
from opensearchpy import AsyncTransport
from starlette.types import Receive, Scope, Send

from research_app import metrics
from research_app.answer.events import Done, Event, Text
from research_app.answer.service import AnswerService, provider_of, within
from research_app.auth.service import Auth
from research_app.factory import create_app
from research_app.middleware import RequestMiddleware
from research_app.services import Services, build
from research_app.stages import STAGES, Times, stage

FOUND = {
    "took": 1,
    "timed_out": False,
    "_shards": {"total": 1, "failed": 0},
    "hits": {"total": {"value": 0}, "hits": []},
    "aggregations": {},
    "suggest": {"words": []},
}
NAP = 0.02


def entries(lines: io.StringIO) -> list[dict[str, Any]]:
    """The lines of requests."""
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [entry for entry in told if entry.get("event") == "request"]


def counted(name: str) -> tuple[float, float]:
    """How many requests had a stage, and their seconds."""
    samples = {
        sample.name.removeprefix("research_request_stage_seconds"): sample.value
        for metric in metrics.STAGE_SECONDS.collect()
        for sample in metric.samples
        if sample.labels["stage"] == name and "le" not in sample.labels
    }
    return samples["_count"], samples["_sum"]


# --- the mechanism ------------------------------------------------------------------------------


def test_a_stage_within_another_counts_for_itself_alone() -> None:
    start = time.perf_counter()
    with Times() as times:
        with stage("cache"):
            time.sleep(NAP)
            with stage("opensearch"):
                time.sleep(3 * NAP)
        with stage("cache"):
            time.sleep(NAP)
    whole = time.perf_counter() - start
    took = times.seconds()
    assert took.keys() == {"cache", "opensearch"}
    assert took["cache"] >= 2 * NAP
    assert took["opensearch"] >= 3 * NAP
    assert sum(took.values()) <= whole


def test_nothing_is_measured_outside_of_a_request_or_after_it() -> None:
    with stage("cache"):
        pass
    with Times() as times:
        context = contextvars.copy_context()

    def late() -> None:
        with stage("cache"):
            pass

    context.run(late)
    assert times.seconds() == {}


def test_stages_that_fail_count_too() -> None:
    with Times() as times, pytest.raises(ValueError, match="x"), stage("model"):
        raise ValueError("x")
    assert times.seconds().keys() == {"model"}


def test_tasks_and_threads_belong_to_their_request() -> None:
    def work() -> None:
        with stage("ranking"):
            time.sleep(NAP)

    async def one(executor: ThreadPoolExecutor) -> None:
        start = time.perf_counter()
        with Times() as times:
            with stage("rendering"):
                await asyncio.create_task(asyncio.to_thread(work))
                await anyio.to_thread.run_sync(work)
                carried = contextvars.copy_context().run
                await asyncio.get_running_loop().run_in_executor(executor, carried, work)
            whole = time.perf_counter() - start
            took = times.seconds()
            assert took["ranking"] >= 3 * NAP
            assert sum(took.values()) <= whole

    async def many() -> None:
        with ThreadPoolExecutor() as executor:
            await asyncio.gather(*(one(executor) for _ in range(8)))

    asyncio.run(many())


def test_what_runs_at_once_takes_nothing_from_what_waits_for_it() -> None:
    async def ask() -> None:
        with stage("opensearch"):
            await asyncio.sleep(NAP)

    async def run() -> Times:
        with Times() as times, stage("cache"):
            await asyncio.gather(*(ask() for _ in range(5)))
        return times

    took = asyncio.run(run()).seconds()
    assert took["cache"] == 0
    assert took["opensearch"] >= 5 * NAP


# --- requests -----------------------------------------------------------------------------------


class FakeCluster:
    """Finds nothing, slowly."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def perform(self, *_: Any, body: Any = None, **__: Any) -> Any:
        self.bodies.append(body)
        await asyncio.sleep(NAP)
        return FOUND


class FakeRedis:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def mget(self, *names: str) -> list[bytes | None]:
        return [self.kept.get(name) for name in names]

    async def get(self, name: str) -> bytes | None:
        return self.kept.get(name)

    async def set(self, name: str, value: Any, **_: Any) -> bool:
        self.kept[name] = value if isinstance(value, bytes) else value.encode()
        return True

    def pipeline(self, **_: Any) -> FakeRedis:
        return FakePipeline(self.kept)

    async def aclose(self) -> None:
        pass


class FakePipeline(FakeRedis):
    def __init__(self, kept: dict[str, bytes]) -> None:
        self.kept = kept
        self.wanted: list[tuple[str, bytes | None]] = []

    def set(self, name: str, value: bytes, **_: Any) -> None:  # type: ignore[override]
        self.wanted.append((name, value))

    def delete(self, name: str) -> None:
        self.wanted.append((name, None))

    async def execute(self) -> None:
        for name, value in self.wanted:
            if value is None:
                self.kept.pop(name, None)
            else:
                self.kept[name] = value


@dataclasses.dataclass
class Library:
    """The application with its own search and cache, and a cluster that finds nothing."""

    services: Services
    client: TestClient
    cluster: FakeCluster


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    cluster = FakeCluster()
    monkeypatch.setattr(AsyncTransport, "perform_request", cluster.perform)
    parts = build(make_settings())
    auth = Auth(parts.settings, FakeAccounts())  # type: ignore[arg-type]
    parts = dataclasses.replace(parts, auth=auth, health=FakeHealth())  # type: ignore[arg-type]
    parts.cache._redis = FakeRedis()  # type: ignore[assignment]

    async def edition() -> str:
        return "0" * 32

    parts.cache._edition = edition
    app = create_app(parts.settings, parts)
    return Library(parts, TestClient(app, raise_server_exceptions=False), cluster)


def test_a_search_tells_its_stages(library: Library, lines: io.StringIO) -> None:
    before = {name: counted(name) for name in STAGES}
    for _ in range(2):
        assert library.client.get("/?q=my+private+illness").status_code == 200
    first, second = entries(lines)
    assert (first["endpoint"], first["path"], first["status"]) == ("/", "/", 200)
    stages = [f"{name}_ms" for name in STAGES]
    assert set(stages) & first.keys() == {
        *("cache_ms", "waiting_ms", "opensearch_ms", "rendering_ms")
    }
    assert first["opensearch_ms"] >= 1000 * NAP
    # each is rounded for itself
    assert sum(first.get(name, 0.0) for name in stages) <= first["ms"] + 0.5
    assert set(stages) & second.keys() == {"cache_ms", "rendering_ms"}
    after = {name: counted(name) for name in STAGES}
    grown = {name: after[name][0] - before[name][0] for name in STAGES}
    assert grown == {
        **{"cache": 2, "waiting": 1, "opensearch": 1, "ranking": 0, "model": 0},
        "rendering": 2,
    }
    seconds = after["opensearch"][1] - before["opensearch"][1]
    assert seconds == pytest.approx(first["opensearch_ms"] / 1000, abs=0.001)
    assert "illness" not in lines.getvalue()


def test_who_waits_for_the_search_of_another_waits_for_the_cache(
    library: Library, lines: io.StringIO
) -> None:
    async def both() -> None:
        async def ask() -> dict[str, float]:
            with Times() as times:
                await library.services.cache.get("key", compute)
            return {str(name): value for name, value in times.seconds().items()}

        async def compute() -> tuple[bytes, bool]:
            with stage("opensearch"):
                await asyncio.sleep(NAP)
            return b"{}", True

        one, other = await asyncio.gather(ask(), ask())
        assert one["opensearch"] >= NAP
        assert other.keys() == {"cache"}
        assert other["cache"] >= NAP / 2

    asyncio.run(both())


def test_an_answer_tells_how_long_its_model_wrote(site: Site, lines: io.StringIO) -> None:
    async def ask() -> str:
        async with serving(Model(lines=OPENAI)) as model:
            section = {"provider": "openai", "url": f"{model.url}/v1", "model": "m"}
            settings = make_settings(answer=section)
            answers = AnswerService(settings.answer, site.search, provider_of(settings))
            app = create_app(settings, dataclasses.replace(site.services, answers=answers))
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://library") as client:
                told = await client.get("/api/answer?q=Why+do+zebras+have+stripes")
            await answers.close()
            return told.text

    site.search.found_passages = [FakePassage("Zebras have stripes.")]
    assert "event: done" in asyncio.run(ask())
    (entry,) = entries(lines)
    assert entry["endpoint"] == "/api/answer"
    assert 0 < entry["model_ms"] <= entry["ms"]
    assert "zebras" not in lines.getvalue().lower()


def test_a_stream_has_its_line_when_it_ends(lines: io.StringIO) -> None:
    seen: list[int] = []

    async def slow(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _number in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            seen.append(len(entries(lines)))
            await asyncio.sleep(NAP)
        await send({"type": "http.response.body", "body": b""})

    layer = RequestMiddleware(slow, True, (), metrics.ActiveUsers(), b"")
    assert TestClient(layer).get("/").text == "xxx"
    (entry,) = entries(lines)
    assert seen == [0, 0, 0]
    assert entry["ms"] >= 3000 * NAP


@pytest.mark.parametrize("path", ["/live", "/ready", "/health", "/metrics", "/static/x.css"])
def test_what_no_reader_asks_for_has_no_line_and_no_stage(
    site: Site, lines: io.StringIO, path: str
) -> None:
    before = {name: counted(name) for name in STAGES}
    site.get(path)
    assert entries(lines) == []
    assert {name: counted(name) for name in STAGES} == before


@pytest.mark.parametrize("path", ["/", "/library", "/?q=ab", "/?q=anything"])
def test_each_page_is_rendered(site: Site, lines: io.StringIO, path: str) -> None:
    site.get(path)
    (entry,) = entries(lines)
    assert "rendering_ms" in entry


def test_a_level_above_info_has_no_line(site: Site, lines: io.StringIO) -> None:
    logging.getLogger().setLevel("WARNING")
    site.get("/?q=anything")
    assert lines.getvalue() == ""


def test_a_reader_who_takes_his_time_is_not_the_model() -> None:
    """While a reader takes an event, which may last, the model is not waited for."""

    async def run() -> None:
        async def events() -> AsyncGenerator[Event, None]:
            yield Text("a")
            yield Done("m", True)

        with Times() as times:
            start = time.perf_counter()
            async for _ in within(5, events()):
                await asyncio.sleep(NAP)
            whole = time.perf_counter() - start
        assert times.seconds()["model"] <= whole - 2 * NAP

    asyncio.run(run())
