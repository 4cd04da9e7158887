"""Measure the application against the services that it stands on: ratios, taken in one run.

    python bench/measure.py PAPERS [--pdfs FOLDER] [--documents N]

PAPERS is a file of JSON lines, as `research-app ingest` takes it. A real OpenSearch and a real
Redis are named by RESEARCH_TEST_OPENSEARCH_URL and RESEARCH_TEST_REDIS_URL; everything that is
made in them is removed at the end. What is compared takes turns, so that a machine which slows
down does so for both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import itertools
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
from opensearchpy import OpenSearch, helpers
from redis.asyncio import Redis

from research_app.index.client import ensure_index
from research_app.index.mapping import MAPPINGS
from research_app.intake import take
from research_app.search.body import search_body
from research_app.search.query import SearchQuery
from research_app.services import Services, build
from research_app.settings import Credentials, Settings, parse
from research_app.sources import open_source
from research_app.sources.document import Refusal, Source

QUERIES = 150
READERS = 50
SEARCHES_EACH = 6
BATCH = 500
PARTS = 6
START_SECONDS = 60


def port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


def settings_text(name: str, folder: Path, listen: int) -> str:
    """The settings of the application that is measured: plain, cached, without rate limits."""
    return f"""
[server]
port = {listen}
tls = false
access_log = false
[opensearch]
urls = ["{os.environ["RESEARCH_TEST_OPENSEARCH_URL"]}"]
index = "{name}"
[cache]
url = "{os.environ["RESEARCH_TEST_REDIS_URL"]}"
tls = false
prefix = "{name}:"
[library]
directory = "{folder / "library"}"
[limits]
search = ""
[logging]
level = "WARNING"
"""


def percentile(values: list[float], share: float) -> float:
    """The value that a share of all stay below."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def rate(count: int, seconds: float) -> float:
    """So many a second."""
    return count / seconds if seconds else 0.0


def line(what: str, value: str, promise: str = "") -> None:
    """One line of the report."""
    print(f"{what:<46}{value:>26}   {promise}".rstrip(), flush=True)


