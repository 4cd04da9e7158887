from __future__ import annotations

import dataclasses
import io
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from films import film
from loading import documents, loaded
from local_web import LocalWeb, answer, fetcher, local_web
from PIL import Image
from reading import AtHand, reading
from shared_data import shared

from research_app.extract import media
from research_app.extract.caption_forms import Cue
from research_app.extract.kinds import KINDS
from research_app.files import FileStore
from research_app.pictures import WIDTH, Pictures, small
from research_app.refusal import RefusedError
from research_app.settings import Speech
from research_app.sources import open_source
from research_app.sources.document import Candidate
from research_app.sources.recording import Recording, candidate
from research_app.sources.tools import Tools
from research_app.speech import whisper

VTT = "WEBVTT\n\n00:01.000 --> 00:03.000\nZebras count their stripes.\n"


class Listener:
    """Hears the same in everything."""

    name = "listener"

    def __init__(self) -> None:
        self.heard: list[str] = []

    def recognise(self, path: Path) -> list[Cue]:
        self.heard.append(path.name)
        return [Cue(2, 3, "I hear zebras.")]


@pytest.fixture(params=["ffmpeg", "pyav"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "ffmpeg" and not media.has_ffmpeg():
        pytest.skip("ffmpeg is not installed")
    monkeypatch.setattr(media, "has_ffmpeg", lambda: request.param == "ffmpeg")
    return str(request.param)


def colour(picture: bytes) -> str:
    with Image.open(io.BytesIO(picture)) as image:
        red, _, blue = image.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return "red" if red > blue else "blue"


@pytest.mark.usefixtures("reader")
def test_what_a_film_says_of_itself(tmp_path: Path) -> None:
    facts = media.facts(film(tmp_path / "it's a film; $(x).mp4"), AtHand())
    assert facts.duration == pytest.approx(4, abs=0.3)
    assert facts.picture is not None
    assert colour(facts.picture) == "red"


@pytest.mark.usefixtures("reader")
def test_a_sound_has_no_picture() -> None:
    facts = media.facts(shared("audio/jfk.mp3"), AtHand())
    assert facts.duration == pytest.approx(11, abs=0.2)
    assert facts.picture is None


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"%PDF-1.7", "not a recording, whatever its name says"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\nfile:///etc/passwd\n", "not a recording"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not a recording"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 500, "damaged: no sound and no picture"),
        (b"ID3\x04" + os.urandom(600), "damaged: no sound and no picture"),
    ],
)
def test_files_that_are_no_recordings(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(content)
    with pytest.raises(RefusedError, match=reason):
        media.facts(path, AtHand())


@pytest.mark.usefixtures("reader")
def test_a_playlist_in_disguise_opens_nothing(tmp_path: Path) -> None:
    """What begins as a recording and is a playlist in the eyes of a lenient reader."""
    film(tmp_path / "secret.mp4")
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"ID3#EXTM3U\n#EXTINF:4,\nsecret.mp4\n#EXT-X-ENDLIST\n")
    with pytest.raises(RefusedError, match="damaged"):
        media.facts(path, AtHand())


def test_a_host_without_any_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "has_ffmpeg", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x18ftypisom")
    assert media.facts(path, AtHand()) == media.Facts()


