"""Whether this node can serve: some checks, at the same time, each with a time-out."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
from opensearchpy import AsyncOpenSearch

from research_app.cache import CacheUnavailableError, SearchCache
from research_app.index.client import IndexUnavailableError, answers, unserved
from research_app.index.retry import Retry
from research_app.settings import Settings

Check = Callable[[], Awaitable[str]]
GIBIBYTE = 2**30
# what searches can do without
SPARED = frozenset({"cache", "indices"})


class UnhealthyError(Exception):
    """A check failed; the message says how."""


def disk(path: str, least_percent: float) -> str:
    """Free space of a file system."""
    usage = shutil.disk_usage(path)
    percent = 100 * usage.free / usage.total
    detail = f"{usage.free / GIBIBYTE:.1f} GiB free ({percent:.0f} %)"
    if percent < least_percent:
        raise UnhealthyError(detail)
    return detail


def memory(least_percent: float) -> str:
    """Memory that can be had without swapping."""
    usage = psutil.virtual_memory()
    percent = 100 * usage.available / usage.total
    detail = f"{usage.available / GIBIBYTE:.1f} GiB available ({percent:.0f} %)"
    if percent < least_percent:
        raise UnhealthyError(detail)
    return detail


class HealthService:
    """Runs the checks."""

    def __init__(
        self,
        settings: Settings,
        client: AsyncOpenSearch,
        cache: SearchCache,
        indices: tuple[str, ...] = (),
    ) -> None:
        """The client asks each time another node; `indices` are those beside the library's."""
        section = settings.health
        self._seconds = section.timeout_seconds
        # one node that hangs makes no other unready
        retry = Retry(0.9 * self._seconds, attempts=2, first=0.45 * self._seconds)
        library = settings.opensearch.index
        patterns = [f"{name}*" for name in dict.fromkeys((library, *indices))]

        async def check_disk() -> str:
            return await asyncio.to_thread(disk, section.disk_path, section.disk_free_percent)

        async def check_memory() -> str:
            return memory(section.memory_free_percent)

        async def check_opensearch() -> str:
            return await answers(client, library, retry)

        async def check_indices() -> str:
            red, number = await unserved(client, patterns)
            if red:
                raise UnhealthyError(f"not served: {', '.join(red)}")
            return f"{number} served"

        self._checks: dict[str, Check] = {
            "opensearch": check_opensearch,
            "indices": check_indices,
            "cache": cache.ping,
            "disk": check_disk,
            "memory": check_memory,
        }

    async def check(self, name: str) -> dict[str, Any]:
        """One check: ok, seconds, detail."""
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._seconds):
                detail, good = await self._checks[name](), True
        except TimeoutError:
            detail, good = f"no answer in {self._seconds:g} s", False
        except (IndexUnavailableError, CacheUnavailableError, UnhealthyError, OSError) as error:
            detail, good = str(error), False
        return {"ok": good, "seconds": round(time.perf_counter() - start, 4), "detail": detail}

    async def all(self) -> dict[str, dict[str, Any]]:
        """Every check, at the same time."""
        results = await asyncio.gather(*(self.check(name) for name in self._checks))
        return dict(zip(self._checks, results, strict=True))

    async def ready(self) -> dict[str, Any]:
        """Whether searches can be answered; the cache is not needed for that."""
        return await self.check("opensearch")