class Bench:
    """One run, in an index of its own."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.name = f"bench-{uuid.uuid4().hex[:8]}"
        self.listen = port()
        self.path = folder / "settings.toml"
        self.path.write_text(settings_text(self.name, folder, self.listen), encoding="utf-8")
        self.settings = self._settings()
        self.url = self.settings.opensearch.urls[0]
        self.client = OpenSearch(self.url, timeout=60, pool_maxsize=8)

    def _settings(self) -> Settings:
        return parse(tomllib.loads(self.path.read_text()), Credentials(), self.path)

    async def run(self) -> None:
        """All measurements, and nothing left of them."""
        parts = build(self.settings)
        try:
            async with parts.connected():
                await ensure_index(parts.client, self.name)
                await self.ingest(parts)
                if self.options.pdfs:
                    await self.pdfs(parts)
                await parts.client.indices.forcemerge(
                    index=self.name, params={"max_num_segments": 5}, request_timeout=300
                )
                async with self.served() as processes:
                    await self.searches()
                    await self.readers()
                    self.memory(processes)
        finally:
            await self.clean()

    async def clean(self) -> None:
        """Remove the indices and the keys."""
        self.client.indices.delete(index=f"{self.name}*")
        async with Redis.from_url(os.environ["RESEARCH_TEST_REDIS_URL"]) as redis:
            async for key in redis.scan_iter(match=f"{self.name}:*", count=1000):
                await redis.delete(key)

    # ingest

    async def ingest(self, parts: Services) -> None:
        """Ours, with all that it checks, against the client's own bulk helper.

        The medians of several parts: one in ten stalls for seconds, whoever writes it, while the
        server merges. The first part is not counted; it is the server that warms up with it.
        """
        plain = f"{self.name}-plain"
        await ensure_index(parts.client, plain)
        rates: dict[str, list[float]] = {"plain": [], "ours": []}
        written = 0
        for number, path in enumerate(self.parts()):
            turns = ("plain", "ours")
            for side in turns if number % 2 else reversed(turns):
                start = time.monotonic()
                if side == "plain":
                    count = await asyncio.to_thread(self._bulk, plain, path)
                else:
                    source = open_source(str(path), "paper", parts.tools)
                    written += (count := (await take(parts, source, lambda _: None)).new)
                rates[side].append(rate(count, time.monotonic() - start))
        ours, theirs = (statistics.median(rates[side][1:]) for side in ("ours", "plain"))
        line("documents", f"{written:,}")
        line("ingest, bare helpers.parallel_bulk", f"{theirs:,.0f} documents/s")
        line("ingest, ours", f"{ours:,.0f} documents/s")
        line("  ratio", f"{ours / theirs:.2f}", "promised: at least 0.8")

    def parts(self) -> list[Path]:
        """The corpus in several files, so that the sides can take turns."""
        found = list(itertools.islice(records(self.options.papers), self.options.documents))
        paths = [self.path.with_name(f"part{number}.jsonl") for number in range(PARTS)]
        for number, path in enumerate(paths):
            lines = (orjson.dumps(record) + b"\n" for record in found[number::PARTS])
            path.write_bytes(b"".join(lines))
        return paths

    def _bulk(self, index: str, path: Path) -> int:
        found = helpers.parallel_bulk(
            self.client, self._actions(index, path), thread_count=4, chunk_size=BATCH
        )
        done = sum(ok for ok, _ in found)
        self.client.indices.refresh(index=index)
        return done

    @staticmethod
    def _actions(index: str, path: Path) -> Iterator[dict[str, Any]]:
        """The same stored fields, as somebody would send them who checks nothing."""
        for record in records(path):
            identity = record.pop("id")
            known = {
                name: value
                for name, value in record.items()
                if name in MAPPINGS["properties"] and value not in ("", [], None)
            }
            yield {"_index": index, "_id": identity, "kind": "paper", **known}

    async def pdfs(self, parts: Services) -> None:
        """Text, figures and references of PDFs."""
        found = open_source(str(self.options.pdfs), "paper", parts.tools)
        candidates = [item for item in found.candidates if not isinstance(item, Refusal)]
        start = time.monotonic()
        await take(parts, Source(iter(candidates), found.batch), lambda _: None)
        seconds = time.monotonic() - start
        docs = self.client.mget(
            index=self.name,
            body={"ids": [item.id for item in candidates]},
            params={"_source_includes": "pages"},
        )["docs"]
        pages = sum(doc["_source"].get("pages", 0) for doc in docs if doc["found"])
        line(f"PDFs: {len(candidates)} files, {pages} pages", f"{rate(pages, seconds):.1f} pages/s")

    # searches

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[dict[str, psutil.Process]]:
        """The application as it is run in production: one process that serves, one that works."""
        environment = {**os.environ, "RESEARCH_APP_SETTINGS": str(self.path)}
        names = ("serve", "worker")
        started = {
            name: subprocess.Popen(
                [sys.executable, "-m", "research_app", name],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name in names
        }
        try:
            deadline = time.monotonic() + START_SECONDS
            async with httpx.AsyncClient() as client:
                while True:
                    with contextlib.suppress(httpx.HTTPError):
                        if (await client.get(self.api("/ready"))).status_code == 200:
                            break
                    if time.monotonic() > deadline:
                        sys.exit(f"bench: the application is not ready in {START_SECONDS} s")
                    await asyncio.sleep(0.2)
            yield {name: psutil.Process(process.pid) for name, process in started.items()}
        finally:
            for process in started.values():
                process.terminate()
            for process in started.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                process.kill()

    def api(self, path: str) -> str:
        """An address of the application."""
        return f"http://127.0.0.1:{self.listen}{path}"

    def questions(self, count: int, seed: int) -> list[str]:
        """Words that readers may look for: pieces of titles, the same in every run."""
        choice = random.Random(seed)  # to be the same in every run
        titles = [
            record["title"].split()
            for record in itertools.islice(records(self.options.papers), 20_000)
        ]
        found: dict[str, None] = {}
        while len(found) < count:
            title = choice.choice(titles)
            length = choice.randint(2, 6)
            start = choice.randint(0, max(0, len(title) - length))
            words = " ".join(title[start : start + length])
            if 3 <= len(words) <= 200:
                found[words] = None
        return list(found)

    async def searches(self) -> None:
        """One reader: the API, first and again, and the same request sent straight."""
        took: dict[str, list[float]] = {"straight": [], "uncached": [], "cached": []}
        async with httpx.AsyncClient(timeout=30) as client:

            async def straight(words: str) -> None:
                body = orjson.dumps(search_body(SearchQuery(q=words), self.settings.search))
                headers = {"Content-Type": "application/json"}
                answer = await client.post(
                    f"{self.url}/{self.name}/_search", content=body, headers=headers
                )
                answer.raise_for_status()
                answer.json()

            async def ours(words: str) -> None:
                answer = await client.get(self.api("/api/search"), params={"q": words})
                answer.raise_for_status()
                answer.json()

            for words in self.questions(10, seed=1):  # connections, code and caches are warm
                await ours(words)
                await straight(words)
            for number, words in enumerate(self.questions(QUERIES, seed=2)):
                await straight(words)  # whoever comes first reads the index into memory
                turns = [("straight", straight), ("uncached", ours)]
                for name, ask in turns if number % 2 else reversed(turns):
                    took[name].append(await timed(ask(words)))
                took["cached"].append(await timed(ours(words)))
        for name, label in (
            ("straight", "search, straight to OpenSearch"),
            ("uncached", "search, API, uncached"),
            ("cached", "search, API, cached"),
        ):
            p50, p95 = statistics.median(took[name]), percentile(took[name], 0.95)
            line(label, f"p50 {1000 * p50:6.1f} ms  p95 {1000 * p95:6.1f} ms")
        for name, promise in (("uncached", "at most 1.5"), ("cached", "below 1")):
            ratios = [
                f(took[name]) / f(took["straight"])
                for f in (statistics.median, lambda values: percentile(values, 0.95))
            ]
            line(
                f"  ratio, {name}",
                f"p50 {ratios[0]:.2f}  p95 {ratios[1]:.2f}",
                f"promised: {promise}",
            )

    async def readers(self) -> None:
        """Many readers at once, each with other words."""
        words = self.questions(READERS * SEARCHES_EACH, seed=3)
        took: list[float] = []
        errors: list[str] = []
        limits = httpx.Limits(max_connections=READERS)

        async with httpx.AsyncClient(timeout=60, limits=limits) as client:

            async def reader(number: int) -> None:
                for query in words[number::READERS]:
                    start = time.monotonic()
                    try:
                        answer = await client.get(self.api("/api/search"), params={"q": query})
                        if answer.status_code != 200:
                            errors.append(f"HTTP {answer.status_code}")
                    except httpx.HTTPError as error:
                        errors.append(type(error).__name__)
                    took.append(time.monotonic() - start)

            start = time.monotonic()
            await asyncio.gather(*(reader(number) for number in range(READERS)))
            seconds = time.monotonic() - start
        p50, p95 = 1000 * statistics.median(took), 1000 * percentile(took, 0.95)
        line(f"{READERS} readers at once", f"p50 {p50:6.0f} ms  p95 {p95:6.0f} ms")
        line("  searches a second", f"{rate(len(took), seconds):.0f}")
        line("  errors", f"{len(errors)} of {len(took)}", "promised: 0")
        for kind in sorted(set(errors)):
            line(f"    {kind}", str(errors.count(kind)))

    @staticmethod
    def memory(processes: dict[str, psutil.Process]) -> None:
        """What each process holds of its own, with its children."""
        for name, process in processes.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                family = [process, *process.children(recursive=True)]
                own = sum(member.memory_full_info().uss for member in family)
                line(f"memory, {name} ({len(family)} processes)", f"{own / 2**20:.0f} MiB")


async def timed(work: Any) -> float:
    """How long something takes."""
    start = time.monotonic()
    await work
    return time.monotonic() - start


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of JSON lines."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        for text in stream:
            yield orjson.loads(text)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("papers", type=Path, help="JSON lines, .jsonl or .jsonl.gz")
    parser.add_argument("--pdfs", type=Path, help="a folder of PDFs")
    parser.add_argument("--documents", type=int, default=100_000, help="at most so many papers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="research-bench-") as folder:
        asyncio.run(Bench(options, Path(folder)).run())


if __name__ == "__main__":
    main()
