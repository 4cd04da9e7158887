"""What pages, API and commands ask of jobs."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from research_app.jobs.record import AGAIN, Job, JobsUnavailableError, UnfitJobError
from research_app.jobs.store import JobStore, patient
from research_app.settings import Settings

logger = logging.getLogger(__name__)

SEND_SECONDS = 5.0


class JobService:
    """Takes jobs and tells how far they are; one per event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store: JobStore | None = None
        self._celery: Any = None

    @property
    def enabled(self) -> bool:
        """Whether there is a queue."""
        return self._settings.jobs.enabled and self._settings.cache.enabled

    @property
    def store(self) -> JobStore:
        """The records."""
        if self._store is None:
            redis = patient(self._settings)
            if redis is None or not self._settings.jobs.enabled:
                raise JobsUnavailableError("no cache tier is set up for jobs")
            self._store = JobStore(redis, self._settings)
        return self._store

    async def submit(
        self, kind: str, argument: str, user: str = "", options: dict[str, str] | None = None
    ) -> Job:
        """Take a job. Once this returns it is done, even if the message to the workers is lost."""
        job = Job(kind=kind, argument=argument, user=user, options=options or {})
        await self.store.add(job)
        await self._send(job.id)
        return job

    async def list_jobs(self, limit: int = 100) -> list[Job]:
        """The newest jobs."""
        return await self.store.newest(limit)

    async def job(self, identity: str) -> Job | None:
        """One job."""
        return await self.store.get(identity)

    async def retry(self, identity: str) -> Job:
        """Do a job again that failed or was given up."""
        job = await self.store.get(identity)
        if job is None:
            raise UnfitJobError(f"there is no job {identity}")
        if job.state not in AGAIN:
            raise UnfitJobError(f"job {identity} is {job.state}, neither failed nor dead")
        known = job.model_dump(include={"id", "kind", "argument", "options", "user", "created"})
        job = Job.model_validate(known)
        await self.store.queue_again(job, "")
        await self._send(job.id)
        return job

    async def numbers(self) -> tuple[dict[str, int], dict[str, float], int]:
        """How many jobs are unfinished, how many ended how, and how many workers live."""
        counts = await self.store.counts()
        return await self.store.depth(), counts, len(await self.store.workers())

    async def _send(self, identity: str) -> None:
        from research_app.jobs import broker  # noqa: PLC0415 - the pages need no Celery

        if self._celery is None:
            self._celery = broker.make_celery(self._settings)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await asyncio.to_thread(broker.send, self._celery, identity)
        except Exception as error:  # whatever it is, a worker finds the job without it
            logger.warning("the message of job %s is late: %s", identity, type(error).__name__)

    async def close(self) -> None:
        """Close the connections."""
        if self._store is not None:
            await self._store.close()
        if self._celery is not None:
            await asyncio.to_thread(self._celery.close)
