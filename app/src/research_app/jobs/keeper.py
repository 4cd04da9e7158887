"""What every worker does beside its jobs: says that it lives, and sends lost messages again.

systemd hears it as long as the keeper and the loop that takes jobs both turn. A job may take as
long as it likes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable

from research_app import __version__
from research_app.cache import FAILURES
from research_app.jobs.pulse import Pulse
from research_app.jobs.record import JobsUnavailableError
from research_app.jobs.store import TICK_SECONDS, JobStore, opened
from research_app.settings import Settings
from research_app.systemd import keep_alive, watchdog_seconds

logger = logging.getLogger(__name__)


class Keeper:
    """A thread of the worker."""

    def __init__(
        self, settings: Settings, name: str, send: Callable[[str], None], pulse: Pulse
    ) -> None:
        self._settings, self._name, self._send, self._pulse = settings, name, send, pulse
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye."""
        self._end.set()
        if self._thread.is_alive():  # not before the queue was reached
            self._thread.join(5)

    def _run(self) -> None:
        asyncio.run(self._keep())

    def _lives(self) -> bool:
        return self._pulse.within(watchdog_seconds() or 0)

    async def _keep(self) -> None:
        living = asyncio.create_task(keep_alive(self._lives))
        async with opened(self._settings) as store:
            while not self._end.is_set():
                try:
                    await self.tick(store)
                except (*FAILURES, JobsUnavailableError) as error:
                    logger.warning("jobs: %s; looking again soon", type(error).__name__)
                await asyncio.to_thread(self._end.wait, TICK_SECONDS)
            try:
                await store.leave(self._name)
            except FAILURES:
                logger.warning("jobs: the queue did not hear that this worker ends")
        living.cancel()

    async def tick(self, store: JobStore) -> None:
        """One round."""
        await store.beat(self._name, {"pid": os.getpid(), "version": __version__})
        for identity in await store.due():
            logger.info("job %s: sent again", identity)
            try:
                await asyncio.to_thread(self._send, identity)
            except Exception as error:
                logger.warning("job %s cannot be sent: %s", identity, type(error).__name__)
