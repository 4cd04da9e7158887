"""Metrics, logs, and a node that is asked for more than it can do."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Site, make_settings
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from research_app import logs, metrics
from research_app.index.client import IndexUnavailableError
from research_app.jobs.record import Job, JobsFullError, JobsUnavailableError, UnfitJobError
from research_app.middleware import RequestMiddleware
from research_app.search.gate import Gate, TooManySearchesError
from research_app.settings import Credentials, SettingsError, parse


@pytest.fixture
def monitor(site: Site) -> TestClient:
    return TestClient(site.app, client=("127.0.0.1", 4711))


def value(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_only_the_monitoring_hosts_may_ask(site: Site, monitor: TestClient) -> None:
    assert monitor.get("/metrics").status_code == 200
    for address in ("10.0.0.1", "2001:db8::1", "testclient"):
        reader = TestClient(site.app, client=(address, 4711))
        answer = reader.get("/metrics")
        assert answer.status_code == 403
        assert "process_" not in answer.text


PRIVATE = [
    *("/health", "/%68ealth", "/%68%65%61%6C%74%68", "/health/", "//health", "/./health"),
    *("/HEALTH", "/health?", "/health;x", "/health%2F", "/health/x", "/x/../health"),
    *("/metrics", "/%6Detrics", "//metrics", "/metrics/"),
]


@pytest.mark.parametrize("path", PRIVATE)
@pytest.mark.parametrize(("reader", "may"), [("198.51.100.7", False), ("127.0.0.1", True)])
def test_an_edge_that_lets_a_reader_through_is_not_enough(
    site: Site, path: str, reader: str, may: bool
) -> None:
    """However the path is spelt: what the application knows as private it tells operators alone."""
    behind = ProxyHeadersMiddleware(site.app, trusted_hosts=["10.0.0.1"])
    client = TestClient(behind, client=("10.0.0.1", 4711))
    answer = client.get(f"http://library{path}", headers={"X-Forwarded-For": reader})
    if not may or answer.status_code == 404:
        assert answer.status_code in (403, 404)
        assert "process_" not in answer.text
        assert "seconds" not in answer.text
    else:
        assert answer.status_code == 200


def test_a_neighbour_that_says_it_is_an_edge_gains_nothing(site: Site) -> None:
    neighbour = TestClient(site.app, client=("10.0.0.9", 4711))
    assert neighbour.get("/health", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    assert neighbour.get("/health").status_code == 200


def test_networks() -> None:
    networks = ("10.1.0.0/16", "2001:db8::/32")
    assert metrics.allowed("10.1.2.3", networks)
    assert metrics.allowed("::ffff:10.1.2.3", networks)
    assert metrics.allowed("2001:db8::5", networks)
    assert not metrics.allowed("10.2.0.1", networks)
    assert not metrics.allowed(None, networks)
    with pytest.raises(SettingsError, match=r"metrics_networks\.0: write it as ADDRESS/BITS"):
        make_settings(server={"metrics_networks": ["monitor"]})


def test_the_names_that_dashboards_know(site: Site, monitor: TestClient) -> None:
    before = monitor.get("/metrics").text
    for name in ("search_requests_total", "search_duration_seconds_bucket", "active_users"):
        assert re.search(rf"^{name}", before, re.MULTILINE), name
    site.search.failure = IndexUnavailableError("no node answers")
    assert site.get("/api/search?q=anything").status_code == 503
    after = monitor.get("/metrics").text
    errors = 'api_errors_total{endpoint="/api/search"}'
    assert value(after, errors) == value(before, errors) + 1


def test_a_path_never_becomes_a_label(site: Site, monitor: TestClient) -> None:
    site.get("/some-path-that-nobody-made")
    site.get("/api/items/some-identity")
    text = monitor.get("/metrics").text
    assert "some-path" not in text
    assert "some-identity" not in text
    assert 'endpoint="/api/items/{identity:path}"' in text


def test_users_of_the_last_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    users = metrics.ActiveUsers()
    for who in ("a", "b", "a"):
        users.saw(who)
    assert users.count() == 2
    monkeypatch.setattr(metrics, "ACTIVE_SECONDS", -1.0)
    assert users.count() == 0


def test_what_searches_count() -> None:
    before = metrics.SEARCH_REQUESTS._value.get()
    with metrics.searching():
        pass
    with pytest.raises(ValueError, match="x"), metrics.searching():
        raise ValueError("x")
    assert metrics.SEARCH_REQUESTS._value.get() == before + 2


def test_a_gate_lets_wait_and_turns_away() -> None:
    async def run() -> None:
        gate, end = Gate(1, 1), asyncio.Event()

        async def search() -> None:
            async with gate:
                await end.wait()

        first = asyncio.create_task(search())
        second = asyncio.create_task(search())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert gate.state() == {"running": 1, "waiting": 1}
        with pytest.raises(TooManySearchesError):
            await search()
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert gate.state() == {"running": 1, "waiting": 0}
        end.set()
        await first
        assert gate.state() == {"running": 0, "waiting": 0}

    asyncio.run(run())


def test_a_search_that_is_turned_away_is_told_when_to_come_back(site: Site) -> None:
    site.search.failure = TooManySearchesError("128 searches wait already")
    answer = site.get("/api/search?q=anything")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    page = site.get("/?q=anything")
    assert page.status_code == 503
    assert "try again in a moment" in page.text


def test_a_request_is_one_line_that_gives_nothing_away(site: Site, lines: io.StringIO) -> None:
    headers = site.headers("curator", "ada")
    query = "my private illness"
    sent = {**headers, "X-Request-ID": "id-1234-5678"}
    site.get("/api/search", params={"q": query}, headers=sent)
    site.client.post("/login", data={"name": "ada", "password": "pass-word-1"}, headers=headers)
    entries = [json.loads(line) for line in lines.getvalue().splitlines()]
    entry = next(entry for entry in entries if entry.get("path") == "/api/search")
    assert entry["request_id"] == "id-1234-5678"
    assert (entry["user"], entry["status"], entry["method"]) == ("ada", 200, "GET")
    assert entry["ms"] >= 0
    assert re.fullmatch(r"[0-9a-f]{16}", entry["query"])
    for secret in (query, "illness", headers["Authorization"][7:], "pass-word-1"):
        assert secret not in lines.getvalue()


def test_a_fault_is_logged_with_the_request_and_told_to_the_reader(
    site: Site, lines: io.StringIO
) -> None:
    site.search.failure = KeyError("internal-detail")
    answer = site.get("/?q=anything", headers={"X-Request-ID": "id-1234-5678"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "id-1234-5678")
    entries = [json.loads(line) for line in lines.getvalue().splitlines()]
    (fault,) = (entry for entry in entries if entry["message"] == "unexpected error")
    assert "internal-detail" in fault["exc_info"]
    assert {entry["request_id"] for entry in entries} == {"id-1234-5678"}
    assert [entry["status"] for entry in entries if "status" in entry] == [500]


def test_a_fault_in_the_middle_of_an_answer_breaks_it_off(site: Site, lines: io.StringIO) -> None:
    async def broken(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    layer = RequestMiddleware(broken, True, (), site.services.active, b"")
    with pytest.raises(ZeroDivisionError):
        TestClient(layer).get("/")
    assert "unexpected error" in lines.getvalue()


def test_somebody_who_leaves_in_the_middle_of_a_form_is_no_fault(
    site: Site, lines: io.StringIO
) -> None:
    given = [b"--x", b'Content-Disposition: form-data; name="name"', b"", b"a"]
    messages = [
        {"type": "http.request", "body": b"\r\n".join(given), "more_body": True},
        {"type": "http.disconnect"},
    ]
    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    scope = {"type": "http", "method": "POST", "path": "/login", "headers": headers,
             "query_string": b"", "http_version": "1.1", "scheme": "http"}  # fmt: skip
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(site.app(scope, receive, send))
    entries = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [entry.get("status") for entry in entries] == [499]
    assert sent == []


def test_hashes_of_queries_need_the_key() -> None:
    one = logs.hash_key(Credentials(signing_key="k" * 32))  # type: ignore[arg-type]
    assert one == logs.hash_key(Credentials(signing_key="k" * 32))  # type: ignore[arg-type]
    assert one != logs.hash_key(Credentials(signing_key="l" * 32))  # type: ignore[arg-type]
    assert logs.hash_key(Credentials()) != logs.hash_key(Credentials())


class FakeJobs:
    """Takes jobs and forgets them."""

    enabled = True

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.taken: dict[str, Job] = {}

    async def submit(self, kind: str, argument: str, user: str, options: dict[str, str]) -> Job:
        if self.failure:
            raise self.failure
        job = Job(kind=kind, argument=argument, user=user, options=options)
        self.taken[job.id] = job
        return job

    async def list_jobs(self, limit: int) -> list[Job]:
        return list(self.taken.values())[:limit]

    async def job(self, identity: str) -> Job | None:
        return self.taken.get(identity)

    async def retry(self, identity: str) -> Job:
        raise UnfitJobError(f"there is no job {identity}")

    async def numbers(self) -> tuple[dict[str, int], dict[str, float], int]:
        if self.failure:
            raise self.failure
        return {"unfinished": 3}, {"ingest:done": 5.0, "ingest:seconds": 7.5}, 2


@pytest.fixture
def jobs(site: Site) -> Iterator[FakeJobs]:
    fake, real = FakeJobs(), site.services.jobs
    object.__setattr__(site.services, "jobs", fake)
    yield fake
    object.__setattr__(site.services, "jobs", real)


def test_jobs_are_for_curators(site: Site, jobs: FakeJobs) -> None:
    wanted = {"kind": "ingest", "argument": "/srv/papers.jsonl"}
    assert site.client.post("/api/jobs", json=wanted).status_code == 401
    reader = site.headers("reader")
    assert site.client.post("/api/jobs", json=wanted, headers=reader).status_code == 403
    assert site.get("/api/jobs", headers=reader).status_code == 403
    curator = site.headers("curator", "ada")
    answer = site.client.post("/api/jobs", json=wanted, headers=curator)
    assert answer.status_code == 202
    assert answer.json()["user"] == "ada"
    assert site.get(answer.headers["location"], headers=curator).json() == answer.json()
    assert site.get("/api/jobs", headers=curator).json()["jobs"] == [answer.json()]
    assert site.get("/api/jobs/none", headers=curator).status_code == 404
    assert site.client.post("/api/jobs/none/retry", headers=curator).status_code == 422


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "shell", "argument": "/srv/x"},
        {"kind": "ingest", "argument": "/etc/research-app/settings.toml"},
        {"kind": "ingest", "argument": "/srv/../etc/passwd"},
        {"kind": "ingest", "argument": "papers.jsonl"},
        {"kind": "ingest", "argument": "/srv/x\0y"},
        {"kind": "ingest", "argument": "file:///srv/x"},
        {"kind": "ingest", "argument": "/srv/x", "options": {"kind": "poem"}},
        {"kind": "ingest", "argument": "/srv/x", "options": {"shell": "1"}},
        {"kind": "ingest", "argument": "/srv/x", "user": "root"},
        {"kind": "ingest"},
    ],
)
def test_jobs_that_nobody_may_ask_for(site: Site, jobs: FakeJobs, wanted: dict[str, Any]) -> None:
    answer = site.client.post("/api/jobs", json=wanted, headers=site.headers("admin"))
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert not jobs.taken


def test_a_link_out_of_the_folders_is_followed_first(
    site: Site, jobs: FakeJobs, tmp_path: Path
) -> None:
    inside = tmp_path / "library"
    inside.mkdir()
    (inside / "way-out").symlink_to("/etc")
    settings = make_settings(jobs={"folders": [str(inside)]})
    from research_app.jobs.fitness import check

    check(settings, "ingest", str(inside / "x.jsonl"), {})
    with pytest.raises(UnfitJobError, match="the path must be below"):
        check(settings, "ingest", str(inside / "way-out" / "passwd"), {})


def test_a_queue_that_is_full_or_away(site: Site, jobs: FakeJobs) -> None:
    wanted = {"kind": "ingest", "argument": "/srv/papers.jsonl"}
    for failure, seconds in ((JobsFullError(), "60"), (JobsUnavailableError("x"), "10")):
        jobs.failure = failure
        answer = site.client.post("/api/jobs", json=wanted, headers=site.headers("curator"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, seconds)


def test_numbers_of_jobs(jobs: FakeJobs, monitor: TestClient) -> None:
    text = monitor.get("/metrics").text
    assert value(text, 'jobs_total{kind="ingest",outcome="done"}') == 5
    assert value(text, 'jobs_seconds_total{kind="ingest"}') == 7.5
    assert value(text, 'jobs_depth{state="unfinished"}') == 3
    assert value(text, "jobs_workers") == 2
    assert value(text, "jobs_queue_up") == 1
    jobs.failure = JobsUnavailableError("TimeoutError")
    text = monitor.get("/metrics").text
    assert value(text, "jobs_queue_up") == 0
    assert "jobs_total" not in text


def test_limits_are_settings() -> None:
    settings = parse(
        {
            "server": {"tls": False},
            "opensearch": {"urls": ["http://127.0.0.1:9"]},
            "search": {"max_at_once": 3, "max_waiting": 0},
        },
        Credentials(),
        Path("settings.toml"),
    )
    assert (settings.search.max_at_once, settings.search.max_waiting) == (3, 0)
