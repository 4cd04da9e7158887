"""What a request's line in the log and its stages cost.

    python bench/request_lines.py [REQUESTS]

Searches that the cache answers, the shortest there are, through the whole application and without
a network; what is logged goes to /dev/null, as costly as a pipe. Each kind runs in turn, the best
of its rounds counts.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message

from research_app import logs
from research_app.cache import SearchCache
from research_app.factory import create_app
from research_app.services import build
from research_app.settings import Credentials, Logging, parse
from research_app.stages import Times, stage

ROUNDS = 15
KEPT = b"m" * 32 + b"0" * 32 + b'{"total":0,"results":[]}'
SCOPE: dict[str, Any] = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/api/search",
    "raw_path": b"/api/search",
    "query_string": b"q=zebras+in+the+wild",
    "headers": [(b"host", b"library"), (b"x-request-id", b"0" * 32)],
    "client": ("127.0.0.1", 4711),
    "server": ("127.0.0.1", 7860),
}


class Known:
    """A cache that knows each answer."""

    async def mget(self, *_: str) -> list[bytes]:
        return [KEPT[:32], KEPT]


async def _edition() -> str:
    return "0" * 32


def application() -> ASGIApp:
    """The application. One for both kinds: of two, the second is a fifth slower by itself."""
    data: dict[str, Any] = {
        "server": {"tls": False},
        "opensearch": {"urls": ["http://127.0.0.1:9"]},
        "cache": {"enabled": False},
        "limits": {"search": ""},
    }
    settings = parse(data, Credentials(), Path("settings.toml"))
    parts = build(settings)
    known = SearchCache(Known(), settings.cache, _edition)  # type: ignore[arg-type]
    parts.search._cache = known
    return create_app(settings, parts)


async def seconds(app: ASGIApp, requests: int) -> float:
    """The time of one request."""
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    start = time.perf_counter()
    for _ in range(requests):
        await app(dict(SCOPE), receive, send)
    took = (time.perf_counter() - start) / requests
    assert statuses == [200] * requests
    return took


def stages(number: int) -> tuple[float, float]:
    """The time of one stage, in a request and outside of one."""

    def all_of_them() -> float:
        start = time.perf_counter()
        for _ in range(number):
            with stage("cache"):
                pass
        return (time.perf_counter() - start) / number

    outside = all_of_them()
    with Times():
        return all_of_them(), outside


async def main(requests: int) -> None:
    logs.configure(Logging())
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115, ASYNC230
    app = application()
    kinds = {"without": logging.WARNING, "with": logging.INFO}
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(ROUNDS):
        for name, level in kinds.items():
            logging.getLogger("research_app.access").setLevel(level)
            best[name] = min(best[name], await seconds(app, requests))
    ratio = best["with"] / best["without"]
    inside, outside = stages(100_000)
    print(f"a search from the cache: {1e6 * best['without']:.0f} µs without a line")
    print(f"and {1e6 * best['with']:.0f} µs with one: {ratio:.3f} times as long")
    print(f"a stage: {1e6 * inside:.2f} µs, outside of requests {1e6 * outside:.2f} µs")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
