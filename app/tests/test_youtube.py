from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loading import documents, loaded
from local_web import LocalWeb, answer, fetcher, local_web

from research_app.refusal import RefusedError
from research_app.sources import open_source, youtube
from research_app.sources.document import Candidate, Refusal, Total
from research_app.sources.tools import Tools
from research_app.sources.youtube import YtDlp, captions, is_youtube, read_address

VTT = """WEBVTT
Kind: captions
Language: en

00:00:00.000 --> 00:00:02.000 align:start position:0%
~
so<00:00:00.400><c> zebras</c><00:00:01.000><c> count</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
so zebras count
~

00:00:02.010 --> 00:00:04.000 align:start position:0%
so zebras count
their<00:00:02.500><c> stripes</c>
""".replace("~", " ")  # as there: a line with a space in it

URL = "https://www.youtube.com/watch?v=Ahg8OBYixL0"


def info(**changes: Any) -> dict[str, Any]:
    """The keys, and the kinds of values, that yt-dlp gives for a video."""
    return {
        "_type": "video",
        "id": "Ahg8OBYixL0",
        "extractor_key": "Youtube",
        "webpage_url": URL,
        "title": "A prototype",
        "description": "All of this,\nin 1992!",
        "uploader": "A maker",
        "channel": "The channel",
        "upload_date": "20070913",
        "release_date": None,
        "duration": 591,
        "thumbnail": None,
        "language": None,
        "subtitles": {},
        "automatic_captions": {},
        "formats": [{"format_id": "18", "url": "https://example.org/never-asked"}],
        "is_live": None,
        **changes,
    }


class Told:
    """Answers what it was told to answer."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found

    def information(self, _: str) -> dict[str, Any]:
        return self.found


@pytest.fixture
def web() -> Iterator[LocalWeb]:
    with local_web() as server:
        yield server


TOOLS = Tools(fetcher=fetcher())


def test_a_video_and_what_is_said_in_it(web: LocalWeb) -> None:
    """The captions are YouTube's own rolling ones."""
    web.routes["/en.vtt"] = answer(VTT.encode(), "text/vtt")
    tracks = {"en": [{"ext": "json3", "url": "x"}, {"ext": "vtt", "url": f"{web.url}/en.vtt"}]}
    told = Told(info(automatic_captions=tracks))
    (found,) = documents(read_address(URL, "paper", TOOLS, informant=told))
    assert found == {
        "id": "youtube-Ahg8OBYixL0",
        "kind": "video",
        "title": "A prototype",
        "abstract": "All of this, in 1992!",
        "passages": ({"text": "so zebras count their stripes", "start": 0.0},),
        "authors": ("A maker",),
        "year": 2007,
        "venue": "The channel",
        "url": URL,
        "language": "en",
        "duration": 591,
    }
    assert [path for path, _ in web.asked] == ["/en.vtt"]


def track(name: str, form: str = "vtt") -> list[dict[str, str]]:
    return [{"ext": "json3", "url": "no"}, {"ext": form, "url": name}]


@pytest.mark.parametrize(
    ("changes", "best"),
    [
        ({}, ("", "")),
        ({"subtitles": {"en": track("a")}, "automatic_captions": {"en": track("b")}}, ("en", "a")),
        ({"subtitles": {"de": track("a"), "en-GB": track("b")}}, ("en-GB", "b")),
        ({"language": "de", "subtitles": {"en": track("a"), "de": track("b")}}, ("de", "b")),
        ({"language": "de-AT", "subtitles": {"fr": track("a"), "en": track("b")}}, ("en", "b")),
        ({"automatic_captions": {"en-orig": track("a"), "fr": track("b")}}, ("en-orig", "a")),
        ({"language": "de", "automatic_captions": {"en": track("a")}}, ("", "")),
        ({"subtitles": {"en": track("a", "ttml")}}, ("", "")),
        ({"subtitles": {"en": track("a", "srt")}}, ("en", "a")),
        ({"subtitles": {"live_chat": [{"ext": "json", "url": "x"}]}}, ("", "")),
        ({"subtitles": None}, ("", "")),
        (
            {
                "language": "en",
                "subtitles": {"de": track("a")},
                "automatic_captions": {"en": track("b")},
            },
            ("en", "b"),
        ),
        (
            {"subtitles": {"en": track("a")}, "automatic_captions": {"de-orig": track("b")}},
            ("de-orig", "b"),
        ),
        ({"language": "en", "subtitles": {"de": track("a"), "en": None}}, ("de", "a")),
    ],
)
def test_the_best_captions(changes: dict[str, Any], best: tuple[str, str]) -> None:
    assert captions(info(**changes)) == best