def test_a_tool_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "ffprobe"
    tool.write_text("#!/bin/sh\nexec sleep 30\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(media, "has_ffmpeg", lambda: True)
    monkeypatch.setattr(media, "SECONDS", 0.3)
    with pytest.raises(RefusedError, match="reading it takes over"):
        media.facts(film(tmp_path / "a.mp4"), AtHand())


def test_a_folder_of_films(tmp_path: Path) -> None:
    folder, kept = tmp_path / "films", tmp_path / "kept"
    folder.mkdir()
    film(folder / "01_one.mp4")
    (folder / "01_one.de.vtt").write_text(VTT.replace("Zebras", "Gnus"))
    (folder / "01_one.en.vtt").write_text(VTT)
    film(folder / "two.MP4", sound=False)
    (folder / "three.mp4").write_text("not a film")
    (folder / "four.mp4").touch()
    (folder / "other.vtt").write_text(VTT)
    (folder / "metadata.jsonl").write_text('{"file": "two.MP4", "id": "2", "title": "Two!"}')
    listener = Listener()
    tools = Tools(recogniser=listener)
    found = loaded(open_source(folder, "paper", tools).candidates, kept)
    assert found.pop("three.mp4") == "not a recording, whatever its name says"
    assert found.pop("four.mp4") == "the file is empty"
    one, two, other = (found[name] for name in ("01_one.mp4", "two.MP4", "other.vtt"))
    assert isinstance(one, dict)
    assert isinstance(two, dict)
    assert isinstance(other, dict)
    assert (one["title"], one["language"], one["kind"]) == ("one", "en", "video")
    assert one["passages"][0] == {"text": "Zebras count their stripes.", "start": 1.0}
    assert one["duration"] == pytest.approx(4, abs=0.3)
    store = FileStore(kept)
    assert store.path(one["file"]).read_bytes() == (folder / "01_one.mp4").read_bytes()
    assert one["file"].endswith(".mp4")
    assert store.path(one["thumbnail"]).read_bytes().startswith(b"\xff\xd8")
    assert (two["id"], two["title"], two["file"][-4:]) == ("2", "Two!", ".mp4")
    assert two["passages"] == ({"text": "I hear zebras.", "start": 2.0},)
    assert listener.heard == ["two.MP4"]
    assert "file" not in other
    assert len(found) == 3


def test_a_recogniser_that_comes_later_hears_what_was_not_heard(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    film(tmp_path / "b.mp4", 3)
    (tmp_path / "b.vtt").write_text(VTT)

    def hashes(tools: Tools) -> list[str]:
        found = open_source(tmp_path, "paper", tools).candidates
        return [item.content_hash for item in found if isinstance(item, Candidate)]

    before, after = hashes(Tools()), hashes(Tools(recogniser=Listener()))
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_recordings_in_catalogues_and_beside_feeds(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    film(tmp_path / "ep 1.m4a", 3)
    (tmp_path / "items.jsonl").write_text(
        '{"id": "a", "title": "A", "file": "a.mp4"}\n{"id": "b", "title": "B", "file": "b.mp4"}\n'
    )
    (tmp_path / "feed.rss").write_text(
        "<rss><channel><title>T</title><item><title>One</title>"
        '<enclosure url="https://example.org/x/ep%201.m4a"/></item></channel></rss>'
    )
    tools = Tools(recogniser=Listener())
    found = loaded(open_source(tmp_path, "paper", tools).candidates, tmp_path / "kept")
    assert found["items.jsonl:2"] == "its recording is not there: b.mp4"
    for source in ("items.jsonl:1", "feed.rss:1"):
        fields = found[source]
        assert isinstance(fields, dict)
        assert fields["passages"] == ({"text": "I hear zebras.", "start": 2.0},)
        assert fields["file"]
    assert len(found) == 3


def web_feed(web: LocalWeb, *names: str) -> str:
    """A feed of episodes of those file names, without transcripts."""
    items = "".join(
        f"<item><title>{name}</title><guid>{name}</guid><enclosure url='{name}'/></item>"
        for name in names
    )
    text = f"<rss><channel><title>T</title>{items}</channel></rss>"
    web.routes["/feed"] = answer(text.encode(), "application/rss+xml")
    return f"{web.url}/feed"


def test_an_episode_that_lies_on_the_web_is_heard_and_not_kept(tmp_path: Path) -> None:
    with local_web() as web:
        recording = film(tmp_path / "one.m4a", 3).read_bytes()
        web.routes["/one.m4a"] = answer(recording, "audio/mp4")
        web.routes["/large.m4a"] = answer(recording * 2, "audio/mp4")
        web.routes["/page.mp3"] = answer(b"<html>Not here any more", "text/html")
        url = web_feed(web, "one.m4a", "gone.m4a", "large.m4a", "page.mp3", "page.html")
        listener = Listener()
        tools = Tools(fetcher(recording_max_bytes=len(recording)), recogniser=listener)
        found = loaded(open_source(url, "paper", tools).candidates, tmp_path / "kept")
    one, gone, large, page, other = found.values()
    assert isinstance(one, dict)
    assert one["passages"] == ({"text": "I hear zebras.", "start": 2.0},)
    assert one["duration"] == pytest.approx(3, abs=0.3)
    assert one["media_url"] == f"{web.url}/one.m4a"
    assert "file" not in one
    assert listener.heard == ["recording.m4a"]
    assert gone == "its recording cannot be had: 127.0.0.1 answers 404 (not found)"
    assert str(large).startswith("its recording cannot be had: 127.0.0.1 sends more than")
    assert page == "not a recording, whatever its name says"
    assert isinstance(other, dict), "an enclosure that is no recording is not fetched"


@pytest.mark.parametrize("changes", [{"recording_max_bytes": 0}, {"enabled": False}])
def test_a_site_may_do_without_recordings_from_the_web(changes: dict[str, Any]) -> None:
    with local_web() as web:
        recording = Recording("a", "podcast", "feed:1", {"title": "A"})
        heard = dataclasses.replace(recording, media_address=f"{web.url}/one.m4a")
        tools = Tools(fetcher(**changes), recogniser=Listener())
        (fields,) = loaded([candidate(heard, tools)]).values()
        assert isinstance(fields, dict)
        assert "passages" not in fields
        assert web.asked == []
        same = candidate(recording, tools).content_hash
        assert candidate(heard, tools).content_hash == same
        able = Tools(fetcher(), recogniser=Listener())
        assert candidate(heard, able).content_hash != same, "it is heard once it may be"


def image(width: int, height: int, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, form)
    return buffer.getvalue()


def test_small_pictures() -> None:
    for form in ("PNG", "JPEG", "WEBP", "GIF"):
        with Image.open(io.BytesIO(small(image(1000, 500, form)))) as made:
            assert (made.format, made.size) == ("JPEG", (WIDTH, WIDTH // 2))
    for content in (b"", b"<svg/>", image(90, 90)[:60], image(20, 20, "TIFF")):
        with pytest.raises(RefusedError, match="not a picture"):
            small(content)
    with pytest.raises(RefusedError):
        small(image(9000, 9000))


def test_pictures_of_episodes(tmp_path: Path) -> None:
    with local_web() as web:
        web.routes["/show.png"] = answer(image(900, 900), "image/png")
        web.routes["/1.png"] = answer(b"no picture", "image/png")
        episode = "<item><title>{0}</title><guid>{0}</guid>{1}</item>"
        picture = '<itunes:image href="{}"/>'
        (tmp_path / "feed.rss").write_text(
            '<rss xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel>'
            f"<title>T</title>{picture.format(web.url + '/show.png')}"
            + episode.format("1", picture.format(web.url + "/1.png"))
            + episode.format("2", "")
            + episode.format("3", "")
            + episode.format("4", picture.format("http://10.0.0.1/4.png"))
            + episode.format("5", picture.format("http://10.0.0.1/5.png"))
            + "</channel></rss>"
        )
        asking = fetcher()
        tools = Tools(fetcher=asking, pictures=Pictures(asking))
        found = documents(open_source(tmp_path, "paper", tools).candidates, tmp_path / "kept")
        assert [bool(each.get("thumbnail")) for each in found] == [False, True, True, False, False]
        assert sorted(path for path, _ in web.asked) == ["/1.png", "/show.png"]


@pytest.fixture(scope="module")
def ears() -> whisper.WhisperRecogniser:
    found = whisper.recogniser(Speech())
    if found is None:
        pytest.skip("the speech extra is not installed")
    return found


def words(text: str) -> list[str]:
    kept = "".join(letter for letter in text.lower() if letter.isalpha() or letter in " -")
    return kept.replace("-", " ").split()


@pytest.mark.parametrize("name", ["jfk.flac", "jfk.mp3", "jfk.wav"])
def test_a_speech_is_heard_word_for_word(ears: whisper.WhisperRecogniser, name: str) -> None:
    heard = ears.recognise(shared("audio") / name)
    assert words(" ".join(cue.text for cue in heard)) == words(
        "And so, my fellow Americans: ask not what your country can do for you,"
        " ask what you can do for your country."
    )
    assert 0 <= heard[0].start < heard[-1].start < heard[-1].end < 12


def test_a_book_read_aloud_is_heard_well(ears: whisper.WhisperRecogniser) -> None:
    for path in sorted(shared("audio").glob("sense*.wav")):
        heard = words(" ".join(cue.text for cue in ears.recognise(path)).replace("Mr.", "mister"))
        said = words(path.with_suffix(".txt").read_text())
        assert errors(said, heard) / len(said) <= 0.3, path.name


def errors(said: list[str], heard: list[str]) -> int:
    """The words that were put in, left out or mistaken."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(said, 1):
        last, row[0] = row[0], at
        for to, other in enumerate(heard, 1):
            last, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, last + (word != other))
    return row[-1]


def test_what_cannot_be_heard(ears: whisper.WhisperRecogniser, tmp_path: Path) -> None:
    silent = film(tmp_path / "silent.mp4", sound=False)
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"ID3\x04" + b"\0" * 500)
    text = tmp_path / "text.mp3"
    text.write_text("hello")
    short = whisper.WhisperRecogniser(Speech(max_minutes=0.1), ears._model)
    for listener, path, reason in (
        (ears, silent, "there is no sound in it"),
        (ears, broken, "its sound cannot be read"),
        (ears, text, "not a recording"),
        (short, shared("audio/jfk.wav"), r"longer than 0\.1 minutes"),
    ):
        with pytest.raises(RefusedError, match=reason):
            listener.recognise(path)


def test_a_tone_is_no_speech(ears: whisper.WhisperRecogniser, tmp_path: Path) -> None:
    assert ears.recognise(film(tmp_path / "tone.mp4")) == []


def test_models_that_are_not_the_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE")
    model = tmp_path / "model"
    model.mkdir()
    settings = Speech(model_directory=str(model), model_sha256="0" * 64)
    with pytest.raises(RefusedError, match="there is no speech model in"):
        whisper.WhisperRecogniser(settings, model).recognise(path)
    (model / "model.bin").write_bytes(b"x")
    with pytest.raises(RefusedError, match="not the one that the settings expect"):
        whisper.WhisperRecogniser(settings, model).recognise(path)
    with pytest.raises(RefusedError, match="not the one that the settings expect"):
        whisper.WhisperRecogniser(Speech(), model).recognise(path)  # the package's, exchanged


def test_off_by_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert whisper.recogniser(Speech(enabled=False)) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert whisper.recogniser(Speech()) is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.abort(); yield", "damaged: it crashes its reader"),
        ("yield 'noise'", "damaged: what its reader says of it makes no sense"),
        ("time.sleep(30); yield", "reading it takes over 1 seconds"),
    ],
)
def test_a_listener_that_dies_or_hangs(tmp_path: Path, code: str, reason: str) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.bin").write_bytes(b"x")
    recording = tmp_path / "a.wav"
    recording.write_bytes(b"RIFF\0\0\0\0WAVE")
    settings = Speech(model_directory=str(tmp_path / "model"))
    stand_in = f"def hear(file, options):\n    {code}\nREADERS['speech'] = hear"
    hurried = dataclasses.replace(KINDS["speech"], silent_seconds=1)
    with reading(tmp_path, stand_in, speech=hurried) as (extraction, _):
        listener = whisper.WhisperRecogniser(settings, tmp_path / "model", extraction)
        with pytest.raises(RefusedError, match=reason):
            listener.recognise(recording)


def test_long_recordings_are_heard_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece ends in a pause; together they are the whole."""
    np = pytest.importorskip("numpy")
    from research_app.speech import hearing

    loud = np.ones(16_000 * 3, np.float32)
    quiet = np.zeros(16_000, np.float32)
    sound = np.concatenate([loud, quiet] * 10)
    monkeypatch.setattr(hearing, "PIECE", 16_000 * 10)
    monkeypatch.setattr(hearing, "LOOK_BACK", 16_000 * 5)
    monkeypatch.setattr(hearing, "_samples", lambda _: iter(np.split(sound, 400)))
    found = list(hearing.pieces(io.BytesIO(), 1000))
    assert len(found) > 3
    assert np.array_equal(np.concatenate([piece for _, piece in found]), sound)
    for start, piece in found[1:]:
        assert sound[int(start * 16_000)] == 0
        assert len(piece) <= 16_000 * 11
    with pytest.raises(RefusedError, match=r"longer than 0\.1 minutes"):
        list(hearing.pieces(io.BytesIO(), 6))


def test_ffmpeg_is_found_where_it_is() -> None:
    media.has_ffmpeg.cache_clear()
    assert media.has_ffmpeg() == bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))
