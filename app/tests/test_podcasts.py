from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loading import documents, loaded
from local_web import LocalWeb, answer, fetcher, local_web
from shared_data import shared

from research_app.extract.html_text import without_tags
from research_app.extract.transcripts import Form, paragraphs, parsed
from research_app.sources import open_source
from research_app.sources.document import Candidate, RefusedError
from research_app.sources.podcast_feed import parse
from research_app.sources.tools import Tools

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"'
    ' xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'
    ' xmlns:podcast="https://podcastindex.org/namespace/1.0"><channel>'
    "<title>Stripes &amp; Co</title><link>https://example.org/show/</link>"
    "<language>en</language><itunes:author>The Desk</itunes:author>"
)
VTT = "WEBVTT\n\n00:01.000 --> 00:04.000\nZebras count their stripes.\n"


def item(*parts: str, title: str = "One", guid: str = "g1") -> str:
    return f"<item><title>{title}</title><guid>{guid}</guid>{''.join(parts)}</item>"


def feed(*items: str) -> bytes:
    return (HEAD + "".join(items) + "</channel></rss>").encode()


def transcript(url: str, media_type: str = "text/vtt") -> str:
    return f'<podcast:transcript url="{url}" type="{media_type}"/>'


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with local_web() as server:
        yield server


@pytest.fixture
def tools() -> Tools:
    return Tools(fetcher=fetcher())


EPISODE = item(
    "<link>https://example.org/1</link>"
    "<pubDate>Fri, 12 Aug 2022 14:21:00 EDT</pubDate>"
    "<description><![CDATA[<p>All <b>about</b> it.</p><script>x</script>]]></description>"
    '<enclosure url="https://example.org/1.mp3" length="1" type="audio/mpeg"/>'
    "<itunes:duration>1:02:03</itunes:duration><itunes:author>Ann Lee</itunes:author>"
)


def test_an_episode(tmp_path: Path) -> None:
    (tmp_path / "feed.rss").write_bytes(feed(EPISODE))
    (found,) = documents(open_source(tmp_path / "feed.rss", "paper").candidates)
    assert found.pop("id").startswith("episode-")
    assert found == {
        "kind": "podcast",
        "title": "One",
        "abstract": "All about it.",
        "authors": ("Ann Lee",),
        "year": 2022,
        "venue": "Stripes & Co",
        "language": "en",
        "duration": 3723,
        "url": "https://example.org/1",
        "media_url": "https://example.org/1.mp3",
    }


TRANSCRIPTS: list[tuple[str, Form, list[tuple[str, float | None]]]] = [
    (VTT, "captions", [("Zebras count their stripes.", 1)]),
    ("1\n00:00:02,500 --> 00:00:03,000\nWords.", "captions", [("Words.", 2.5)]),
    (
        json.dumps(
            {
                "segments": [
                    {"speaker": "Ann", "startTime": 3.5, "endTime": 4, "body": "Hello"},
                    {"speaker": "Ann", "startTime": 4, "endTime": 5, "body": "there."},
                    {"speaker": "Bo", "startTime": 5, "body": "Yes."},
                ]
            }
        ),
        "json",
        [("Ann: Hello there. Bo: Yes.", 3.5)],
    ),
    (
        "<html><head><title>no</title></head><cite>Ann:</cite><time>0:07</time><p>It is"
        " &amp; will be.</p><script>no()</script><time>1:00:00</time><p>Later.</p></html>",
        "html",
        [("Ann: It is & will be. Later.", 0)],
    ),
    ("<p>One.</p><p>Two.<br>Three.</p>", "html", [("One. Two. Three.", None)]),
    (
        "---\ntitle: x\n---\n# Title\n\nANN: **Really** [new](https://x.org).\n\n* `two_words`",
        "plain",
        [("Title ANN: Really new. two_words", None)],
    ),
]


@pytest.mark.parametrize(("text", "form", "expected"), TRANSCRIPTS)
def test_forms_of_transcripts(
    text: str, form: Form, expected: list[tuple[str, float | None]]
) -> None:
    found = parsed(text.encode(), form)["passages"]
    assert [(each["text"], each.get("start")) for each in found] == expected


BAD_TRANSCRIPTS: list[tuple[bytes, Form, str]] = [
    (b"", "plain", "the file is empty"),
    (b"<p> </p>", "html", "the transcript has no words"),
    (b"# \n", "plain", "the transcript has no words"),
    (b"{}", "json", "not a transcript: it has no segments"),
    (b"[1", "json", "not a transcript: it has no segments"),
    (b'{"segments": [{"body": 1, "startTime": 0}]}', "json", "not a transcript"),
    (b'{"segments": [{"body": "x", "startTime": "soon"}]}', "json", "not a transcript"),
    (b'{"segments": []}', "json", "the transcript has no words"),
    (b"<html>Please log in</html>", "captions", "not captions: there is no time"),
    (b"\x00\x01\xff" * 99, "plain", "not a text"),
]


