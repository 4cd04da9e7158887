"""Signs of life to systemd: from a loop that turns, and from no other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_failover import SERVER, free_port

from research_app.systemd import keep_alive, watchdog_seconds

SECONDS = 3  # after which systemd would replace the worker
ALIVE, READY = b"WATCHDOG=1", b"READY=1"


class Listener:
    """systemd's end of the socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind(str(path))

    def heard(self) -> list[bytes]:
        """What was said since it was asked last."""
        words = []
        with contextlib.suppress(BlockingIOError):
            while True:
                words.append(self._channel.recv(100, socket.MSG_DONTWAIT))
        return words

    def within(self, seconds: float) -> list[bytes]:
        """What is said in so many seconds."""
        words: list[bytes] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.05)
            words += self.heard()
        return words

    def wait_for(self, word: bytes, seconds: float, log: Path) -> None:
        deadline = time.monotonic() + seconds
        while word not in self.heard():
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.05)

    def silence(self, seconds: float) -> bool:
        """Whether for so long nothing comes, once what was under way has come."""
        start = last = time.monotonic()
        while time.monotonic() - last < seconds:
            if time.monotonic() - start > 5 * seconds:
                return False
            if self.heard():
                last = time.monotonic()
            time.sleep(0.05)
        return True


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listener:
    made = Listener(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(made.path))
    monkeypatch.setenv("WATCHDOG_USEC", str(SECONDS * 1_000_000))
    return made


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "15000000"}, 15),
        ({"WATCHDOG_USEC": "15000000", "WATCHDOG_PID": str(os.getpid())}, 15),
        ({"WATCHDOG_USEC": "15000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_who_is_watched(
    environment: dict[str, str], seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert watchdog_seconds() == seconds


def test_a_loop_that_is_blocked_gives_no_sign(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    told: list[list[bytes]] = []
    lives = [True]

    async def run() -> None:
        living = asyncio.create_task(keep_alive(lambda: lives[0]))
        await asyncio.sleep(0.6)
        told.append(listener.heard())
        time.sleep(0.6)  # noqa: ASYNC251 - this is the hang
        told.append(listener.heard())
        lives[0] = False
        await asyncio.sleep(0.6)
        told.append(listener.heard())
        living.cancel()

    asyncio.run(run())
    turning, blocked, said_no = told
    assert len(turning) >= 3
    assert set(turning) == {ALIVE}
    assert blocked == []
    assert said_no == []


# A worker in which a job, or the loop that takes jobs from the queue, sleeps for a minute.
WORKER = """
import pathlib, sys, time
from celery.signals import worker_ready
from research_app import settings
from research_app.jobs import handlers, worker

async def sleep(parts, job, progress):
    pathlib.Path("job-runs").touch()
    time.sleep(60)

handlers.HANDLERS["ingest"] = sleep
if sys.argv[1] == "loop":
    hang = lambda sender, **_: sender.hub.call_later(1, time.sleep, 60)
    worker_ready.connect(hang, weak=False)
worker.run(settings.load())
"""


class Worker:
    """A worker with a queue of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        self._environment = {**os.environ, "RESEARCH_APP_SETTINGS": str(folder / "settings.toml")}
        self._port = free_port()
        (folder / "settings.toml").write_text(
            '[server]\ntls = false\n[opensearch]\nurls = ["http://127.0.0.1:9"]\n'
            f'[cache]\nurl = "redis://127.0.0.1:{self._port}/0"\ntls = false\n'
        )
        (folder / "worker.py").write_text(WORKER)
        self._processes: list[subprocess.Popen[bytes]] = []

    def start_queue(self) -> subprocess.Popen[bytes]:
        assert SERVER is not None
        return self._start(SERVER, "--port", str(self._port), "--save", "")

    def start(self, what_hangs: str) -> subprocess.Popen[bytes]:
        return self._start(sys.executable, "worker.py", what_hangs)

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self._environment, stdout=log, stderr=log
            )
        self._processes.append(process)
        return process

    def submit(self) -> None:
        command = (sys.executable, "-m", "research_app", "ingest", "--queue", "/nowhere")
        subprocess.run(command, env=self._environment, check=True, timeout=60)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def worker(tmp_path: Path, listener: Listener) -> Iterator[Worker]:
    if SERVER is None:
        if os.environ.get("CI") == "true":
            pytest.fail("neither redis-server nor valkey-server is installed")
        pytest.skip("neither redis-server nor valkey-server is installed")
    made = Worker(tmp_path)
    yield made
    made.stop()


def wait_until(condition: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.05)


@pytest.mark.timeout(240)
def test_a_worker_lives_in_a_long_job_and_without_its_queue(
    worker: Worker, listener: Listener
) -> None:
    queue = worker.start_queue()
    worker.start("nothing")
    listener.wait_for(READY, 90, worker.log)
    worker.submit()
    wait_until((worker.folder / "job-runs").exists, 60, worker.log)
    assert ALIVE in listener.within(SECONDS), "a long job is taken for a hang"
    queue.kill()
    wait_until(lambda: "Cannot connect" in worker.log.read_text(), 60, worker.log)
    for _ in range(3):  # longer than a loop may be silent
        assert ALIVE in listener.within(SECONDS), "a queue that is away is taken for a hang"


@pytest.mark.timeout(240)
def test_a_worker_whose_loop_hangs_gives_no_sign(worker: Worker, listener: Listener) -> None:
    worker.start_queue()
    worker.start("loop")
    listener.wait_for(READY, 90, worker.log)
    assert listener.silence(2 * SECONDS), "it says that it lives"
