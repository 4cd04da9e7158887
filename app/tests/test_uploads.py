"""Files that curators send: what is taken, what is refused, and where it goes."""

from __future__ import annotations

import dataclasses
import gzip
import os
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Site
from hypothesis import given
from hypothesis import strategies as st
from pdfs import pdf

from research_app.inbox import KEPT_SECONDS
from research_app.jobs.record import Job, JobsUnavailableError
from research_app.uploads import ACCEPTED, UnfitFileError, safe_name, suffix_of

LINE = b'{"id": "zebra", "title": "Zebras"}\n'
VTT = b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n"

GOOD = {
    "a.pdf": b"%PDF-1.7\n",
    "A.PDF": b"\n%PDF-1.4\n",
    "a.jsonl": LINE,
    "long.jsonl": b'{"title": "' + b"x" * 5000,
    "a.jsonl.gz": gzip.compress(LINE),
    "a.vtt": VTT,
    "bom.vtt": b"\xef\xbb\xbf" + VTT,
    "a.srt": b"1\r\n00:00:00,000 --> 00:00:01,000\r\nHello\r\n",
    "utf-16.srt": "1\n00:00:00,000 --> 00:00:01,000\nHello\n".encode("utf-16"),
    "unnumbered.srt": b"00:00:00.5-->00:00:01\nHello\n",
    "really-srt.vtt": b"1\n00:00:00,000 --> 00:00:01,000\nHello\n",
    "a.sbv": b"0:00:00.000,0:00:01.000\nHello\n",
    "a.ass": b"[Script Info]\n",
    "a.rss": b'<?xml version="1.0"?>\n<rss version="2.0">',
    "a.xml": b"\xef\xbb\xbf\n<rss>",
    "a.mp3": b"ID3\x04\x00",
    "bare.mp3": b"\xff\xfb\x90d",
    "a.wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "a.mp4": b"\x00\x00\x00\x20ftypisom",
    "a.webm": b"\x1a\x45\xdf\xa3\x01",
    "a.bib": b"% mine\n@article{zebra, title = {Zebras}}\n",
}
BAD = {
    "empty.pdf": b"",
    "program.pdf": b"\x7fELF\x02\x01",
    "page.pdf": b"<!doctype html><script>alert(1)</script>",
    "picture.svg": b"<svg onload='alert(1)'/>",
    "page.html": b"<html>",
    "list.jsonl": b"[1, 2]\n",
    "broken.jsonl": b"{broken\n",
    "plain.jsonl.gz": LINE,
    "text.vtt": b"Hello",
    "text.srt": b"Hello",
    "page.srt": b"<html><!-- page --></html>",
    "picture.vtt": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "text.bib": b"Hello",
    "page.xml": b"<html>",
    "text.mp3": b"Hello",
    "text.mp4": b"Hello, this is text",
    "picture.wav": b"RIFF\x24\x00\x00\x00WEBP",
    "noname": b"%PDF-1.7",
    "": b"%PDF-1.7",
}


@pytest.mark.parametrize(("name", "content"), GOOD.items(), ids=GOOD.keys())
def test_content_and_name_agree(name: str, content: bytes) -> None:
    assert name.lower().endswith(suffix_of(name, content[:4096]))


@pytest.mark.parametrize(("name", "content"), BAD.items(), ids=BAD.keys())
def test_what_is_not_what_it_is_called_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(UnfitFileError):
        suffix_of(name, content)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("Zebras & Co.pdf", "Zebras _ Co.pdf"),
        ("../../etc/passwd.pdf", "passwd.pdf"),
        ("C:\\papers\\a.pdf", "a.pdf"),
        (".pdf", "file.pdf"),
        ("...pdf", "file.pdf"),
        ("a\x00b\n.pdf", "a_b.pdf"),
        ("-rf.pdf", "rf.pdf"),
        ("Übersicht.pdf", "Übersicht.pdf"),
    ],
)
def test_a_name_stays_readable_and_is_no_path(given_name: str, kept: str) -> None:
    assert safe_name(given_name, ".pdf") == kept


@given(st.text())
def test_no_name_leaves_its_folder(text: str) -> None:
    name = safe_name(text + ".pdf", ".pdf")
    assert name.endswith(".pdf")
    assert len(name.encode()) < 200
    assert Path("/inbox", name).parent == Path("/inbox")
    assert name.isprintable()
    assert not name.startswith((".", "-"))


