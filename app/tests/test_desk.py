"""The pages of curators and administrators."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Site

from research_app.index.client import IndexUnavailableError
from research_app.index.figures import Figures
from research_app.index.quarantine import Entry, Listing
from research_app.jobs.record import Job, JobsUnavailableError, UnfitJobError
from research_app.report import Tally
from research_app.web import desk

NASTY = "<script>alert(1)</script>.pdf"


class FakeJobs:
    """A queue in memory."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.failure: Exception | None = None

    def _fail(self) -> None:
        if self.failure:
            raise self.failure

    async def submit(
        self, kind: str, argument: str, user: str = "", options: dict[str, str] | None = None
    ) -> Job:
        self._fail()
        job = Job(kind=kind, argument=argument, user=user, options=options or {})
        self.jobs[job.id] = job
        return job

    async def list_jobs(self, limit: int = 100) -> list[Job]:
        self._fail()
        return list(self.jobs.values())[:limit]

    async def job(self, identity: str) -> Job | None:
        self._fail()
        return self.jobs.get(identity)

    async def retry(self, identity: str) -> Job:
        self._fail()
        job = self.jobs.get(identity)
        if job is None or job.state not in ("failed", "dead"):
            raise UnfitJobError(f"job {identity} cannot be done again")
        self.jobs[identity] = job.model_copy(update={"state": "queued"})
        return self.jobs[identity]

    async def close(self) -> None:
        return None


@pytest.fixture
def jobs(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeJobs:
    fake = FakeJobs()
    settings = site.services.settings
    library = settings.library.model_copy(update={"directory": tmp_path})
    for name, value in (
        ("jobs", fake),
        ("settings", settings.model_copy(update={"library": library})),
    ):
        monkeypatch.setitem(vars(site.services), name, value)
    return fake


@pytest.mark.parametrize(
    ("address", "least"),
    [("/upload", "curator"), ("/jobs", "curator"), ("/jobs/x", "curator"), ("/admin", "admin")],
)
def test_who_may_see_what(site: Site, jobs: FakeJobs, address: str, least: str) -> None:
    page = {"Accept": "text/html"}
    refused = site.get(address, headers=page, follow_redirects=False)
    assert refused.status_code in (303, 401)
    below = "reader" if least == "curator" else "curator"
    assert site.get(address, headers=page | site.headers(below)).status_code == 403


def test_a_curator_sends_a_file(site: Site, jobs: FakeJobs) -> None:
    headers = site.headers("curator")
    assert 'type="file"' in site.get("/upload", headers=headers).text
    sent = site.client.post(
        "/upload",
        headers=headers,
        files={"file": (NASTY, b"%PDF-1.7 and so on")},
        data={"kind": "paper"},
        follow_redirects=False,
    )
    (job,) = jobs.jobs.values()
    assert (sent.status_code, sent.headers["location"]) == (303, f"/jobs/{job.id}")
    assert (job.kind, job.user, job.options) == ("ingest", "a-curator", {"kind": "paper"})
    page = site.get(f"/jobs/{job.id}", headers=headers).text
    assert "<script>alert" not in page
    assert f'data-job="{job.id}" data-ended="false"' in page
    assert '<meta http-equiv="refresh"' in page


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.exe", b"MZ", "The library takes"),
        ("a.pdf", b"", "The file is empty"),
        ("a.pdf", b"GIF89a", "its content is something else"),
    ],
)
def test_a_file_that_is_not_taken(
    site: Site, jobs: FakeJobs, name: str, content: bytes, words: str
) -> None:
    sent = site.client.post(
        "/upload", headers=site.headers("curator"), files={"file": (name, content)}
    )
    assert sent.status_code == 415
    assert words in sent.text
    assert 'type="file"' in sent.text
    assert not jobs.jobs


def test_a_job_that_has_ended(site: Site, jobs: FakeJobs) -> None:
    jobs.jobs = {
        "one": Job(id="one", kind="ingest", argument="/in/" + NASTY, state="done", new=3, seen=5),
        "two": Job(id="two", kind="ingest", argument="https://x.org/feed", state="dead"),
    }
    headers = site.headers("curator")
    page = site.get("/jobs/one", headers=headers).text
    assert 'data-ended="true"' in page
    assert "refresh" not in page
    assert "<script>alert" not in page
    assert re.search(r'data-field="new">3<', page)
    listed = site.get("/jobs", headers=headers).text
    assert "https://x.org/feed" in listed
    assert "given up" in listed
    again = site.client.post("/jobs/two/retry", headers=headers, follow_redirects=False)
    assert (again.status_code, jobs.jobs["two"].state) == (303, "queued")
    assert site.client.post("/jobs/one/retry", headers=headers).status_code == 409
    assert site.get("/jobs/none", headers=headers).status_code == 404


