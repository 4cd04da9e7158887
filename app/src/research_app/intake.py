"""One ingest from a path to searches that see it: for the command and for jobs alike."""

from __future__ import annotations

import asyncio
import logging
import time

from opensearchpy.exceptions import OpenSearchException

from research_app.cache import CacheUnavailableError
from research_app.index.client import describe, ensure_index
from research_app.index.edition import LOOK_SECONDS, renew
from research_app.ingest import Ingest
from research_app.report import Progress, Report
from research_app.services import Services
from research_app.sources import open_source
from research_app.sources.document import Kind, Source

logger = logging.getLogger(__name__)

CACHE_SECONDS = 30.0


async def take_in(
    parts: Services, location: str, kind: Kind, progress: Progress, *, again: bool = False
) -> Report:
    """Bring what a path or an address holds into the index."""
    source = await asyncio.to_thread(open_source, location, kind, parts.tools)
    await ensure_index(parts.client, parts.settings.opensearch.index)
    return await take(parts, source, progress, again=again)


async def take(
    parts: Services, source: Source, progress: Progress, *, again: bool = False
) -> Report:
    """Bring a source into the index; searches see it, also where it ends half way.

    :param again: an earlier run may have written, and been killed before searches saw it
    """
    index = parts.settings.opensearch.index
    run = Ingest(
        parts.client,
        index,
        parts.files,
        progress,
        meaning=parts.meaning,
        extraction=parts.tools.extraction,
    )
    try:
        return await run.run(source)
    finally:
        progress(run.report)
        if run.sent or again:
            await forget_answers(parts)


async def forget_answers(parts: Services) -> None:
    """Make every search see what was written, or say that some will see it a little later."""
    index = parts.settings.opensearch.index
    try:
        # first, or the answers of the new generation are those from before
        await parts.client.indices.refresh(index=index)
    except OpenSearchException as error:
        logger.warning("%s cannot be refreshed: %s", index, describe(error))
    await renew(parts.client, index)
    deadline = time.monotonic() + CACHE_SECONDS
    while True:
        try:
            return await parts.cache.new_generation()
        except CacheUnavailableError as error:
            if time.monotonic() > deadline:
                logger.warning(
                    "the cache does not answer (%s); searches may need %s s to see what is new",
                    error,
                    LOOK_SECONDS,
                )
                return None
        await asyncio.sleep(1)
