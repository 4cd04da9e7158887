from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from loading import documents, loaded
from shared_data import shared

from research_app.sources import open_source
from research_app.sources.caption_names import best, of_each, understood
from research_app.sources.document import Candidate, Refusal
from research_app.sources.recording_folder import title_of

SRT = "1\n00:00:01,000 --> 00:00:02,500\nZebras count their stripes.\n"


def catalogue(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "items.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def test_a_catalogue_with_captions(tmp_path: Path) -> None:
    (tmp_path / "srt").mkdir()
    (tmp_path / "srt/a.srt").write_text(SRT)
    url = "https://www.youtube.com/watch?v=abc"
    record = {"id": "abc", "title": "Zebras", "url": url, "vtt": "vtt/a.vtt", "srt": "srt/a.srt"}
    (found,) = documents(open_source(catalogue(tmp_path, record), "paper").candidates)
    assert found == {
        "id": "abc",
        "kind": "video",
        "title": "Zebras",
        "url": url,
        "duration": 2.5,
        "passages": ({"text": "Zebras count their stripes.", "start": 1.0},),
    }


BAD_RECORDS = [
    ({"id": "b", "title": "B", "srt": "none.srt"}, "its captions are not there: none.srt"),
    ({"id": "b", "title": "B", "srt": "../../../etc/x.srt"}, "it names a file outside of its"),
    ({"id": "b", "title": "B", "srt": "/etc/x.srt"}, "it names a file outside of its folder"),
    ({"id": "b", "title": "B", "srt": "x\u0000.srt"}, "it names a file outside of its folder"),
    ({"title": "B", "srt": "a.srt"}, "no id"),
    ({"id": "b", "srt": "a.srt"}, "no title"),
    ({"id": "b", "title": "B", "srt": "empty.srt"}, "the file is empty"),
    (
        {"id": "b", "title": "B", "srt": "broken.srt"},
        "no captions: none of them can be read (line 2: ",
    ),
    ({"id": "b", "title": "B", "srt": "picture.srt"}, "not a text, whatever its name says"),
    ({"id": "b", "title": "B", "srt": "folder.srt"}, "its captions are not there"),
    ({"id": "b", "title": "B", "srt": "a.srt", "url": "javascript:x"}, "url: is not an http"),
    ([], "not a JSON object"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_RECORDS)
def test_a_bad_record_never_stops_the_others(tmp_path: Path, bad: Any, reason: str) -> None:
    (tmp_path / "a.srt").write_text(SRT)
    (tmp_path / "empty.srt").touch()
    (tmp_path / "broken.srt").write_text("1\n00:00:xx --> 1\nx")
    (tmp_path / "picture.srt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (tmp_path / "folder.srt").mkdir()
    path = catalogue(tmp_path, {"id": "a", "title": "A", "srt": "a.srt"}, bad)
    found = loaded(open_source(path, "video").candidates)
    assert isinstance(found["items.jsonl:1"], dict)
    assert str(found["items.jsonl:2"]).startswith(reason)


def test_captions_without_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "03_What-is-a-zebra.en-US.srt").write_text(SRT)
    (tmp_path / "bad.vtt").write_text("WEBVTT\n\nx --> y")
    found = loaded(open_source(tmp_path, "paper").candidates)
    assert found["bad.vtt"] == "no captions: there is not one in it"
    good = found["03_What-is-a-zebra.en-US.srt"]
    assert isinstance(good, dict)
    assert (good["title"], good["kind"], good["language"]) == ("What is a zebra", "video", "en-US")
    (alone,) = documents(
        open_source(tmp_path / "03_What-is-a-zebra.en-US.srt", "podcast").candidates
    )
    assert alone == good | {"kind": "podcast"}


def test_a_recording_with_one_bad_caption_is_taken_and_that_is_said(tmp_path: Path) -> None:
    bad = "\n\n2\n00:00:0x,000 --> 00:00:04,000\nlost"
    (tmp_path / "a.srt").write_text(SRT + bad)
    (found,) = documents(open_source(tmp_path, "video").candidates)
    assert found["passages"] == ({"text": "Zebras count their stripes.", "start": 1.0},)
    assert found["mended"] == [
        'line 7: "00:00:0x,000 --> 00:00:04,000" is not a time; its caption is left out'
    ]


NAMES = [
    ("lecture.vtt", "lecture", ""),
    ("lecture.en.vtt", "lecture", "en"),
    ("lecture.EN.vtt", "lecture", "en"),
    ("lecture.en_US.vtt", "lecture", "en-US"),
    ("lecture.zh-hant-tw.srt", "lecture", "zh-Hant-TW"),
    ("lecture.es-419.srt", "lecture", "es-419"),
    ("lecture.eng.srt", "lecture", "en"),
    ("lecture.German.srt", "lecture", "de"),
    ("lecture.en.sdh.vtt", "lecture", "en"),
    ("lecture.en-sdh.vtt", "lecture", "en"),
    ("lecture.en.hi.vtt", "lecture", "en"),
    ("lecture.hi.vtt", "lecture", "hi"),
    ("lecture.mp4.vtt", "lecture", ""),
    ("lecture.wav.en.vtt", "lecture", "en"),
    ("lecture.en.mp4.vtt", "lecture", "en"),
    ("lecture.en-orig.vtt", "lecture", "en"),
    ("lecture.auto.en.vtt", "lecture", "en"),
    ("lecture 1.2.vtt", "lecture 1.2", ""),
    ("what is.the.vtt", "what is.the", ""),
    ("en.vtt", "en", ""),
    (".en.vtt", ".en", ""),
]


@pytest.mark.parametrize(("name", "base", "language"), NAMES)
def test_what_the_name_of_captions_says(name: str, base: str, language: str) -> None:
    found = understood(Path(name))
    assert (found.base, found.language) == (base, language)


@pytest.mark.parametrize(
    "name",
    [name for name, base, _ in NAMES if base == "lecture"],
)
def test_a_recording_and_its_captions_are_one(name: str) -> None:
    recording = Path("lecture.mp4")
    assert [path for path, _ in of_each([recording], [Path(name)])[recording]] == [Path(name)]


def test_whose_captions_are() -> None:
    names = ("a.wav", "a.mp4", "a.en.mp4", "u\u0308.mp4")
    recordings = [Path(name) for name in names]
    captions = [Path(f"{name}.vtt") for name in ("a.wav", "a.de", "a.en", "b", "\u00fc")]
    found = of_each(recordings, captions)
    assert {path.name: [each.stem for each, _ in named] for path, named in found.items()} == {
        "a.wav": ["a.wav", "a.de"],
        "a.mp4": ["a.de"],
        "a.en.mp4": ["a.en"],
        "u\u0308.mp4": ["\u00fc"],
    }


@pytest.mark.parametrize(
    ("names", "spoken", "chosen"),
    [
        (["a.en.vtt", "a.vtt", "a.de.vtt"], "", "a.vtt"),
        (["a.de.vtt", "a.en.vtt", "a.fr.vtt"], "", "a.en.vtt"),
        (["a.fr.vtt", "a.de.vtt"], "", "a.de.vtt"),
        (["a.vtt", "a.en.vtt", "a.de.vtt"], "de-AT", "a.de.vtt"),
        (["a.vtt", "a.en.vtt", "a.ger.vtt"], "German", "a.ger.vtt"),
        (["a.en.auto.vtt", "a.en-GB.vtt"], "en", "a.en-GB.vtt"),
        (["a.en.auto.vtt", "a.de.vtt"], "en", "a.en.auto.vtt"),
        (["a.en.forced.vtt", "a.de.vtt"], "en", "a.de.vtt"),
        (["a.srt", "a.vtt"], "", "a.vtt"),
        (["a.en.srt", "a.en.sdh.vtt"], "", "a.en.sdh.vtt"),
    ],
)
def test_which_captions_of_several_are_taken(names: list[str], spoken: str, chosen: str) -> None:
    recording = Path("a.mp4")
    found = of_each([recording], [Path(name) for name in names])[recording]
    assert best(found, spoken)[0].name == chosen


@pytest.mark.parametrize(
    ("readers", "spoken", "chosen"),
    [("de", "", "a.de.vtt"), ("deu", "", "a.de.vtt"), ("de", "fr", "a.fr.vtt")],
)
def test_captions_for_readers_of_another_language(readers: str, spoken: str, chosen: str) -> None:
    recording = Path("a.mp4")
    names = [Path(f"a.{language}.vtt") for language in ("de", "en", "fr")]
    found = of_each([recording], names)[recording]
    assert best(found, spoken, readers)[0].name == chosen


def test_a_catalogue_that_names_captions_in_several_languages(tmp_path: Path) -> None:
    (tmp_path / "a.en.srt").write_text(SRT)
    (tmp_path / "a.de.srt").write_text(SRT.replace("Zebras count", "Zebras rechnen"))
    record = {"id": "a", "title": "A", "captions": ["a.en.srt", "a.de.srt"], "language": "de"}
    (found,) = documents(open_source(catalogue(tmp_path, record), "video").candidates)
    assert found["passages"][0]["text"].startswith("Zebras rechnen")
    assert len(documents(open_source(tmp_path, "video").candidates)) == 1


def test_a_folder_of_anything(tmp_path: Path) -> None:
    below = tmp_path / "lectures"
    below.mkdir()
    (below / "a.srt").write_text(SRT)
    catalogue(below, {"id": "a", "title": "A", "srt": "a.srt"})
    (tmp_path / "more.jsonl").write_text('{"id": "talk", "title": "T", "description": "d"}\n')
    (tmp_path / "metadata.jsonl").write_text('{"file": "x.pdf", "id": "no"}\n')
    (tmp_path / "alone.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nwords")
    (tmp_path / "notes.txt").write_text("not mine")
    found = documents(open_source(tmp_path, "video").candidates)
    assert [item["title"] for item in found] == ["A", "T", "alone"]


def test_what_was_read_once_is_known_again(tmp_path: Path) -> None:
    def hashes() -> list[str]:
        items = list(open_source(tmp_path, "video").candidates)
        assert not [item for item in items if isinstance(item, Refusal)]
        return [item.content_hash for item in items if isinstance(item, Candidate)]

    captions = tmp_path / "a.srt"
    captions.write_text(SRT)
    catalogue(tmp_path, {"id": "a", "title": "A", "srt": "a.srt"})
    before = hashes()
    assert hashes() == before
    captions.write_text(SRT.replace("count", "paint"))
    assert hashes() != before


@pytest.mark.parametrize(
    ("stem", "title"),
    [
        ("03_what-is-a-token", "what is a token"),
        ("lecture_12", "lecture 12"),
        ("1984", "1984"),
        ("2019-01 Opening", "2019 01 Opening"),
        ("___", "___"),
    ],
)
def test_titles_from_names(stem: str, title: str) -> None:
    assert title_of(stem) == title


def test_the_real_lectures() -> None:
    found = loaded(open_source(shared("videos/lectures"), "video").candidates)
    taken = [fields for fields in found.values() if isinstance(fields, dict)]
    refused = [reason for reason in found.values() if isinstance(reason, str)]
    assert (len(taken), len(refused)) == (60, 22)
    assert all(reason.startswith("its captions are not there") for reason in refused)
    assert all(fields["passages"] and fields["url"] for fields in taken)
