"""What was not taken into the library, and why: an index beside that of the library.

An entry is known by the place of its file, so that another ingest renews it. It goes away when an
ingest of the same folder or file ends without refusing it: it was taken, or is there no more. Or
when an administrator has seen enough of it; and a month later, where it was in the inbox. The page
of administrators, whose process may delete nothing, marks an entry, and the next ingest deletes it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson
from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import ConflictError, NotFoundError, OpenSearchException
from pydantic import BaseModel

from research_app.index.client import IndexUnavailableError, create_index, describe
from research_app.index.mapping import KEYWORD, KEYWORD_NOT_SEARCHED
from research_app.sources.document import Refusal, Source, clean

SUFFIX = "-quarantine"
# more than a librarian will read; what is beyond is counted in the run's own report
MAX_ENTRIES_PER_RUN = 10_000
BATCH = 500
REQUEST_SECONDS = 20  # times three attempts: an ingest waits for it, and goes without it

BODY: dict[str, Any] = {
    "mappings": {
        "dynamic": "strict",
        "properties": {
            "place": KEYWORD,
            "source": KEYWORD_NOT_SEARCHED,
            "reason": KEYWORD_NOT_SEARCHED,
            "kind": KEYWORD,
            "run": KEYWORD,
            "since": {"type": "date"},
            "at": {"type": "date"},
            "dismissed": {"type": "boolean"},
        },
    }
}
DISMISSED = {"term": {"dismissed": True}}


class Entry(BaseModel):
    """One thing that was not taken: since when, and when it was last tried."""

    id: str
    place: str
    source: str
    reason: str
    kind: str
    since: datetime
    at: datetime

    @property
    def age_seconds(self) -> float:
        """How long it has been there."""
        return (datetime.now(UTC) - self.since).total_seconds()


class Listing(BaseModel):
    """The latest entries, and how many there are in all."""

    total: int
    entries: list[Entry]


def place_of(root: str, source: str) -> str:
    """Where a thing is: the path of its file, with the line where it is one of many."""
    if not root or source == root or source.startswith("/") or "://" in source:
        return source
    folder, _, name = root.rpartition("/")
    if source == name or source.startswith(f"{name}:"):
        return f"{folder}/{source}"  # the root is the file itself
    return f"{root}/{source}"


def identity_of(place: str) -> str:
    """The entry's key."""
    return hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def within(root: str) -> dict[str, Any]:
    """Which entries are of a file or a folder."""
    beginnings = [{"prefix": {"place": root + mark}} for mark in ("/", ":")]
    return {"bool": {"should": [{"term": {"place": root}}, *beginnings]}}


class Quarantine:
    """The index of what was refused."""

    def __init__(self, client: AsyncOpenSearch, library: str) -> None:
        self._client = client
        self.index = library + SUFFIX

    async def renew(self, source: Source, refused: list[Refusal]) -> None:
        """After a whole run: its refusals, and no older ones of the same root."""
        run = uuid.uuid4().hex
        try:
            if refused and not await create_index(self._client, self.index, BODY):
                await self._learn()
            lines = self._lines(source, refused[:MAX_ENTRIES_PER_RUN], run)
            while body := b"".join(islice(lines, 2 * BATCH)):
                answer = await self._client.bulk(
                    body=body, index=self.index, request_timeout=REQUEST_SECONDS
                )
                _check(answer)
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error
        if source.root:  # drop what an earlier run refused below it, and this one did not
            before = {"filter": within(source.root), "must_not": {"term": {"run": run}}}
            await self._drop({"should": [{"bool": before}, DISMISSED]})

    async def dismiss(self, identity: str) -> int:
        """Mark an entry, so that it is not listed any more; how many there were of that id."""
        try:
            await self._learn()
            found = await self._client.get(index=self.index, id=identity)
            await self._client.index(
                index=self.index,
                id=identity,
                body=found["_source"] | {"dismissed": True},
                params={
                    "if_seq_no": found["_seq_no"],
                    "if_primary_term": found["_primary_term"],
                    "refresh": "true",
                },
            )
        except (NotFoundError, ConflictError):  # gone, or just refused anew
            return 0
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error
        return 1

    async def dismiss_place(self, place: str) -> int:
        """Drop the entries of a file, or of all below a folder; how many there were."""
        return await self._drop({"filter": within(place)})

    async def forget_older(self, folder: str, age: timedelta) -> int:
        """Drop the entries below a folder that were not tried for so long; how many there were."""
        before = (datetime.now(UTC) - age).isoformat(timespec="seconds")
        return await self._drop({"filter": [within(folder), {"range": {"at": {"lt": before}}}]})

    async def listing(self, size: int = 100) -> Listing:
        """The latest entries first."""
        try:
            found = await self._client.search(
                index=self.index,
                body={
                    "size": size,
                    "track_total_hits": True,
                    "query": {"bool": {"must_not": DISMISSED}},
                    "sort": [{"at": "desc"}, {"place": "asc"}],
                },
            )
        except NotFoundError:
            return Listing(total=0, entries=[])
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error
        entries = [Entry(id=hit["_id"], **hit["_source"]) for hit in found["hits"]["hits"]]
        return Listing(total=found["hits"]["total"]["value"], entries=entries)

    def _lines(self, source: Source, refused: list[Refusal], run: str) -> Iterator[bytes]:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for refusal in refused:
            place = place_of(source.root, refusal.source)
            seen = {
                "place": clean(place)[:4000],
                "source": clean(refusal.source)[:4000],
                "reason": clean(refusal.reason)[:1000],
                "kind": source.kind,
                "run": run,
                "at": now,
                "dismissed": False,
            }
            yield orjson.dumps({"update": {"_id": identity_of(place)}}) + b"\n"
            yield orjson.dumps({"doc": seen, "upsert": seen | {"since": now}}) + b"\n"

    async def _learn(self) -> None:
        """Tell the index that an earlier release made the fields that this one knows besides."""
        await self._client.indices.put_mapping(index=self.index, body=BODY["mappings"])

    async def _drop(self, query: dict[str, Any]) -> int:
        try:
            await self._client.indices.refresh(index=self.index, ignore_unavailable=True)
            done = await self._client.delete_by_query(
                index=self.index,
                body={"query": {"bool": query}},
                params={"conflicts": "proceed", "refresh": "true"},
                ignore_unavailable=True,
                request_timeout=REQUEST_SECONDS,
            )
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error
        return int(done["deleted"])


def _check(answer: dict[str, Any]) -> None:
    """Refuse an answer by which an entry was not written: it would be missing without a word."""
    for item in answer["items"] if answer["errors"] else ():
        if "error" in item["update"]:
            reason = str(item["update"]["error"].get("reason", "refused"))[:300]
            raise IndexUnavailableError(f"the quarantine cannot be written: {reason}")