def test_a_job_tells_what_was_mended_and_refused_and_why(site: Site, jobs: FakeJobs) -> None:
    tally = Tally(taken=7, mended=2, refused=1, how={"no <b>key</b>": 2}, why={"no title": 1})
    jobs.jobs["one"] = Job(
        id="one", kind="ingest", argument="/in", state="done", mended=2,
        kinds={"BibTeX": tally}, unread={".docx": 3, ".tex": 1},
    )  # fmt: skip
    headers = site.headers("curator")
    page = site.get("/jobs/one", headers=headers).text
    assert "mended 2: no &lt;b&gt;key&lt;/b&gt;" in page
    assert "refused 1: no title" in page
    assert "Not read: 4 files of kinds that nothing here reads (3 .docx, 1 .tex)" in page
    told = site.get("/api/jobs/one", headers=headers).json()
    assert told["kinds"]["BibTeX"]["how"] == {"no <b>key</b>": 2}
    assert (told["mended"], told["unread"]) == (2, {".docx": 3, ".tex": 1})


def test_a_record_of_the_release_before_can_be_read() -> None:
    record = Job(kind="ingest", argument="/in").model_dump(exclude={"mended", "kinds", "unread"})
    assert Job.model_validate(record).kinds == {}


def test_without_a_queue(site: Site, jobs: FakeJobs) -> None:
    jobs.failure = JobsUnavailableError("away")
    headers = site.headers("curator")
    for address in ("/upload", "/jobs"):
        page = site.get(address, headers=headers)
        assert page.status_code == 200
        assert desk.AWAY in page.text
    assert site.get("/jobs/one", headers=headers).status_code == 503


def test_what_an_administrator_sees(
    site: Site, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Entry.model_validate({
        "id": "x", "place": "/in/" + NASTY, "source": NASTY, "reason": "encrypted",
        "kind": "paper", "since": "2026-01-02T03:04:05Z", "at": "2026-01-02T03:04:05Z",
    })  # fmt: skip

    class Refused:
        async def listing(self, _: int) -> Listing:
            return Listing(total=1, entries=[entry])

        async def dismiss(self, identity: str) -> int:
            dismissed.append(identity)
            return 1

    dismissed: list[str] = []

    async def sizes(*_: Any) -> Figures:
        return Figures(documents=1234, bytes_once=5_600_000, bytes_with_copies=11_200_000)

    monkeypatch.setattr(desk, "_quarantine", lambda _: Refused())
    monkeypatch.setattr(desk, "figures", sizes)
    page = site.get("/admin", headers=site.headers("admin"))
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "encrypted" in page.text
    assert "<script>alert" not in page.text
    assert all(words in page.text for words in ("1,234", "5.6 MB", "11.2 MB", "No jobs yet"))

    action = "/admin/quarantine/x/dismiss"
    assert f'<form action="{action}" method="post">' in page.text
    elsewhere = site.headers("admin") | {"Origin": "https://evil.example"}
    assert site.client.post(action, headers=elsewhere).status_code == 403
    assert dismissed == []
    done = site.client.post(action, headers=site.headers("admin"), follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/admin#quarantine")
    assert dismissed == ["x"]


def test_sizes() -> None:
    assert [desk.size(count) for count in (0, 999, 1500, 250_000, 3 * 10**12, 5 * 10**16)] == [
        "0 bytes", "999 bytes", "1.5 kB", "250 kB", "3.0 TB", "50000 TB",
    ]  # fmt: skip


def test_a_quarantine_that_cannot_be_read_is_named_beside_all_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Red:
        async def listing(self, _: int) -> Listing:
            raise IndexUnavailableError("503 no shard")

    async def sizes(*_: Any) -> Figures:
        return Figures(documents=1234, bytes_once=1, bytes_with_copies=2)

    monkeypatch.setattr(desk, "_quarantine", lambda _: Red())
    monkeypatch.setattr(desk, "figures", sizes)
    page = site.get("/admin", headers=site.headers("admin"))
    assert page.status_code == 200
    assert "The quarantine cannot be read: 503 no shard." in page.text
    assert "1,234" in page.text