def test_a_list_of_videos(web: LocalWeb) -> None:
    """One that is private, or whose captions lead into the private network, hides no other."""
    entries = [
        info(),
        None,
        {"id": None, "title": "[Private video]", "webpage_url": "https://youtu.be/private"},
        info(id="bbbbbbbbbbb", subtitles={"en": track("http://10.0.0.1/t.vtt")}, webpage_url="b"),
        info(id="ccccccccccc", title="", webpage_url="c"),
        info(id="ddddddddddd", webpage_url="d"),
    ]
    url = "https://www.youtube.com/playlist?list=PL1"
    found = loaded(read_address(url, "video", TOOLS, informant=Told({"entries": entries})))
    assert [each["id"] for each in found.values() if isinstance(each, dict)] == [
        "youtube-Ahg8OBYixL0",
        "youtube-ddddddddddd",
    ]
    reasons = [each for each in found.values() if isinstance(each, str)]
    assert sum(reason.startswith("not a video that can be seen") for reason in reasons) == 1
    assert "the video is private" in reasons
    assert sum("10.0.0.1 leads into a private network" in reason for reason in reasons) == 1
    assert "no title" in reasons


class Library:
    """Answers by address; what it does not have is refused."""

    def __init__(self, **found: dict[str, Any]) -> None:
        self.found = {f"https://www.youtube.com/{name}": each for name, each in found.items()}
        self.asked: list[str] = []

    def information(self, url: str) -> dict[str, Any]:
        self.asked.append(url)
        if url not in self.found:
            raise RefusedError("YouTube does not show it: This video has been removed")
        return self.found[url]


def flat(identity: str, name: str, **changes: Any) -> dict[str, Any]:
    """What yt-dlp gives for a video of a list that it has not looked at."""
    address = f"https://www.youtube.com/{name}"
    return {"_type": "url", "id": identity, "url": address, "title": f"Of {name}", **changes}


def tab(*entries: dict[str, Any] | None, **changes: Any) -> dict[str, Any]:
    return {"_type": "playlist", "id": "UC1", "entries": list(entries), **changes}


def test_the_tabs_of_a_channel_are_lists_of_its_videos() -> None:
    """Some are there with their videos, some by their address; a video in two is one."""
    unread = {"_type": "url", "id": None, "url": "https://www.youtube.com/shorts"}
    asked = Library(
        channel=tab(tab(info(), info(id="bbbbbbbbbbb")), tab(info()), unread),
        shorts=tab(flat("ccccccccccc", "c"), flat("ddddddddddd", "d")),
        c=info(id="ccccccccccc"),
        d=info(id="ddddddddddd"),
    )
    total = Total()
    url = "https://www.youtube.com/channel"
    found = list(read_address(url, "video", TOOLS, total, asked))
    assert [each.id for each in found if isinstance(each, Candidate)] == [
        "youtube-Ahg8OBYixL0",
        "youtube-bbbbbbbbbbb",
        "youtube-ccccccccccc",
        "youtube-ddddddddddd",
    ]
    assert total.count == len(found) == 4


