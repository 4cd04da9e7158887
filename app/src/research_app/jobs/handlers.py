"""The kinds of jobs: what each does, and which arguments it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import get_args

from research_app.ingest import Report
from research_app.intake import take_in
from research_app.jobs.record import Job, UnfitJobError
from research_app.services import Services
from research_app.sources.document import Kind

Progress = Callable[[Report], None]
Handler = Callable[[Services, Job, Progress], Awaitable[Report]]


async def ingest(parts: Services, job: Job, progress: Progress) -> Report:
    """Bring the documents of a path or an address into the library."""
    again = job.attempts > 1
    return await take_in(parts, job.argument, _kind(job), progress, again=again)


def _kind(job: Job) -> Kind:
    kind = job.options.get("kind", "paper")
    if kind not in get_args(Kind):
        raise UnfitJobError(f"there is no kind {kind!r} of documents")
    return kind  # type: ignore[return-value]


HANDLERS: dict[str, Handler] = {"ingest": ingest}
