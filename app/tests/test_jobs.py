"""Jobs with real workers: killed, told to end, failing, and taken up again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from conftest import make_settings
from local_web import LocalWeb, answer, local_web
from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as UnreachableError
from pdfs import pdf
from redis import Redis
from typer.testing import CliRunner

from research_app.cli import app
from research_app.jobs import store as store_module
from research_app.jobs.handlers import HANDLERS, Handler, Progress
from research_app.jobs.record import Job, JobsFullError, JobsUnavailableError, UnfitJobError
from research_app.jobs.runner import Runner, backoff
from research_app.jobs.service import JobService
from research_app.jobs.store import JobStore, opened
from research_app.report import Report
from research_app.services import Services
from research_app.settings import Credentials, Settings, parse

# A busy machine takes its time; none of these waits is what is tested.
pytestmark = pytest.mark.timeout(300)

Result = TypeVar("Result")


def test_the_wait_doubles_up_to_an_hour() -> None:
    assert [backoff(n, 30) for n in (1, 2, 3)] == [30, 60, 120]
    assert backoff(50, 30) == 3600


def test_without_a_cache_tier_there_are_no_jobs() -> None:
    service = JobService(make_settings())
    assert not service.enabled
    with pytest.raises(JobsUnavailableError):
        asyncio.run(service.submit("ingest", "/srv/x"))


class Queue:
    """A queue of its own in the real Redis, and an index of its own."""

    def __init__(self, folder: Path, redis_url: str, opensearch_url: str) -> None:
        self.folder = folder
        self.name = f"jobs-test-{uuid.uuid4().hex[:8]}"
        self.data: dict[str, Any] = {
            "server": {"tls": False},
            "opensearch": {"urls": [opensearch_url], "index": self.name},
            "library": {"directory": str(folder / "library")},
            "cache": {"url": redis_url, "tls": False, "prefix": f"{self.name}:"},
            "jobs": {"retry_seconds": 0.2, "shutdown_seconds": 1},
        }
        self.opensearch = OpenSearch(opensearch_url, timeout=60)
        self.redis = Redis.from_url(redis_url)
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def settings(self) -> Settings:
        return parse(self.data, Credentials(), Path("settings.toml"))

    def papers(self, count: int) -> Path:
        path = self.folder / f"{uuid.uuid4().hex}.jsonl"
        with path.open("wb") as stream:
            for n in range(count):
                fields = {"id": f"p{n}", "title": f"Paper {n}", "abstract": f"word{n} " * 200}
                stream.write(orjson.dumps(fields) + b"\n")
        return path

    def pdfs(self, count: int) -> Path:
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()
        for n in range(count):
            pages = [f"Paper {n} page {page}\n" + f"word{page} " * 60 for page in range(20)]
            (folder / f"{n}.pdf").write_bytes(pdf(*pages))
        return folder

    def settings_file(self) -> Path:
        path = self.folder / "settings.toml"
        lines = []
        for section, values in self.data.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {orjson.dumps(value).decode()}" for key, value in values.items()]
        path.write_text("\n".join(lines))
        return path

    def start_worker(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "RESEARCH_APP_SETTINGS": str(self.settings_file())}
        log = (self.folder / "worker.log").open("ab")
        command = (sys.executable, "-m", "research_app", "worker")
        process = subprocess.Popen(command, env=environment, stderr=log, stdout=log)
        self.workers.append(process)
        return process

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()

    def ask(self, work: Callable[[JobService], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            service = JobService(self.settings)
            try:
                return await work(service)
            finally:
                await service.close()

        return asyncio.run(run())

    def submit(self, path: Path | str, **options: str) -> str:
        return self.ask(lambda jobs: jobs.submit("ingest", str(path), "test", options)).id

    def job(self, identity: str) -> Job:
        job = self.ask(lambda jobs: jobs.job(identity))
        assert job is not None
        return job

    def wait(self, identity: str, wanted: Callable[[Job], bool], seconds: float) -> Job:
        deadline = time.monotonic() + seconds
        while not wanted(job := self.job(identity)):
            assert time.monotonic() < deadline, f"{job}\n{self.log()[-3000:]}"
            time.sleep(0.1)
        return job

    def documents(self) -> int:
        self.opensearch.indices.refresh(index=self.name)
        return int(self.opensearch.count(index=self.name)["count"])

    def close(self) -> None:
        for process in self.workers:
            process.kill()
            process.wait()
        self.opensearch.indices.delete(index=f"{self.name}*", ignore_unavailable=True)
        self.opensearch.close()
        for key in self.redis.scan_iter(f"{self.name}:*"):
            self.redis.delete(key)
        self.redis.close()


@pytest.fixture
def queue(tmp_path: Path, redis_url: str, opensearch_url: str) -> Iterator[Queue]:
    made = Queue(tmp_path, redis_url, opensearch_url)
    yield made
    made.close()


def ended(job: Job) -> bool:
    return job.state in ("done", "failed", "dead")


# How many documents each source has, and how many of them one request or batch carries.
SOURCES = {"papers": (10_000, 500), "pdfs": (160, 16)}


@pytest.mark.integration
@pytest.mark.parametrize("source", SOURCES)
def test_a_worker_killed_in_the_middle_loses_nothing_and_doubles_nothing(
    queue: Queue, source: str
) -> None:
    count, batch = SOURCES[source]
    worker = queue.start_worker()
    identity = queue.submit(getattr(queue, source)(count))
    half_way = queue.wait(identity, lambda job: job.new > 0 or ended(job), 120)
    assert half_way.state == "running", "it was over before it could be killed"
    worker.kill()
    worker.wait()
    before = queue.documents()
    assert 0 < before < count
    start = time.monotonic()
    queue.start_worker()
    job = queue.wait(identity, ended, 120)
    seconds = time.monotonic() - start
    print(f"killed at {before} of {count} {source}; done {seconds:.1f} s after the next start")
    assert (job.state, job.attempts, job.refused) == ("done", 2, 0)
    assert job.new + job.unchanged == count
    assert queue.documents() == count
    # each document was written once: an overwritten one would have left a deleted one
    stats = queue.opensearch.indices.stats(index=queue.name, metric="docs")
    rewritten = stats["_all"]["primaries"]["docs"]["deleted"]
    assert rewritten <= 3 * batch, "more was written twice than the batches under way"


@pytest.mark.integration
def test_a_worker_told_to_end_gives_its_job_to_the_next(queue: Queue) -> None:
    queue.data["jobs"]["shutdown_seconds"] = 0
    worker = queue.start_worker()
    identity = queue.submit(queue.papers(10_000))
    queue.wait(identity, lambda job: job.new > 0 or ended(job), 120)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    job = queue.job(identity)
    assert (job.state, job.attempts) == ("queued", 0), queue.log()
    queue.start_worker()
    job = queue.wait(identity, ended, 120)
    assert (job.state, job.attempts) == ("done", 1)
    assert queue.documents() == 10_000
    assert "Traceback" not in queue.log()


@pytest.mark.integration
def test_a_message_that_is_lost_or_comes_twice(queue: Queue) -> None:
    paper = queue.papers(10)
    identity = queue.submit(paper)
    prefix = queue.settings.cache.prefix + "jobs:"
    (message,) = queue.redis.lrange(f"{prefix}queue", 0, -1)  # type: ignore[misc]
    queue.redis.lpush(f"{prefix}queue", message)
    queue.start_worker()
    assert queue.wait(identity, ended, 120).new == 10
    time.sleep(1)
    assert queue.job(identity).attempts == 1
    lost = queue.submit(paper)
    queue.redis.delete(f"{prefix}queue")
    queue.redis.zadd(f"{prefix}due", {lost: 0})
    assert queue.wait(lost, ended, 120).unchanged == 10
    assert queue.ask(lambda jobs: jobs.store.depth()) == {"unfinished": 0, "waiting": 0, "dead": 0}


@pytest.mark.integration
def test_all_keys_are_below_the_prefix(queue: Queue) -> None:
    before = set(queue.redis.keys())  # type: ignore[arg-type]
    queue.start_worker()
    queue.wait(queue.submit(queue.papers(1)), ended, 120)
    others = [
        key
        for key in set(queue.redis.keys()) - before  # type: ignore[arg-type]
        if b"kombu" in key or b"unacked" in key or b"celery" in key
    ]
    assert all(key.startswith(queue.name.encode()) for key in others), others
    assert queue.redis.exists(f"{queue.name}:jobs:_kombu.binding.queue")


@pytest.mark.integration
def test_no_more_than_may_wait(queue: Queue) -> None:
    queue.data["jobs"]["max_queued"] = 2
    queue.submit("/srv/1")
    queue.submit("/srv/2")
    with pytest.raises(JobsFullError):
        queue.submit("/srv/3")


def attempt(queue: Queue, identity: str, handler: Handler, runner: Runner | None = None) -> Job:
    """Do a job here, with a handler of the test."""
    (runner or Runner(queue.settings, {"ingest": handler}, "here")).run(identity)
    return queue.job(identity)


@pytest.mark.integration
def test_what_may_pass_is_tried_again_and_then_given_up(queue: Queue) -> None:
    queue.data["jobs"]["max_attempts"] = 2
    queue.data["opensearch"]["urls"] = ["http://127.0.0.1:9"]

    async def broken(_: Services, __: Job, ___: Progress) -> Report:
        raise RuntimeError("secret detail")

    identity = queue.submit("/srv/x")
    first = attempt(queue, identity, broken)
    assert (first.state, first.attempts) == ("queued", 1)
    assert first.message == "RuntimeError; try 2 in 0 s"
    second = attempt(queue, identity, broken)
    assert (second.state, second.message) == ("dead", "RuntimeError")
    assert queue.ask(lambda jobs: jobs.store.depth())["dead"] == 1
    again = queue.ask(lambda jobs: jobs.retry(identity))
    assert (again.state, again.attempts, again.created) == ("queued", 0, first.created)
    assert queue.ask(lambda jobs: jobs.store.depth())["dead"] == 0


@pytest.fixture
def web(queue: Queue) -> Iterator[LocalWeb]:
    """A web that jobs may ask."""
    queue.data["fetch"] = {"allow": ["127.0.0.0/8"], "pause_seconds": 0}
    with local_web() as server:
        yield server


FEED = b"<rss><channel><title>T</title><item><title>One</title></item></channel></rss>"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("120", "127.0.0.1 answers 503 (service unavailable); try 2 in 120 s"),
        ("99999", "127.0.0.1 answers 503 (service unavailable); try 2 in 3600 s"),
        ("", "127.0.0.1 answers 503 (service unavailable); try 2 in 0 s"),
    ],
)
def test_a_server_that_is_away_for_now_is_asked_again(
    queue: Queue, web: LocalWeb, asked: str, message: str
) -> None:
    web.routes["/feed"] = answer(status=503, Retry_After=asked)
    identity = queue.submit(f"{web.url}/feed")
    first = attempt(queue, identity, HANDLERS["ingest"])
    assert (first.state, first.message) == ("queued", message)
    web.routes["/feed"] = answer(FEED)
    second = attempt(queue, identity, HANDLERS["ingest"])
    assert (second.state, second.new, second.attempts) == ("done", 1, 2)
    assert (second.seen, second.total) == (1, 1)


@pytest.mark.integration
def test_an_address_that_is_none_is_not_tried_again(queue: Queue) -> None:
    job = attempt(queue, queue.submit("http://[x/feed"), HANDLERS["ingest"])
    assert (job.state, job.message) == (
        "failed",
        "not an address that can be read: http://[x/feed",
    )


@pytest.mark.integration
def test_the_command_says_that_a_server_is_away_and_goes_on(
    queue: Queue, web: LocalWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESEARCH_APP_SETTINGS", str(queue.settings_file()))
    monkeypatch.setattr("research_app.logs.configure", lambda _: None)
    web.routes["/away"] = answer(status=503)
    done = CliRunner().invoke(app, ["ingest", f"{web.url}/away", str(queue.papers(1))])
    assert "answers 503 (service unavailable); run it again later" in done.output
    assert "1 new, 0 unchanged, 0 refused" in done.output
    assert done.exit_code == 0


@pytest.mark.integration
def test_an_index_that_goes_away_meanwhile_is_said_and_waited_for(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("research_app.ingest.PAUSES", ())

    async def no_node(**_: Any) -> None:
        raise UnreachableError("N/A", "", Exception())

    async def deserted(parts: Services, job: Job, progress: Progress) -> Report:
        monkeypatch.setattr(parts.client, "bulk", no_node)
        return await HANDLERS["ingest"](parts, job, progress)

    job = attempt(queue, queue.submit(queue.papers(1)), deserted)
    assert (job.state, job.message) == ("queued", "OpenSearch: no node answers; try 2 in 0 s")


@pytest.mark.integration
def test_what_cannot_succeed_is_not_tried_again(queue: Queue) -> None:
    identity = queue.submit("/nowhere/papers.jsonl")
    job = attempt(queue, identity, HANDLERS["ingest"])
    assert (job.state, job.message) == (
        "failed",
        "/nowhere/papers.jsonl: no such file or directory",
    )
    job = attempt(queue, queue.submit("/srv", kind="poem"), HANDLERS["ingest"])
    assert (job.state, job.message) == ("failed", "there is no kind 'poem' of documents")
    other = queue.ask(lambda jobs: jobs.submit("dance", ""))
    assert attempt(queue, other.id, HANDLERS["ingest"]).message == "there is no job 'dance'"
    with pytest.raises(UnfitJobError, match="there is no job nonsense"):
        queue.ask(lambda jobs: jobs.retry("nonsense"))


@pytest.mark.integration
def test_a_job_that_kills_its_worker_is_given_up(queue: Queue) -> None:
    queue.data["jobs"]["max_attempts"] = 1
    identity = queue.submit("/srv/x")

    async def crash_and_return() -> None:
        async with opened(queue.settings) as store:
            assert await store.claim(identity, "here", "token")
            assert await store.claim(identity, "there", "other") is None
        queue.redis.delete(f"{queue.name}:jobs:lease:{identity}")

    asyncio.run(crash_and_return())
    job = attempt(queue, identity, HANDLERS["ingest"])
    assert (job.state, job.message) == ("dead", "it ended its worker again and again")


@pytest.mark.integration
def test_of_many_dead_jobs_the_newest_are_kept(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "KEPT", 2)
    queue.data["jobs"]["max_attempts"] = 1

    async def broken(_: Services, __: Job, ___: Progress) -> Report:
        raise RuntimeError

    jobs = [queue.submit(f"/srv/{n}") for n in range(4)]
    for identity in jobs:
        Runner(queue.settings, {"ingest": broken}, "here").run(identity)
    assert not queue.redis.exists(*(f"{queue.name}:jobs:job:{each}" for each in jobs[:2]))
    assert [queue.job(each).state for each in jobs[2:]] == ["dead", "dead"]
    assert queue.ask(lambda found: found.store.depth())["dead"] == 2


@pytest.mark.integration
def test_a_job_whose_lease_another_took_is_let_go(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("research_app.jobs.runner.LEASE_SECONDS", 0.4)
    cancelled = asyncio.Event()

    async def slow(_: Services, __: Job, ___: Progress) -> Report:
        try:
            key = f"{queue.name}:jobs:lease:{identity}"
            queue.redis.set(key, "another")
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return Report()

    identity = queue.submit("/srv/x")
    assert attempt(queue, identity, slow).state == "running"
    assert cancelled.is_set()


def test_a_store_says_that_the_cache_is_away() -> None:
    settings = make_settings(cache={"enabled": True, "url": "redis://127.0.0.1:9/0", "tls": False})

    async def ask() -> None:
        async with opened(settings) as store:
            assert isinstance(store, JobStore)
            await store.newest()

    with pytest.raises(JobsUnavailableError):
        asyncio.run(ask())
    assert store_module.QUEUE == "queue"
