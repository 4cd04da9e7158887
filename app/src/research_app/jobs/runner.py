"""Does one job: takes it, tells how far it is, and writes down how it ended."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
import uuid
from collections.abc import Awaitable, Callable

from research_app.cache import FAILURES
from research_app.index.client import IndexUnavailableError
from research_app.jobs.handlers import HANDLERS, Handler
from research_app.jobs.record import Job, State, UnfitJobError
from research_app.jobs.store import LEASE_SECONDS, JobStore, insist, opened
from research_app.private_address import shown
from research_app.refusal import NotNowError
from research_app.report import Report
from research_app.services import Services, build
from research_app.settings import Settings
from research_app.sources import UnknownSourceError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 3600.0
UNFIT = (UnknownSourceError, UnfitJobError)


class LeaseLostError(Exception):
    """Another worker has the job."""


class StoppedError(Exception):
    """The worker ends, and the job with it, for now."""


def backoff(attempt: int, first: float) -> float:
    """How long to wait after a try that failed."""
    return float(min(first * 2 ** (attempt - 1), MAX_BACKOFF_SECONDS))


class Runner:
    """One worker's way of doing jobs."""

    def __init__(
        self, settings: Settings, handlers: dict[str, Handler] | None = None, name: str = ""
    ) -> None:
        self._settings = settings
        self._handlers = HANDLERS if handlers is None else handlers
        self._name = name or socket.gethostname()
        # when the worker was told to end; a job that is not over soon after goes back
        self.stopping = threading.Event()
        self.stop_at = 0.0
        self.send: Callable[[str], None] = lambda _: None

    def stop(self) -> None:
        """Let running jobs end, or give them back when their time is over."""
        self.stop_at = time.monotonic() + self._settings.jobs.shutdown_seconds
        self.stopping.set()

    def run(self, identity: str) -> None:
        """Do a job in this thread."""
        asyncio.run(self._run(identity))

    async def _run(self, identity: str) -> None:
        token = uuid.uuid4().hex
        async with opened(self._settings) as store:
            job = await insist(lambda: store.claim(identity, self._name, token))
            if job is None:
                logger.info("job %s: another has it, or it has ended", identity)
                return
            logger.info(
                "job %s: %s %s, try %s", identity, job.kind, shown(job.argument), job.attempts
            )
            await self._attempt(store, job, token)

    async def _attempt(self, store: JobStore, job: Job, token: str) -> None:
        handler = self._handlers.get(job.kind)
        if handler is None:
            await self._ended(store, job, "failed", f"there is no job {job.kind!r}")
        elif job.attempts > self._settings.jobs.max_attempts:
            await self._ended(store, job, "dead", "it ended its worker again and again")
        else:
            await self._with(handler, store, job, token)

    async def _with(self, handler: Handler, store: JobStore, job: Job, token: str) -> None:
        """Do it, and turn every way in which it may end into a state."""
        try:
            parts = build(self._settings)
            async with parts.connected():
                report = await self._supervised(store, job, token, handler, parts)
        except LeaseLostError:
            logger.warning("job %s: another worker has it now", job.id)
        except StoppedError:
            job.attempts -= 1
            await insist(lambda: store.queue_again(job, "goes on with the next worker"))
            self._send_again(job.id)
        except UNFIT as error:
            await self._ended(store, job, "failed", str(error))
        except IndexUnavailableError as error:
            await self._try_later(store, job, f"OpenSearch: {error}")
        except NotNowError as error:
            await self._try_later(store, job, str(error), error.seconds)
        except Exception as error:
            logger.exception("job %s", job.id)
            await self._try_later(store, job, type(error).__name__)
        else:
            taken = report.taken or not report.refused
            await self._ended(store, job, "done" if taken else "failed", str(report))

    async def _supervised(
        self, store: JobStore, job: Job, token: str, handler: Handler, parts: Services
    ) -> Report:
        """Run the handler; hold the lease, write progress, and end it when the worker ends."""
        latest: list[Report] = []
        work = asyncio.ensure_future(handler(parts, job, latest.append))
        renewed = time.monotonic()
        failed: Exception | None = None
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=LOOK_SECONDS)
                if self.stopping.is_set() and time.monotonic() > self.stop_at:
                    failed = StoppedError()
                    break
                if latest:
                    _count(job, latest[-1])
                    latest.clear()
                    await _quietly(store.progress(job))
                if time.monotonic() - renewed > LEASE_SECONDS / 4:
                    if await _quietly(store.renew(job.id, token)) is False:
                        failed = LeaseLostError()
                        break
                    renewed = time.monotonic()
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        if failed is not None and (work.cancelled() or work.exception() is not None):
            raise failed
        report = work.result()
        _count(job, report)
        return report

    def _send_again(self, identity: str) -> None:
        try:
            self.send(identity)
        except Exception as error:  # the keeper sends it
            logger.warning("job %s cannot be sent: %s", identity, type(error).__name__)

    async def _try_later(
        self, store: JobStore, job: Job, reason: str, asked: float | None = None
    ) -> None:
        section = self._settings.jobs
        if job.attempts >= section.max_attempts:
            await self._ended(store, job, "dead", reason)
            return
        wait = max(backoff(job.attempts, section.retry_seconds), asked or 0.0)
        wait = min(wait, MAX_BACKOFF_SECONDS)
        message = f"{reason}; try {job.attempts + 1} in {wait:.0f} s"
        logger.warning("job %s: %s", job.id, message)
        await insist(lambda: store.queue_again(job, message, time.time() + wait))

    async def _ended(self, store: JobStore, job: Job, state: State, message: str) -> None:
        job.state, job.message = state, message
        seconds = time.time() - job.started
        logger.info("job %s: %s, %s", job.id, state, message)
        await insist(lambda: store.end(job, seconds))


def _count(job: Job, report: Report) -> None:
    job.seen, job.new, job.changed = report.seen, report.new, report.changed
    job.unchanged, job.refused = report.unchanged, report.refused
    job.mended, job.total = report.mended, report.total
    job.kinds, job.unread = dict(report.kinds), report.unread


async def _quietly(work: Awaitable[object]) -> object:
    """What the job can do without while the cache fails over."""
    try:
        return await work
    except FAILURES as error:
        logger.warning("jobs: %s; going on", type(error).__name__)
        return None
