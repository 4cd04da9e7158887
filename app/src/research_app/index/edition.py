"""Which edition of the library the index holds: a mark in the index that an ingest renews.

The cache has its own, faster mark (its generation). This one is for the moments when that is
lost: a cache that was down during an ingest, or that failed over before the mark had spread.
"""

from __future__ import annotations

import logging
import time
import uuid

from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import OpenSearchException

from research_app.index.client import describe

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
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
        self._known = UNKNOWN
        self._look_after = 0.0

    async def current(self) -> str:
        """The edition; the last one known where the index does not tell."""
        if time.monotonic() < self._look_after:
            return self._known
        self._look_after = time.monotonic() + LOOK_SECONDS  # others go on with what is known
        try:
            found = await self._client.indices.get_mapping(index=self._index)
        except OpenSearchException as error:
            logger.warning("the edition of %s cannot be read: %s", self._index, describe(error))
            return self._known
        for mapping in found.values():
            edition = mapping["mappings"].get("_meta", {}).get("edition", UNKNOWN)
            self._known = edition if len(edition) == len(UNKNOWN) else UNKNOWN
        return self._known
