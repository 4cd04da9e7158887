"""When an item was last used: its page or its file opened by a reader, or asked for by a program.

Whoever opens a file says nothing of its item, so that use stands under the file's key: an item was
used when its id or its file was.

Not a field of the item, since OpenSearch writes a whole document anew to change one field of it;
an index beside it has one tiny entry per used item. A process writes an item once a day at most,
many at a time, so an entry speaks for the whole of its day (UTC).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import orjson
from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import NotFoundError, OpenSearchException

from research_app.index.client import IndexUnavailableError, create_index, describe

logger = logging.getLogger(__name__)

SUFFIX = "-usage"
WRITE_SECONDS = 5.0
MOST = 100_000
BATCH = 1000
BODY: dict[str, Any] = {
    "mappings": {"dynamic": "strict", "properties": {"last_used": {"type": "date"}}}
}


class Usage:
    """Remembers what is used, and writes it down now and then."""

    def __init__(self, client: AsyncOpenSearch, index: str) -> None:
        self._client = client
        self._index = index + SUFFIX
        self._new: dict[str, str] = {}
        self._written: set[str] = set()
        self._day = date.min

    @property
    def index(self) -> str:
        """Where it is kept."""
        return self._index

    def used(self, identity: str) -> None:
        """Somebody used an item or a file; costs nothing now."""
        now = datetime.now(UTC)
        if now.date() != self._day:
            self._day = now.date()
            self._written.clear()
        if identity not in self._written and len(self._new) < MOST:
            self._new[identity] = now.isoformat(timespec="seconds")

    async def keep_writing(self) -> None:
        """Until it is cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                await self.write()
        except asyncio.CancelledError:
            await self.write()
            raise

    async def write(self) -> None:
        """Write what is new; what cannot be written is tried the next time."""
        new, self._new = self._new, {}
        if not new:
            return
        try:
            await self.mark(new)
        except IndexUnavailableError as error:
            logger.warning("what is used cannot be written yet: %s", error)
            self._new = {**new, **self._new}
        else:
            self._written.update(new)

    async def mark(self, times: dict[str, str]) -> None:
        """Write when items were last used."""
        try:
            await create_index(self._client, self._index, BODY)
            for part in _parts(times):
                body = b"".join(
                    orjson.dumps({"index": {"_id": name}})
                    + b"\n"
                    + orjson.dumps({"last_used": times[name]})
                    + b"\n"
                    for name in part
                )
                answer = await self._client.bulk(body=body, index=self._index)
                if answer["errors"]:
                    raise IndexUnavailableError("the cluster is too busy")
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error

    async def last_used(self, identities: list[str]) -> dict[str, datetime]:
        """When items were last used; those never used are left out."""
        found: dict[str, datetime] = {}
        for part in _parts(identities):
            try:
                answer = await self._client.mget(body={"ids": part}, index=self._index)
            except NotFoundError:
                return {}
            except OpenSearchException as error:
                raise IndexUnavailableError(describe(error)) from error
            for doc in answer["docs"]:
                if doc.get("found"):
                    found[doc["_id"]] = datetime.fromisoformat(doc["_source"]["last_used"])
                elif "error" in doc and "index_not_found" not in str(doc["error"]):
                    raise IndexUnavailableError("when items were used cannot be read")
        return found

    async def forget(self, identities: list[str]) -> None:
        """Forget items that are gone."""
        for part in _parts(identities):
            body = b"".join(orjson.dumps({"delete": {"_id": name}}) + b"\n" for name in part)
            try:
                await self._client.bulk(body=body, index=self._index)
            except OpenSearchException as error:
                logger.warning("entries of %s stay: %s", self._index, describe(error))


def _parts(names: Iterable[str]) -> Iterable[list[str]]:
    everything = list(names)
    return (everything[n : n + BATCH] for n in range(0, len(everything), BATCH))