@pytest.mark.parametrize(("content", "form", "reason"), BAD_TRANSCRIPTS)
def test_transcripts_that_are_none(content: bytes, form: Form, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        parsed(content, form)


def test_hostile_texts_take_no_time() -> None:
    start = time.monotonic()
    without_tags("<" * 100_000)
    without_tags("<p><b>" * 50_000 + "<!--" * 10_000 + "</p " * 10_000)
    paragraphs("[" * 50_000 + "*" * 50_000 + "_a" * 50_000 + "\n" * 50_000 + "[x](" * 20_000)
    assert time.monotonic() - start < 10


BOMB = (
    b'<!DOCTYPE z [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><rss><channel><title>&c;</title></channel></rss>'
)
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<rss><channel><title>&x;</title></channel></rss>"
)
BAD_FEEDS = [
    (b"", "the file is empty"),
    (b" \n", "the file is empty"),
    (BOMB, "the feed defines entities"),
    (OUTSIDE, "the feed defines entities"),
    (OUTSIDE.decode().replace("<?xml version", "<?xml version", 1).encode("utf-16"), "the feed"),
    (b"---\n---\n<rss/>", "not a feed: the XML is malformed in line 1, column 1"),
    (b"<rss><channel>\n<title>a & b</title></channel></rss>", "not a feed: .* line 2"),
    (b"<rss><channel><title>cut", "not a feed: the XML is malformed in line 1"),
    (b"\x89PNG\r\n\x1a\n\0\0\0", "not a feed"),
    (b'{"version": "https://jsonfeed.org"}', "not a feed"),
    (b'<?xml version="1.0" encoding="nope"?><rss/>', "not a feed"),
    (b"<html><body>404</body></html>", "not a podcast's feed"),
    (b"<rss></rss>", "not a podcast's feed"),
    (b"<rss><channel>\xff</channel></rss>", "not a feed"),
    (b"<a>" * 200_000, "not a feed"),
]


@pytest.mark.parametrize(("content", "reason"), BAD_FEEDS)
def test_feeds_that_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=f"^{reason}"):
        parse(content)


@pytest.mark.parametrize("part", ["<a/>" * 2_000_000, "<a x='' y='' z=''/>" * 400_000])
def test_a_feed_of_millions_of_parts_takes_little_memory(part: str) -> None:
    content = feed(part)
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError, match="over 500,000 elements and attributes"):
            parse(content)
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()


