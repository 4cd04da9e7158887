"""Health, drain, notifications and logs: how the process behaves."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import make_settings
from starlette.types import Message, Receive, Scope, Send

from research_app import health as health_module
from research_app import logs
from research_app.drain import Drain, DrainMiddleware
from research_app.health import HealthService, UnhealthyError
from research_app.settings import Logging
from research_app.systemd import notify


class Slow:
    """An OpenSearch and a cache that take their time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.indices = {name: {"status": "yellow"} for name in ("library", "library-users")}

    async def search(self, **_: Any) -> dict[str, Any]:
        await asyncio.sleep(self.seconds)
        return {"_shards": {"failed": 0, "total": 1}, "hits": {"total": {"value": 7}}}

    @property
    def cluster(self) -> Slow:
        return self

    async def health(self, **_: Any) -> dict[str, Any]:
        await asyncio.sleep(self.seconds)
        return {"indices": self.indices}

    async def ping(self) -> str:
        await asyncio.sleep(self.seconds)
        return "answers"


def check(seconds: float, **section: Any) -> dict[str, Any]:
    settings = make_settings(health={"timeout_seconds": 0.3, **section})
    parts = Slow(seconds)
    return asyncio.run(HealthService(settings, parts, parts).all())  # type: ignore[arg-type]


def test_checks_run_at_the_same_time() -> None:
    start = time.monotonic()
    found = check(0.2)
    assert time.monotonic() - start < 0.39
    assert list(found) == ["opensearch", "indices", "cache", "disk", "memory"]
    assert found["indices"]["detail"] == "2 served"
    assert all(result["ok"] for result in found.values())
    assert found["opensearch"]["detail"] == "7 documents"
    assert found["opensearch"]["seconds"] >= 0.2


def test_a_check_that_hangs_fails_alone() -> None:
    found = check(5)
    assert found["opensearch"] == {
        "ok": False,
        "seconds": pytest.approx(0.3, abs=0.2),
        "detail": "no answer in 0.3 s",
    }
    assert found["disk"]["ok"]


def test_an_index_that_is_not_served_is_named() -> None:
    parts = Slow(0)
    parts.indices["library-quarantine"] = {"status": "red"}
    health = HealthService(make_settings(), parts, parts)  # type: ignore[arg-type]
    found = asyncio.run(health.check("indices"))
    assert not found["ok"]
    assert found["detail"] == "not served: library-quarantine"


def test_too_little_space() -> None:
    found = check(0, disk_free_percent=100, memory_free_percent=100)
    assert not found["disk"]["ok"]
    assert not found["memory"]["ok"]
    assert "GiB" in found["disk"]["detail"]


def test_a_path_that_is_not_there() -> None:
    found = check(0, disk_path="/nowhere")
    assert not found["disk"]["ok"]


def test_limits() -> None:
    assert "free" in health_module.disk("/", 0)
    with pytest.raises(UnhealthyError):
        health_module.memory(100)


async def _serve(drain: Drain, app: Any, sent: list[Message]) -> None:
    async def receive() -> Message:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await DrainMiddleware(app, drain)({"type": "http"}, receive, send)


async def endless(_: Scope, __: Receive, send: Send) -> None:
    headers = [(b"Content-Type", b"text/event-stream; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while True:
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await asyncio.sleep(0.01)


async def quick(_: Scope, __: Receive, send: Send) -> None:
    await asyncio.sleep(0.1)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


async def stuck(_: Scope, __: Receive, ___: Send) -> None:
    await asyncio.sleep(60)


def test_leaving_waits_for_requests_and_ends_streams() -> None:
    async def run() -> None:
        drain = Drain()
        stream: list[Message] = []
        request: list[Message] = []
        tasks = [asyncio.create_task(_serve(drain, endless, stream))]
        await asyncio.sleep(0.05)
        assert (drain.pending, drain.streams) == (1, 1)
        drain.begin()
        tasks.append(asyncio.create_task(_serve(drain, quick, request)))
        await asyncio.sleep(0)
        start = time.monotonic()
        await drain.finish(lame_duck=0.02, limit=2)
        assert 0.09 < time.monotonic() - start < 1
        await asyncio.gather(*tasks)
        assert stream[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
        assert request[-1]["body"] == b"done"
        assert (b"connection", b"close") in request[0]["headers"]
        assert (drain.pending, drain.streams) == (0, 0)

    asyncio.run(run())


def test_leaving_ends_even_if_a_request_does_not() -> None:
    async def run() -> None:
        drain = Drain()
        task = asyncio.create_task(_serve(drain, stuck, []))
        await asyncio.sleep(0)
        start = time.monotonic()
        await drain.finish(lame_duck=0, limit=0.1)
        assert time.monotonic() - start < 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert drain.pending == 0

    asyncio.run(run())


def test_a_reader_who_closes_a_stream_is_no_drain() -> None:
    async def run() -> None:
        drain = Drain()
        task = asyncio.create_task(_serve(drain, endless, []))
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (drain.pending, drain.streams) == (0, 0)

    asyncio.run(run())


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"@research-test-{tmp_path.name}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name.replace("@", "\0", 1) if abstract else name)
        channel.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify("READY=1")
        assert channel.recv(100) == b"READY=1"


def test_without_systemd_nobody_is_told() -> None:
    notify("READY=1")


def test_logs_are_json_with_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure(Logging.model_validate({"json": True}))
        token = logs.request_id.set("r-1")
        logging.getLogger("x").warning("said %s", "it", extra={"ms": 3})
        logs.request_id.reset(token)
        logging.getLogger("x").debug("not this")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["message"] == "said it"
    assert (entry["level"], entry["request_id"], entry["ms"]) == ("WARNING", "r-1", 3)
