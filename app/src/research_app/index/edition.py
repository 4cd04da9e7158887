"""Which edition of the library the index holds: a mark in the index that an ingest renews.

The cache has its own, faster mark (its generation). This one is for the moments when that is
lost: a cache that was down during an ingest, or that failed over before the mark had spread.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import OpenSearchException

from research_app.index.client import describe

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
# a reader waits for it; what is known already does for the next seconds
ANSWER_SECONDS = 1.0
UNKNOWN = "0" * 32


async def renew(client: AsyncOpenSearch, index: str) -> None:
    """Mark the index: what is in it now is not what was in it before."""
    body = {"_meta": {"edition": uuid.uuid4().hex}}
    try:
        await client.indices.put_mapping(index=index, body=body)
    except OpenSearchException as error:
        logger.warning("the edition of %s cannot be marked: %s", index, describe(error))


class Edition:
    """The edition, looked up at most every few seconds."""

    def __init__(self, client: AsyncOpenSearch, index: str) -> None:
        self._client = client
        self._index = index
        self._known = ""
        self._look_after = 0.0
        self._look: asyncio.Future[str] | None = None

    async def current(self) -> str:
        """The edition; the last one known where the index does not tell."""
        if self._look is None or time.monotonic() >= self._look_after:
            self._look_after = time.monotonic() + LOOK_SECONDS
            self._look = asyncio.ensure_future(self._found())
        elif self._known:
            return self._known  # also while another looks
        self._known = await asyncio.shield(self._look)
        return self._known

    async def _found(self) -> str:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._client.indices.get_mapping(index=self._index)
        except (OpenSearchException, TimeoutError) as error:
            logger.warning("the edition of %s cannot be read: %s", self._index, describe(error))
            return self._known or UNKNOWN
        editions = [
            mapping["mappings"].get("_meta", {}).get("edition") for mapping in found.values()
        ]
        return next((name for name in editions if name and len(name) == len(UNKNOWN)), UNKNOWN)
