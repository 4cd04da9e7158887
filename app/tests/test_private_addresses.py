"""The secret in the address of one subscriber's feed is fetched with, and shown to nobody."""

from __future__ import annotations

import logging
from pathlib import Path

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
    "https://pods.example/rss/qLkJHfDsApOZUyTR",
    "https://pods.example/private/82fae1a3cb2b",
    "https://pods.example/feed#access_token=geheim",
]
ELSEWHERE = [
    ("feed://anna:geheim@pods.example/feed", "feed://pods.example/feed"),
    ("https://subscribers.pods.example/82fae1a3cb2b", "https://subscribers.pods.example/~e050da01"),
    ("http://[x/feed?token=geheim", "http://[x/feed?token=~addb0f5e"),
    ("http://anna:geheim@[x/feed", "http://[x/feed"),
]
PUBLIC = [
    "https://pods.example/feed.xml",
    "https://pods.example/2024/05/episode-12-how-zebras-sleep-at-night.mp3",
    "https://pods.example/Season_1/Transcript01-Time-To-Take-Notice.html?page=2",
    "https://www.youtube.com/playlist?list=PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf",
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    "https://pods.example/HowZebrasSleepAtNight.html?author=anna&design=2&keyword=zebra",
    "https://pods.example/premium/zebras.xml",
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


@pytest.mark.parametrize(("address", "expected"), ELSEWHERE)
def test_a_secret_in_other_addresses(address: str, expected: str) -> None:
    assert shown(address) == expected


@pytest.mark.parametrize(
    "part",
    [
        f"<description>Yours: https://pods.example/{TOKEN}/manage</description>",
        f'<enclosure url="https://cdn.example/1.mp3?token={TOKEN}" type="audio/mpeg"/>',
        f"<link>https://pods.example/1?auth={TOKEN}</link>",
        f'<podcast:transcript url="https://cdn.example/{TOKEN}.vtt" type="text/vtt"/>',
        f'<podcast:transcript url="gone.vtt?token={TOKEN}" type="text/vtt"/>',
        f'<podcast:transcript url="ftp://cdn.example/{TOKEN}.vtt" type="text/vtt"/>',
        f'<enclosure url="http://[x?token={TOKEN}"/>',
    ],
)
def test_a_private_feed_in_a_folder_leaves_no_secret_either(tmp_path: Path, part: str) -> None:
    own = f'<atom:link rel="self" href="https://pods.example/{TOKEN}/feed.xml"/>'
    (tmp_path / "feed.rss").write_text(
        f"<rss><channel><title>Zebras</title>{own}<item><title>One</title>{part}</item></channel></rss>"
    )
    found = loaded(open_source(tmp_path / "feed.rss", "podcast").candidates)
    assert found
    assert TOKEN not in str(found)


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
