"""Whether the worker's own loop, which takes jobs from the queue, still turns."""

from __future__ import annotations

import time
from typing import Any

from celery import bootsteps

BEAT_SECONDS = 1.0


class Pulse:
    """The loop's beat. While the queue cannot be reached there is no loop, and nothing to miss."""

    def __init__(self) -> None:
        self._last: float | None = None

    def beat(self) -> None:
        """The loop turns."""
        self._last = time.monotonic()

    def rest(self) -> None:
        """The loop has ended, until the queue is reached again."""
        self._last = None

    def within(self, seconds: float) -> bool:
        """Whether a beat that was due has come in so long a time."""
        last = self._last
        return last is None or time.monotonic() - last < seconds

    def step(self) -> type[bootsteps.StartStopStep]:
        """The part of Celery's consumer that beats."""
        pulse = self

        class PulseStep(bootsteps.StartStopStep):
            requires = ("celery.worker.consumer.tasks:Tasks",)
            timer: Any = None

            def start(self, parent: Any) -> None:
                pulse.beat()
                self.timer = parent.hub.call_repeatedly(BEAT_SECONDS, pulse.beat)

            def stop(self, parent: Any) -> None:
                if self.timer is not None:
                    self.timer.cancel()
                pulse.rest()

        return PulseStep