def test_a_tab_that_cannot_be_had_hides_no_other() -> None:
    gone = {"_type": "url", "url": "https://www.youtube.com/gone"}
    elsewhere = {"_type": "url", "url": "https://example.org/list"}
    asked = Library(channel=tab(gone, elsewhere, tab(info())))
    found = list(read_address("https://www.youtube.com/channel", "video", TOOLS, None, asked))
    assert [each.reason for each in found if isinstance(each, Refusal)] == [
        "YouTube does not show it: This video has been removed",
        "it is not on YouTube",
    ]
    assert sum(isinstance(each, Candidate) for each in found) == 1


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (flat("bbbbbbbbbbb", "b", availability="subscriber_only"), '"Of b": the video is for memb'),
        (flat("bbbbbbbbbbb", "b", availability="private"), '"Of b": the video is private'),
        (flat("bbbbbbbbbbb", "b", live_status="is_live"), '"Of b": the video is live: read it ag'),
        (flat("bbbbbbbbbbb", "b", live_status="is_upcoming"), '"Of b": the video is yet to come'),
        (flat("bbbbbbbbbbb", "b", title="[Private video]"), "the video is private"),
        (flat("bbbbbbbbbbb", "b", title="[Deleted video]"), "the video was removed"),
        (flat("bbbbbbbbbbb", "b"), "YouTube does not show it: This video has been removed"),
        (flat("bbbbbbbbbbb", "live"), '"A prototype": the video is live: read it again when'),
        (info(is_live=True), '"A prototype": the video is live'),
        (info(live_status="post_live"), '"A prototype": the video was live, and YouTube is not'),
        (None, "not a video that can be seen"),
    ],
)
def test_what_cannot_be_seen_is_refused_singly(entry: dict[str, Any] | None, reason: str) -> None:
    asked = Library(
        list=tab(entry, info(id="ddddddddddd")), live=info(live_status="is_live", is_live=True)
    )
    bad, good = read_address("https://www.youtube.com/list", "video", TOOLS, None, asked)
    assert isinstance(bad, Refusal)
    assert bad.reason.startswith(reason)
    assert isinstance(good, Candidate)


def test_the_end_of_an_endless_list_is_said() -> None:
    entries = [flat(f"{number:011}", "x") for number in range(youtube.MAX_VIDEOS + 5)]
    asked = Library(list=tab(*entries))
    *_, last = read_address("https://www.youtube.com/list", "video", TOOLS, None, asked)
    assert isinstance(last, Refusal)
    assert last.reason == "of a list the first 500 videos are read; the rest is not"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (URL, True),
        ("https://youtu.be/Ahg8OBYixL0", True),
        ("http://m.youtube.com/watch?v=x", True),
        ("https://youtube.com.example.org/watch?v=x", False),
        ("https://example.org/youtube.com", False),
        ("https://notyoutube.com/", False),
        ("https://", False),
    ],
)
def test_addresses_of_youtube(url: str, expected: bool) -> None:
    assert is_youtube(url) is expected


def test_a_site_without_the_web_or_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "switched off" in str(loaded(open_source(URL, "paper").candidates)[URL])
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = loaded(open_source(URL, "paper", TOOLS).candidates)
    assert "the extra youtube is missing" in str(found[URL])


def test_what_yt_dlp_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real library with its connection cut: options are taken, errors are sentences."""
    yt_dlp = pytest.importorskip("yt_dlp")
    asked: list[dict[str, Any]] = []

    def extract(self: Any, url: str, download: bool) -> dict[str, Any]:
        asked.append({"url": url, "download": download, "skip": self.params["skip_download"]})
        assert self.get_info_extractor("Youtube")
        if "gone" in url:
            raise yt_dlp.utils.DownloadError(
                "ERROR: [youtube] Ahg8OBYixL0: Video unavailable. Please sign in"
            )
        return info(requested_formats=iter(()))

    monkeypatch.setattr(yt_dlp.YoutubeDL, "extract_info", extract)
    assert YtDlp().information(URL)["title"] == "A prototype"
    assert asked == [{"url": URL, "download": False, "skip": True}]
    with pytest.raises(RefusedError, match=r"^YouTube does not show it: Video unavailable$"):
        YtDlp().information(URL + "&gone")
    assert "yt_dlp" in sys.modules
    assert not list(tmp_path.iterdir())


def test_other_sites_are_not_asked() -> None:
    """yt-dlp knows a thousand sites; it may ask one, and no redirect makes it ask another."""
    pytest.importorskip("yt_dlp")
    with pytest.raises(RefusedError, match="YouTube does not show it"):
        YtDlp().information("http://127.0.0.1:9/video.mp4")
    assert youtube.HOSTS
