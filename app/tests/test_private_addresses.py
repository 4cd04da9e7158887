"""The secret in the address of one subscriber's feed is fetched with, and shown to nobody."""

from __future__ import annotations

import logging

import pytest
from conftest import Site
from loading import loaded
from local_web import answer, fetcher, local_web

from research_app.jobs.record import Job
from research_app.private_address import is_private, shown
from research_app.sources import open_source
from research_app.sources.tools import Tools

TOKEN = "aB3xY9kLm4Qw7Zt2"
PRIVATE = [
    "https://anna:geheim@pods.example/feed.xml",
    f"https://pods.example/{TOKEN}/feed.xml",
    f"https://pods.example/feeds/{TOKEN}.xml",
    f"https://pods.example/feed?x={TOKEN}",
    "https://pods.example/feed?token=abc",
    "https://pods.example/rss/6f1c2a34-9d3e-4f50-a1b2-c3d4e5f60718",
    "https://pods.example/rss/3f9a1c5e7b2d4f60",
]
PUBLIC = [
    "https://pods.example/feed.xml",
    "https://pods.example/2024/05/episode-12-how-zebras-sleep-at-night.mp3",
    "https://pods.example/Season_1/Transcript01-Time-To-Take-Notice.html?page=2",
    "https://www.youtube.com/playlist?list=PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf",
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    "arxiv:2101.00001v2",
    "/srv/papers/aB3xY9kLm4Qw7Zt2.pdf",
]
FEED = f"""<rss version="2.0"><channel><title>Zebras</title>
<item><guid>1</guid><title>Stripes</title><link>https://pods.example/stripes</link>
<description>About stripes.</description><enclosure url="https://cdn.example/{TOKEN}/1.mp3"/></item>
<item><guid>2</guid><title></title><enclosure url="http://["/></item>
</channel></rss>""".encode()


@pytest.mark.parametrize("address", PRIVATE)
def test_a_secret_is_not_shown(address: str) -> None:
    assert is_private(address)
    for secret in ("anna", "geheim", TOKEN, "token=abc", "6f1c2a34", "3f9a1c5e7b2d4f60"):
        assert secret not in shown(address)
    assert shown(address).startswith("https://pods.example/")
    assert shown(shown(address)) == shown(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_no_secret_is_shown_as_it_is(address: str) -> None:
    assert shown(address) == address
    assert not is_private(address)


def test_two_feeds_are_told_apart() -> None:
    assert shown(f"https://pods.example/{TOKEN}x") != shown(f"https://pods.example/{TOKEN}y")


def test_a_private_feed_leaves_no_secret_in_the_library(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with local_web() as web:
        web.routes[f"/{TOKEN}/feed.xml"] = answer(FEED, "application/rss+xml")
        source = open_source(f"{web.url}/{TOKEN}/feed.xml", "podcast", Tools(fetcher()))
        found = loaded(source.candidates)
    stripes, broken = found.values()
    assert isinstance(stripes, dict)
    assert stripes["url"] == "https://pods.example/stripes"
    assert isinstance(broken, str)
    assert TOKEN not in f"{found}{source.root}{caplog.text}"


def test_a_job_is_shown_without_the_secret_and_done_with_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(kind="ingest", argument=f"https://pods.example/{TOKEN}/feed.xml")

    async def listed(*_: object, **__: object) -> list[Job]:
        return [job]

    async def found(*_: object) -> Job:
        return job

    jobs = type(site.services.jobs)
    monkeypatch.setattr(jobs, "list_jobs", listed)
    monkeypatch.setattr(jobs, "job", found)
    headers = site.headers("curator")
    for path in ("/api/jobs", f"/api/jobs/{job.id}", "/jobs", f"/jobs/{job.id}"):
        told = site.get(path, headers=headers)
        assert told.status_code == 200, path
        assert "pods.example" in told.text, path
        assert TOKEN not in told.text, path
    assert TOKEN in job.argument