class FakeJobs:
    """Takes every job, or says that it cannot."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.taken: list[Job] = []

    async def submit(self, kind: str, argument: str, user: str, options: dict[str, str]) -> Job:
        if self.failure:
            raise self.failure
        self.taken.append(Job(kind=kind, argument=argument, user=user, options=options))
        return self.taken[-1]


@pytest.fixture(scope="module")
def _desk(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("library")
    return Site(library={"directory": str(folder)}, limits={"upload_bytes": 200_000})


@pytest.fixture
def desk(_desk: Site) -> Site:
    _desk.reset()
    _desk.services = dataclasses.replace(_desk.services, jobs=FakeJobs())  # type: ignore[arg-type]
    _desk.app.state.services = _desk.services
    return _desk


def inbox(site: Site) -> list[Path]:
    folder = site.services.settings.library.directory / "inbox"
    return [path for path in folder.rglob("*") if path.is_file()]


def send(site: Site, name: str, content: bytes, role: str = "curator", **fields: str) -> Any:
    headers = site.headers(role, "ana") if role else {}
    file = {"file": (name, content, "application/octet-stream")}
    return site.client.post("/api/upload", files=file, data=fields, headers=headers)


def test_a_file_becomes_a_job(desk: Site) -> None:
    content = pdf("Zebras are striped.")
    found = send(desk, "Zebras.pdf", content, kind="paper")
    assert found.status_code == 202, found.text
    body = found.json()
    assert (body["file"], body["bytes"]) == ("Zebras.pdf", len(content))
    assert found.headers["location"] == f"/api/jobs/{body['job']['id']}"
    job = desk.services.jobs.taken[-1]  # type: ignore[attr-defined]
    assert (job.kind, job.user, job.options) == ("ingest", "ana", {"kind": "paper"})
    assert Path(job.argument).read_bytes() == content


@pytest.mark.parametrize(("role", "status"), [("", 401), ("reader", 403), ("admin", 202)])
def test_curators_alone_send_files(desk: Site, role: str, status: int) -> None:
    before = len(inbox(desk))
    assert send(desk, "a.jsonl", LINE, role).status_code == status
    assert len(inbox(desk)) == before + (status == 202)


@pytest.mark.parametrize(("name", "content"), BAD.items(), ids=BAD.keys())
def test_a_refused_file_leaves_nothing(desk: Site, name: str, content: bytes) -> None:
    before = inbox(desk)
    found = send(desk, name, content)
    assert found.status_code in (415, 422)  # without a name it is a field, not a file
    assert found.json()["detail"]
    assert inbox(desk) == before
    assert not desk.services.jobs.taken  # type: ignore[attr-defined]


def test_a_file_over_the_limit_is_refused(desk: Site) -> None:
    found = send(desk, "a.pdf", b"%PDF-" + b"x" * 300_000)
    assert found.status_code == 413
    assert "too large" in found.json()["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"--x\r\nbroken", "multipart/form-data; boundary=x", 422),
        (b"x", "multipart/form-data", 400),
        (b"{}", "application/json", 422),
        (b"", "multipart/form-data; boundary=x", 422),
    ],
)
def test_a_form_that_is_none_is_refused(desk: Site, content: bytes, kind: str, status: int) -> None:
    headers = desk.headers("curator") | {"Content-Type": kind}
    found = desk.client.post("/api/upload", content=content, headers=headers)
    assert found.status_code in (status, 400, 422)


def test_an_unknown_kind_is_refused(desk: Site) -> None:
    assert send(desk, "a.jsonl", LINE, kind="novel").status_code == 422


def test_without_a_queue_the_file_is_not_kept(desk: Site) -> None:
    desk.services.jobs.failure = JobsUnavailableError("off")  # type: ignore[attr-defined]
    before = inbox(desk)
    found = send(desk, "a.jsonl", LINE)
    assert (found.status_code, found.headers["retry-after"]) == (503, "5")
    assert inbox(desk) == before


def test_what_waited_for_a_month_is_removed(desk: Site) -> None:
    send(desk, "old.jsonl", LINE)
    old = next(path for path in inbox(desk) if path.name == "old.jsonl")
    month_ago = time.time() - KEPT_SECONDS - 60
    os.utime(old.parent, (month_ago, month_ago))
    send(desk, "new.jsonl", LINE)
    assert not old.exists()
    assert any(path.name == "new.jsonl" for path in inbox(desk))


def test_uploads_are_counted() -> None:
    site = Site(limits={"upload": "1/hour"})
    headers = site.headers("curator")
    answers = [site.client.post("/api/upload", headers=headers).status_code for _ in range(2)]
    assert answers == [422, 429]


def test_the_refusal_says_what_is_taken(desk: Site) -> None:
    assert ACCEPTED in send(desk, "a.exe", b"MZ").json()["detail"]