def test_a_feed_without_episodes_or_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(feed())
    assert loaded(open_source(path, "paper").candidates) == {"feed.xml": "the feed has no episodes"}
    monkeypatch.setattr("research_app.sources.podcast.MAX_BYTES", 10 * 2**20)
    path.write_bytes(b" " * (10 * 2**20 + 1))
    (reason,) = loaded(open_source(path, "paper").candidates).values()
    assert reason == "larger than 10 MiB: not a feed"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_feeds_in_the_encoding_that_they_name(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><rss><channel><title>Zoë</title>'
    assert parse((text + "</channel></rss>").encode(encoding)).title == "Zoë"


def test_an_old_doctype_is_no_harm() -> None:
    head = b'<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://example.org/rss.dtd">'
    assert parse(head + b"<rss><channel><title>T</title></channel></rss>").title == "T"


def test_transcripts_from_the_web(web: LocalWeb, tools: Tools) -> None:
    """The best form is taken; an address relative to the feed is one."""
    web.routes["/show/feed"] = answer(
        feed(
            item(transcript("/t.txt", "text/plain"), transcript("1.vtt?x=1"), guid="1"),
            item(transcript(f"{web.url}/gone.vtt"), guid="2"),
            item(transcript("http://10.0.0.1/t.vtt"), guid="3"),
            item(transcript("file:///etc/passwd"), guid="4"),
            item(transcript("/moved.vtt"), guid="5"),
            item(transcript("x.odt", "application/odt"), guid="6"),
            item("<enclosure url='javascript:alert(1)'/>", guid="7"),
            item(guid="8", title=""),
            item(guid="9"),
        ),
        "application/rss+xml",
    )
    web.routes["/show/1.vtt?x=1"] = answer(VTT.encode(), "text/vtt")
    web.routes["/moved.vtt"] = answer(status=302, Location="http://192.168.0.1/t.vtt")
    url = f"{web.url}/show/feed"
    found = loaded(open_source(url, "paper", tools).candidates)
    assert [isinstance(fields, dict) for fields in found.values()] == [
        True, False, False, False, False, True, True, False, True,
    ]  # fmt: skip
    first = found[f"{url}:1"]
    assert isinstance(first, dict)
    assert first["passages"] == ({"text": "Zebras count their stripes.", "start": 1.0},)
    assert first["duration"] == 4
    reasons = [found[f"{url}:{number}"] for number in (2, 3, 4, 5, 8)]
    for reason, start in zip(
        reasons,
        (
            "its transcript cannot be had: 127.0.0.1 answers 404",
            "its transcript cannot be had: 10.0.0.1 leads into a private network",
            "it names something that is not on the web: file:///etc/passwd",
            "its transcript cannot be had: 192.168.0.1 leads into a private network",
            "no title",
        ),
        strict=True,
    ):
        assert str(reason).startswith(start)


def test_addresses_that_give_no_feed(web: LocalWeb, tools: Tools) -> None:
    web.routes["/page"] = answer(b"<!DOCTYPE html><html><p>Hello<br></html>", "text/html")
    for url, reason in (
        (f"{web.url}/none", "127.0.0.1 answers 404"),
        (f"{web.url}/page", "not a feed"),
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254 leads into the local network"),
    ):
        found = loaded(open_source(url, "paper", tools).candidates)
        assert str(found[url]).startswith(reason)
    url = "https://example.org/feed"
    assert "switched off" in str(loaded(open_source(url, "paper").candidates)[url])


def test_a_site_without_the_web_takes_episodes_without_their_transcripts(tmp_path: Path) -> None:
    (tmp_path / "feed.rss").write_bytes(feed(item(transcript("https://example.org/t.vtt"))))

    def candidate(tools: Tools) -> Candidate:
        (found,) = open_source(tmp_path / "feed.rss", "paper", tools).candidates
        assert isinstance(found, Candidate)
        return found

    off = candidate(Tools(fetcher=fetcher(enabled=False)))
    assert "passages" not in documents([off])[0]
    on = candidate(Tools(fetcher=fetcher()))
    assert on.id == off.id
    assert on.content_hash != off.content_hash


def test_transcripts_beside_a_feed(tmp_path: Path) -> None:
    (tmp_path / "feed.rss").write_bytes(
        feed(
            item(title="Episode 1: Time to Take Notice", guid="1"),
            item('<enclosure url="https://x.org/a/Ep_7.mp3?y=1"/>', title="Seven", guid="2"),
            item(transcript("texts/three.srt"), title="Three", guid="3"),
            item(transcript("../../etc/passwd", "text/plain"), title="Four", guid="4"),
            item(transcript("missing.vtt"), title="Five", guid="5"),
            item(title="Notice", guid="6"),
        )
    )
    (tmp_path / "transcript01-time-to-take-notice.md").write_text("ANN: Hello.")
    (tmp_path / "ep-7.vtt").write_text(VTT)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/three.srt").write_text(VTT)
    (tmp_path / "seven.md").write_text("show notes, and no transcript")
    (tmp_path / "transcript-notice.txt").write_text("whose is it? two episodes bear that name")
    found = loaded(open_source(tmp_path, "paper").candidates)
    texts = {
        source: fields["passages"][0]["text"] if "passages" in fields else None
        for source, fields in found.items()
        if isinstance(fields, dict)
    }
    assert texts == {
        "feed.rss:1": "ANN: Hello.",
        "feed.rss:2": "Zebras count their stripes.",
        "feed.rss:3": "Zebras count their stripes.",
        "feed.rss:6": None,
    }
    assert str(found["feed.rss:4"]).startswith("it names a file outside of its folder")
    assert found["feed.rss:5"] == "its transcript is not there: missing.vtt"
    assert len(found) == 6  # no captions are taken a second time, by themselves


def test_other_xml_in_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sitemap.xml").write_text("<urlset/>")
    (tmp_path / "feed.xml").write_bytes(feed(item()))
    (tmp_path / "wide.xml").write_bytes(
        feed(item(guid="2")).decode().replace("UTF-8", "UTF-16").encode("utf-16")
    )
    assert len(documents(open_source(tmp_path, "paper").candidates)) == 2


def test_ids_stay_when_a_feed_moves(tmp_path: Path) -> None:
    ids = set()
    for name in ("a.rss", "b.xml"):
        (tmp_path / name).write_bytes(feed(EPISODE))
        (found,) = documents(open_source(tmp_path / name, "paper").candidates)
        ids.add(found["id"])
    assert len(ids) == 1


def by_title(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f["title"]: f for f in found.values() if isinstance(f, dict)}


def test_real_podcasts() -> None:
    found = loaded(open_source(shared("podcasts"), "paper").candidates)
    episodes = by_title(found)
    refused = [reason for reason in found.values() if isinstance(reason, str)]
    assert refused == ["not a feed: the XML is malformed in line 1, column 1"]
    assert sum(each["venue"] == "Gravity Assist" for each in episodes.values()) == 98
    own = [each for each in episodes.values() if each["venue"] == "Preserve This Podcast"]
    assert len(own) == 6
    assert all(each["passages"] and each["media_url"] for each in own)
    assert own[0]["duration"] == 4 * 60 + 52
    words = " ".join(p["text"] for p in episodes["Episode 2: Get Organized"]["passages"])
    assert "MOLLY:" in words
