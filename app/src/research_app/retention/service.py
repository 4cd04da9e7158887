"""Finds what nobody has used for long, moves it to an archive, and brings it back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from opensearchpy.exceptions import OpenSearchException

from research_app.index import usage
from research_app.index.client import IndexUnavailableError, describe, ensure_index
from research_app.intake import forget_answers
from research_app.retention import archive
from research_app.services import Services

logger = logging.getLogger(__name__)

BATCH = 200
SCROLL = "5m"
REQUEST_SECONDS = 60
# what readers open is written down a little later; this is twice as long
SETTLE_SECONDS = 2 * usage.WRITE_SECONDS
CONFLICT = 409
GONE = 404


@dataclass
class Outcome:
    """What a run found and did."""

    unused: int = 0
    oldest: list[str] = field(default_factory=list)
    path: Path | None = None
    archived: int = 0
    deleted: int = 0
    kept: int = 0


class Retention:
    """One library's archive."""

    def __init__(self, parts: Services) -> None:
        self._parts = parts
        self._client = parts.client
        self._index = parts.settings.opensearch.index
        self.folder = parts.files.directory / "archive"

    async def look(self, days: int) -> Outcome:
        """What would be moved; nothing is changed."""
        outcome = Outcome()
        async for hits in self._unused(days):
            outcome.unused += len(hits)
            for hit in hits[: 10 - len(outcome.oldest)]:
                title = str(hit["_source"].get("title", ""))[:80]
                outcome.oldest.append(f"{hit['_id']}  {title}")
        return outcome

    async def apply(self, days: int) -> Outcome:
        """Archive what is unused, verify the archive, and only then delete it from the index."""
        now = datetime.now(UTC)
        path = self.folder / f"unused-{now:%Y%m%dT%H%M%S}.jsonl.gz"
        outcome, items = Outcome(), {}
        head = {"index": self._index, "at": now.isoformat(timespec="seconds"), "days": days}
        with archive.ArchiveWriter(path, head) as writer:
            async for hits in self._unused(days):
                for hit in hits:
                    writer.add(hit["_id"], hit["_source"])
                    items[hit["_id"]] = _archived(hit)
        outcome.unused = outcome.archived = writer.count
        if items:
            outcome.path = path
            await asyncio.sleep(SETTLE_SECONDS)
            await self._delete(items, now - timedelta(days=days), outcome)
        return outcome

    async def restore(self, path: Path) -> tuple[int, int]:
        """Bring an archive back: how many items were put back, how many are there already."""
        await asyncio.to_thread(archive.verify, path)
        await ensure_index(self._client, self._index)
        back = there = 0
        now = datetime.now(UTC).isoformat(timespec="seconds")
        batch: list[tuple[str, dict[str, Any]]] = []
        for item in archive.read(path):
            batch.append(item)
            if len(batch) == BATCH:
                created, existing = await self._create(batch, now)
                back, there, batch = back + created, there + existing, []
        created, existing = await self._create(batch, now)
        back, there = back + created, there + existing
        # also where all are there already: a run before this one may have ended before it got here
        await self._seen_by_searches()
        return back, there

    async def _unused(self, days: int) -> AsyncIterator[list[dict[str, Any]]]:
        """Items that were neither taken in nor used for so long, the oldest first."""
        cutoff = datetime.now(UTC) - timedelta(days=days)
        body = {
            "size": BATCH,
            "query": {"range": {"ingested_at": {"lt": cutoff.isoformat(timespec="seconds")}}},
            "sort": [{"ingested_at": "asc"}],
            "seq_no_primary_term": True,
        }
        found = await self._call(
            lambda: self._client.search(
                index=self._index,
                body=body,
                params={"scroll": SCROLL, "request_timeout": REQUEST_SECONDS},
            )
        )
        scroll = found["_scroll_id"]
        try:
            while hits := found["hits"]["hits"]:
                if found["_shards"]["failed"]:
                    raise IndexUnavailableError("some shards do not answer")
                files = {hit["_id"]: hit["_source"].get("file") for hit in hits}
                used = await self._used_since(cutoff, files)
                unused = [hit for hit in hits if hit["_id"] not in used]
                if unused:
                    yield unused
                request = {"scroll": SCROLL, "scroll_id": scroll}
                found = await self._call(partial(self._client.scroll, body=request))
                scroll = found["_scroll_id"]
        finally:
            await self._call(lambda: self._client.clear_scroll(body={"scroll_id": [scroll]}))

    async def _used_since(self, cutoff: datetime, files: dict[str, str | None]) -> set[str]:
        """Which items were used since, by themselves or by their file."""
        keys = [key for key in files.values() if key]
        times = await self._parts.usage.last_used([*files, *keys])
        # an entry speaks for the whole of its day
        day = cutoff.replace(hour=0, minute=0, second=0, microsecond=0)
        used = {name for name, at in times.items() if at >= day}
        return {name for name, key in files.items() if name in used or key in used}

    async def _delete(
        self, items: dict[str, _Archived], cutoff: datetime, outcome: Outcome
    ) -> None:
        """Delete what is still as it was archived, and still unused."""
        names = list(items)
        for start in range(0, len(names), BATCH):
            part = names[start : start + BATCH]
            used = await self._used_since(cutoff, {name: items[name].file for name in part})
            wanted = [name for name in part if name not in used]
            lines = [_deletion(name, items[name]) for name in wanted]
            outcome.kept += len(part) - len(wanted)
            if not lines:
                continue
            gone = []
            for result in await self._bulk(b"".join(lines)):
                if result["delete"]["status"] in (CONFLICT, GONE):
                    outcome.kept += 1
                else:
                    gone.append(result["delete"]["_id"])
            outcome.deleted += len(gone)
            keys = [key for name in gone if (key := items[name].file)]
            await self._parts.usage.forget([*gone, *keys])
        await self._seen_by_searches()

    async def _create(self, items: list[tuple[str, dict[str, Any]]], now: str) -> tuple[int, int]:
        if not items:
            return 0, 0
        # first, and also what is there: a run that ends half way cannot know what it has brought
        # back, and what is not marked the next retention moves away again
        await self._parts.usage.mark({name: now for name, _ in items})
        body = b"".join(
            orjson.dumps({"create": {"_id": name}}) + b"\n" + orjson.dumps(source) + b"\n"
            for name, source in items
        )
        results = await self._bulk(body)
        created = sum(result["create"]["status"] != CONFLICT for result in results)
        return created, len(items) - created

    async def _bulk(self, body: bytes) -> list[dict[str, Any]]:
        answer = await self._call(
            lambda: self._client.bulk(
                body=body, index=self._index, params={"request_timeout": REQUEST_SECONDS}
            )
        )
        for result in answer["items"]:
            outcome = next(iter(result.values()))
            if "error" in outcome and outcome["status"] not in (CONFLICT, GONE):
                raise IndexUnavailableError(str(outcome["error"].get("reason", "refused"))[:300])
        items: list[dict[str, Any]] = answer["items"]
        return items

    async def _seen_by_searches(self) -> None:
        await self._call(lambda: self._client.indices.refresh(index=self._index))
        await forget_answers(self._parts)

    @staticmethod
    async def _call(request: Callable[[], Any]) -> Any:
        try:
            return await request()
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error


@dataclass(frozen=True)
class _Archived:
    """The version of an item that is in the archive, and its file, by which it may be used."""

    number: int
    term: int
    file: str | None


def _archived(hit: dict[str, Any]) -> _Archived:
    return _Archived(hit["_seq_no"], hit["_primary_term"], hit["_source"].get("file"))


def _deletion(name: str, item: _Archived) -> bytes:
    line = {"delete": {"_id": name, "if_seq_no": item.number, "if_primary_term": item.term}}
    return orjson.dumps(line) + b"\n"
