"""Bring documents into the index: once each, however often it is run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

import orjson
from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import ConnectionError as UnreachableError
from opensearchpy.exceptions import OpenSearchException, RequestError, TransportError

from research_app.extract.extraction import OWN, Extraction
from research_app.files import FileStore
from research_app.index.client import NO_ROOM, IndexUnavailableError, describe, is_full_disk, whole
from research_app.index.quarantine import Quarantine
from research_app.index.vectors import meanings
from research_app.refusal import NotNowError, ReaderAwayError
from research_app.report import Progress, Report, State
from research_app.search.meaning import Meaning
from research_app.sources.document import Candidate, Refusal, Source, Workshop
from research_app.sources.outcome import refusal

logger = logging.getLogger(__name__)

BULK_BYTES = 8 * 1024 * 1024
WRITERS = 4
REQUEST_SECONDS = 60
# waits before a refused or unanswered bulk is sent again; about a minute in all
PAUSES = (0.5, 1, 2, 4, 8, 15, 30)
BUSY = 429
REFUSED = 400


@dataclass(frozen=True, slots=True)
class Write:
    """A document on its way to the index."""

    item: Candidate
    state: State
    body: bytes
    mended: tuple[str, ...] = ()

    def lines(self) -> bytes:
        """The two lines that the bulk API wants."""
        return orjson.dumps({"index": {"_id": self.item.id}}) + b"\n" + self.body + b"\n"


def split(writes: list[Write], limit: int) -> Iterator[list[Write]]:
    """Parts that are each below a size, or one document."""
    part: list[Write] = []
    size = 0
    for write in writes:
        if part and size + len(write.body) > limit:
            yield part
            part, size = [], 0
        part.append(write)
        size += len(write.body)
    if part:
        yield part


class Ingest:
    """One run: batches are compared with the index, and what is new is written."""

    def __init__(
        self,
        client: AsyncOpenSearch,
        index: str,
        files: FileStore,
        progress: Progress = lambda _: None,
        *,
        meaning: Meaning | None = None,
        extraction: Extraction = OWN,
    ) -> None:
        self._client = client
        self._index = index
        self._progress = progress
        self._meaning = meaning
        self._hashes: dict[str, str] = {}
        self._interrupted: NotNowError | None = None
        self._quarantine = Quarantine(client, index)
        self._workshop = Workshop(partial(extraction.soon, "pdf"), files)
        self.report = Report()
        # some of what was sent may be there, even where no answer came
        self.sent = False

    async def run(self, source: Source) -> Report:
        """Take every candidate; what can be searched afterwards is all of it.

        Raises NotNowError, once that is done, where the source itself may give more later.
        """
        try:
            await self._take_all(source)
        except ExceptionGroup as group:
            failure = _first(group)
            raise failure from failure.__cause__
        self.report.unread = source.unread
        if self.report.wrote:
            refresh = partial(self._client.indices.refresh, index=self._index)
            await self._after_all(self._call(refresh), "searches see it later")
        if self._interrupted is not None:
            raise self._interrupted
        renewal = self._quarantine.renew(source, self.report.refusals)
        await self._after_all(renewal, "the quarantine is not up to date")
        return self.report

    async def _after_all(self, work: Awaitable[Any], otherwise: str) -> None:
        """Do what comes after the last document: where it fails that is noted, and no failure."""
        try:
            await work
        except IndexUnavailableError as error:
            note = f"{otherwise} ({error})"
            logger.warning("%s: %s", self._index, note)
            self.report.notes.append(note)

    async def _take_all(self, source: Source) -> None:
        queue: asyncio.Queue[list[Candidate] | None] = asyncio.Queue(maxsize=WRITERS)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(self._write_from(queue))
            # in a thread, since a source waits for disks and for other people's servers
            while taken := await asyncio.to_thread(self._next, source):
                self.report.total = source.total.count
                if kept := self._sift(taken):
                    await queue.put(kept)
            for _ in range(WRITERS):
                await queue.put(None)

    def _next(self, source: Source) -> list[Candidate | Refusal]:
        """What comes next; what was taken when a server stops answering is kept."""
        taken: list[Candidate | Refusal] = []
        try:
            for item in islice(source.candidates, source.batch):
                taken.append(item)
        except NotNowError as error:
            self._interrupted = error
        return taken

    def _refuse(self, source: str, reason: str) -> None:
        self.report.refuse(Refusal(source, reason))

    def _sift(self, taken: list[Candidate | Refusal]) -> list[Candidate]:
        """Put aside what the source refused, and the second of two with one id."""
        kept = []
        for item in taken:
            if isinstance(item, Refusal):
                self.report.refuse(item)
            elif item.id not in self._hashes:
                self._hashes[item.id] = item.content_hash
                kept.append(item)
            elif self._hashes[item.id] == item.content_hash:
                self.report.take(item.source, "unchanged")
            else:
                self._refuse(item.source, f"another document in this run has the id {item.id}")
        self._progress(self.report)
        return kept

    async def _write_from(self, queue: asyncio.Queue[list[Candidate] | None]) -> None:
        while (batch := await queue.get()) is not None:
            await self._take(batch)
            self._progress(self.report)

    async def _take(self, batch: list[Candidate]) -> None:
        stored = await self._stored(batch)
        wanted: list[tuple[Candidate, State]] = []
        for item in batch:
            known = stored.get(item.id)
            if known is None:
                wanted.append((item, "new"))
            elif known["kind"] != item.kind:
                self._refuse(item.source, f"the id {item.id} belongs to a {known['kind']}")
            elif known["content_hash"] == item.content_hash:
                self.report.take(item.source, "unchanged")
            else:
                wanted.append((item, "changed"))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        taken = [
            (item, state, _stamped(item, fields, now))
            for (item, state), fields in zip(wanted, await self._loaded(wanted), strict=True)
            if fields is not None
        ]
        faults = [(*item.mended, *fields.pop("mended", ())) for item, _, fields in taken]
        if self._meaning is not None:
            stored_meanings = await meanings(self._meaning, [fields for _, _, fields in taken])
            for (_, _, fields), meaning in zip(taken, stored_meanings, strict=True):
                fields["meaning"] = meaning
        loaded = [
            Write(item, state, orjson.dumps(fields), mended)
            for (item, state, fields), mended in zip(taken, faults, strict=True)
        ]
        for part in split(loaded, BULK_BYTES):
            await self._bulk(part)

    async def _stored(self, batch: list[Candidate]) -> dict[str, dict[str, Any]]:
        request = partial(
            self._client.mget,
            body={"ids": [item.id for item in batch]},
            index=self._index,
            request_timeout=REQUEST_SECONDS,
            params={"_source_includes": "content_hash,kind"},
        )
        found = await self._call(request)
        return {doc["_id"]: doc["_source"] for doc in found["docs"] if doc.get("found")}

    async def _loaded(self, wanted: list[tuple[Candidate, State]]) -> list[dict[str, Any] | None]:
        """The fields of each; for those at hand a task each would cost more than all the rest."""
        items = [item for item, _ in wanted]
        waited_for = [self._load(item) for item in items if item.at_hand is None]
        later = iter(await asyncio.gather(*waited_for))
        return [next(later) if item.at_hand is None else item.at_hand for item in items]

    async def _load(self, item: Candidate) -> dict[str, Any] | None:
        try:
            return await item.load(self._workshop)
        except ReaderAwayError:
            raise
        except Exception as error:
            self.report.refuse(refusal(item.source, error))
            return None

    async def _bulk(self, writes: list[Write]) -> None:
        """Write; what the cluster is too busy for is sent again, what it refuses is not."""
        self.sent = True
        for pause in (*PAUSES, None):
            outcomes = await self._call(partial(self._send, writes))
            writes = [
                write
                for write, outcome in zip(writes, outcomes, strict=True)
                if not self._settled(write, outcome)
            ]
            if not writes:
                return
            if pause is not None:
                await asyncio.sleep(pause)
        raise IndexUnavailableError("the cluster has been too busy for a minute")

    async def _send(self, writes: list[Write]) -> list[dict[str, Any]]:
        """What became of each; a request that is refused as a whole is sent in halves."""
        body = b"".join(write.lines() for write in writes)
        try:
            answer = await self._client.bulk(
                body=body, index=self._index, request_timeout=REQUEST_SECONDS
            )
        except RequestError as error:
            if error.status_code != REFUSED:
                raise
            if len(writes) == 1:
                return [{"status": REFUSED, "error": whole(error)}]
            half = len(writes) // 2
            return [*await self._send(writes[:half]), *await self._send(writes[half:])]
        return [result["index"] for result in answer["items"]]

    def _settled(self, write: Write, outcome: dict[str, Any]) -> bool:
        """Count one written document; False when it is to be sent again."""
        if is_full_disk(outcome.get("error") or {}):
            raise IndexUnavailableError(NO_ROOM)
        if outcome["status"] == BUSY:
            return False
        if "error" in outcome:
            self._refuse(write.item.source, f"the index refuses it: {_cause(outcome['error'])}")
        else:
            self.report.take(write.item.source, write.state, write.mended)
        return True

    async def _call(self, request: Callable[[], Any]) -> Any:
        """Call, and call again while no node answers or all are busy."""
        for pause in (*PAUSES, None):
            try:
                return await request()
            except OpenSearchException as error:
                again = isinstance(error, UnreachableError) or (
                    isinstance(error, TransportError)
                    and error.status_code in (BUSY, 503)
                    and not is_full_disk(whole(error))
                )
                if not again or pause is None:
                    raise IndexUnavailableError(describe(error)) from error
                logger.warning("opensearch: %s; again in %s s", describe(error), pause)
            await asyncio.sleep(pause)
        raise AssertionError


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """What went wrong first; what else did is mostly the same."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _stamped(item: Candidate, fields: dict[str, Any], now: str) -> dict[str, Any]:
    return {
        **fields,
        "source": item.source,
        "content_hash": item.content_hash,
        "ingested_at": now,
    }


def _cause(error: dict[str, Any]) -> str:
    cause = error.get("caused_by") or error
    return str(cause.get("reason", error.get("type", "unknown")))[:300]
