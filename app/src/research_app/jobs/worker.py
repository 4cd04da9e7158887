"""The process that does jobs: a Celery worker with threads, as systemd sees it."""

from __future__ import annotations

import faulthandler
import logging
import socket
from functools import partial
from typing import Any

from celery.apps.worker import Worker
from celery.signals import worker_ready, worker_shutting_down

from research_app.jobs import broker
from research_app.jobs.keeper import Keeper
from research_app.jobs.pulse import Pulse
from research_app.jobs.runner import Runner
from research_app.settings import Settings
from research_app.systemd import notify

logger = logging.getLogger(__name__)


def run(settings: Settings, name: str = "") -> int:
    """Work until told to stop; the exit status.

    Threads, not processes: the heavy part (PDFs, media) is done by others, and a job
    that kills this one is taken up by the next.
    """
    faulthandler.enable()  # the watchdog's SIGABRT then shows where it hung
    name = name or socket.gethostname()
    celery = broker.make_celery(settings)
    runner = Runner(settings, name=name)
    runner.send = partial(broker.send, celery)
    pulse = Pulse()
    celery.steps["consumer"].add(pulse.step())
    keeper = Keeper(settings, name, runner.send, pulse)

    @celery.task(name=broker.RUN, acks_late=True, reject_on_worker_lost=True, ignore_result=True)
    def run_job(identity: str) -> None:
        runner.run(identity)

    def ready(**_: Any) -> None:
        logger.info("worker %s is ready", name)
        keeper.start()
        notify("READY=1")

    def leaving(**_: Any) -> None:
        notify("STOPPING=1")
        runner.stop()

    worker_ready.connect(ready, weak=False)
    worker_shutting_down.connect(leaving, weak=False)
    worker = Worker(
        app=celery,
        hostname=f"research@{name}",
        pool="threads",
        concurrency=settings.jobs.concurrency,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
        loglevel=settings.logging.level,
    )
    worker.start()
    keeper.stop()
    return worker.exitcode or 0
