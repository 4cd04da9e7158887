"""The kinds of jobs: what each does, and which arguments it takes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import get_args

from research_app.inbox import KEPT_SECONDS, Inbox
from research_app.index.client import IndexUnavailableError
from research_app.index.quarantine import Quarantine
from research_app.intake import take_in
from research_app.jobs.record import Job, UnfitJobError
from research_app.report import Report
from research_app.services import Services
from research_app.sources.document import Kind

logger = logging.getLogger(__name__)

Progress = Callable[[Report], None]
Handler = Callable[[Services, Job, Progress], Awaitable[Report]]


async def ingest(parts: Services, job: Job, progress: Progress) -> Report:
    """Bring the documents of a path or an address into the library."""
    again = job.attempts > 1
    report = await take_in(parts, job.argument, _kind(job), progress, again=again)
    await _forget_old_uploads(parts)
    return report


async def _forget_old_uploads(parts: Services) -> None:
    """Drop the refusals of files that left the inbox long ago: nobody can mend those."""
    inbox = Inbox(parts.settings.library.directory)
    quarantine = Quarantine(parts.client, parts.settings.opensearch.index)
    try:
        await quarantine.forget_older(inbox.place, timedelta(seconds=KEPT_SECONDS))
    except IndexUnavailableError as error:
        logger.warning("refusals of long ago stay until the next job: %s", error)


def _kind(job: Job) -> Kind:
    kind = job.options.get("kind", "paper")
    if kind not in get_args(Kind):
        raise UnfitJobError(f"there is no kind {kind!r} of documents")
    return kind  # type: ignore[return-value]


HANDLERS: dict[str, Handler] = {"ingest": ingest}
