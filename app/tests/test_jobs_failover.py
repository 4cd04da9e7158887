"""A worker on a cache tier as the stack makes it: sentinels, TLS, a user, a primary that dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from conftest import make_settings
from test_failover import Tier, tier  # noqa: F401 - a fixture

from research_app.jobs.record import Job, JobsUnavailableError
from research_app.jobs.service import JobService
from research_app.settings import Credentials, Settings, parse

pytestmark = pytest.mark.integration

Result = TypeVar("Result")
RESUME_SECONDS = 30


class Site:
    """A worker, and somebody who gives it jobs that end at once: their path does not exist."""

    def __init__(self, tier: Tier) -> None:  # noqa: F811
        self.tier = tier
        self.secrets = {"cache_password": "workerpass", "cache_sentinel_password": "sentinelpass"}
        folder = tier.folder / "credentials"
        folder.mkdir()
        for name, value in self.secrets.items():
            (folder / name).write_text(value)
        self.text = (
            "[server]\ntls = false\n"
            '[opensearch]\nurls = ["http://127.0.0.1:9"]\n'
            f'[cache]\nsentinels = ["localhost:{tier.ports[2]}"]\nuser = "worker"\n'
            f'tls_ca = "{tier.folder}/ca.pem"\n'
        )
        (tier.folder / "settings.toml").write_text(self.text)
        self.worker = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "RESEARCH_APP_SETTINGS": str(self.tier.folder / "settings.toml"),
            "CREDENTIALS_DIRECTORY": str(self.tier.folder / "credentials"),
        }
        log = (self.tier.folder / "worker.log").open("wb")
        command = (sys.executable, "-m", "research_app", "worker")
        return subprocess.Popen(command, env=environment, stderr=log, stdout=log)

    @property
    def settings(self) -> Settings:
        import tomllib

        credentials = Credentials.model_validate(self.secrets)
        return parse(tomllib.loads(self.text), credentials, Path("settings.toml"))

    def log(self) -> str:
        return (self.tier.folder / "worker.log").read_text()

    def ask(self, work: Callable[[JobService], Awaitable[Result]], seconds: float) -> Result:
        """Ask, and again while the tier fails over."""

        async def once() -> Result:
            service = JobService(self.settings)
            try:
                return await work(service)
            finally:
                await service.close()

        deadline = time.monotonic() + seconds
        while True:
            try:
                return asyncio.run(once())
            except JobsUnavailableError:
                assert time.monotonic() < deadline, self.log()[-3000:]
                time.sleep(0.2)

    def do(self, seconds: float) -> Job:
        """Submit a job and wait until the worker has done it."""
        deadline = time.monotonic() + seconds
        job = self.ask(lambda jobs: jobs.submit("ingest", "/nowhere"), seconds)
        while job.state != "failed":
            assert time.monotonic() < deadline, f"{job}\n{self.log()[-3000:]}"
            time.sleep(0.1)
            job = self.ask(partial(JobService.job, identity=job.id), seconds) or job
        return job


@pytest.fixture
def site(tier: Tier) -> Iterator[Site]:  # noqa: F811
    made = Site(tier)
    yield made
    made.worker.kill()
    made.worker.wait()


@pytest.mark.timeout(240)
def test_a_worker_goes_on_seconds_after_its_primary_died(site: Site) -> None:
    site.do(60)
    while "+slave slave" not in site.tier.sentinel_log():
        time.sleep(0.2)
    time.sleep(1)
    site.tier.processes[0].kill()
    start = time.monotonic()
    site.do(90)
    seconds = time.monotonic() - start
    print(f"a job was taken and done {seconds:.1f} s after the primary died")
    assert seconds < RESUME_SECONDS
    log = site.log()
    for secret in site.secrets.values():
        assert secret not in log
    assert "NOPERM" not in log.upper()
    site.worker.send_signal(signal.SIGTERM)
    assert site.worker.wait(30) == 0


@pytest.mark.timeout(120)
def test_a_worker_that_has_no_queue_ends_when_told(tmp_path: Path) -> None:
    settings = make_settings(cache={"enabled": True, "url": "redis://127.0.0.1:9/0", "tls": False})
    text = f'[opensearch]\nurls = ["http://127.0.0.1:9"]\n[cache]\nurl = "{settings.cache.url}"\n'
    (tmp_path / "settings.toml").write_text(f"[server]\ntls = false\n{text}tls = false\n")
    environment = {**os.environ, "RESEARCH_APP_SETTINGS": str(tmp_path / "settings.toml")}
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(
            (sys.executable, "-m", "research_app", "worker"), env=environment, stderr=log
        )
    deadline = time.monotonic() + 60
    while "Cannot connect" not in (tmp_path / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
