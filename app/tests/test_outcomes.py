"""One thing that cannot be taken never hides the others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from loading import loaded

from research_app.refusal import NotNowError, RefusedError
from research_app.sources import UnknownSourceError, open_source
from research_app.sources.document import Candidate, Refusal
from research_app.sources.outcome import FAULT, guarded, outcome

GOOD = "<item><title>Good</title><guid>g</guid><enclosure url='http://e.org/g.mp3'/></item>"
UNREADABLE = "not an address that can be read: http://[bad/"
BAD_PARTS = [
    ("<enclosure url='http://[bad/x.mp3'/>", UNREADABLE),
    ("<podcast:transcript url='http://[bad/x.vtt'/>", UNREADABLE),
    ("<podcast:transcript url='" + "x" * 5000 + ".vtt'/>", "cannot be read: File name too long"),
]
HARMLESS_PARTS = [
    "<link>http://[bad/</link>",
    "<guid isPermaLink='true'>http://[bad/</guid>",
    "<pubDate>Mon, 01 Jan 2020 00:00:00 +99999999999999999999</pubDate>",
    "<itunes:image href='http://[bad/x.png'/>",
]


def feed(part: str) -> str:
    return (
        '<rss xmlns:podcast="https://podcastindex.org/namespace/1.0"'
        ' xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel><title>T</title>'
        f"<item><title>Bad</title><guid>b</guid>{part}</item>{GOOD}</channel></rss>"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that has other things than the feed in it."""
    (tmp_path / "z.jsonl").write_text('{"id": "z", "title": "Innocent"}\n')
    return tmp_path


def found(path: Path) -> dict[str, str]:
    """What became of each: a title, or the reason why not."""
    return {
        source: fields if isinstance(fields, str) else fields["title"]
        for source, fields in loaded(open_source(path, "paper").candidates).items()
    }


@pytest.mark.parametrize(("part", "reason"), BAD_PARTS)
def test_an_episode_that_cannot_be_read(folder: Path, part: str, reason: str) -> None:
    (folder / "feed.rss").write_text(feed(part))
    outcomes = found(folder)
    assert outcomes.pop("feed.rss:1").startswith(reason)
    assert outcomes == {"feed.rss:2": "Good", "z.jsonl:1": "Innocent"}


@pytest.mark.parametrize("part", HARMLESS_PARTS)
def test_what_an_episode_can_do_without(folder: Path, part: str) -> None:
    (folder / "feed.rss").write_text(feed(part))
    assert found(folder) == {"feed.rss:1": "Bad", "feed.rss:2": "Good", "z.jsonl:1": "Innocent"}


def test_a_page_that_is_left_out_is_told(folder: Path) -> None:
    (folder / "feed.rss").write_text(feed("<link>http://[bad/</link>"))
    first = next(iter(open_source(folder / "feed.rss", "paper").candidates))
    assert isinstance(first, Candidate)
    assert first.mended == (f"its page is left out: {UNREADABLE}",)


@pytest.mark.parametrize("address", ["http://[x/feed", "https://a]b/"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(UnknownSourceError, match="not an address that can be read"):
        open_source(address, "paper")


def test_a_reader_with_a_fault_ends_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Iterator[Candidate | Refusal]:
        raise KeyError("something nobody thought of")

    (folder / "a.bib").write_text("@misc{a, title={T}}")
    monkeypatch.setattr("research_app.sources.bibtex.read", broken)
    assert found(folder) == {"a.bib": FAULT, "z.jsonl:1": "Innocent"}
    assert "something nobody thought of" in caplog.text


@pytest.mark.parametrize(
    ("error", "reason", "level"),
    [
        (RefusedError("no title"), "no title", None),
        (PermissionError(13, "Permission denied"), "cannot be read: Permission denied", None),
        (ValueError("secret detail"), FAULT, logging.ERROR),
        (OSError("secret detail"), FAULT, logging.ERROR),
    ],
)
def test_faults_in_words(
    error: Exception, reason: str, level: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    def make() -> Candidate:
        raise error

    assert outcome("a:1", make) == Refusal("a:1", reason)
    assert [record.levelno for record in caplog.records] == ([level] if level else [])


TOTALS = [
    ({"a.pdf": b"x", "b.pdf": b"y"}, "", 2),
    ({"a.pdf": b"x", "b.bib": b"@misc{a, title={T}}"}, "", None),
    ({"feed.rss": feed("").encode()}, "feed.rss", 2),
    ({"z.jsonl": b"{}\n{}\n"}, "z.jsonl", None),
]


@pytest.mark.parametrize(("files", "name", "total"), TOTALS)
def test_how_many_there_are_to_come(
    tmp_path: Path, files: dict[str, bytes], name: str, total: int | None
) -> None:
    for each, content in files.items():
        (tmp_path / each).write_bytes(content)
    source = open_source(tmp_path / name, "paper")
    found = list(source.candidates)
    assert source.total.count == total
    assert total in (None, len(found))


def test_what_may_be_had_later_is_no_refusal_of_a_source() -> None:
    def away() -> Iterator[Candidate | Refusal]:
        yield Refusal("a:1", "no title")
        raise NotNowError("example.org answers 503")

    items = guarded("a", away())
    assert next(items) == Refusal("a:1", "no title")
    with pytest.raises(NotNowError):
        next(items)
