"""A video or an episode: its transcript, its file, and what is known of both."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import orjson

from research_app.extract import TRANSCRIPTION, media
from research_app.extract.decoding import MAX_BYTES
from research_app.extract.passages import from_cues
from research_app.extract.transcripts import Form
from research_app.files import FileStore
from research_app.refusal import ReaderAwayError
from research_app.sources.document import (
    Candidate,
    Kind,
    RefusedError,
    Workshop,
    content_hash,
    validated,
)
from research_app.sources.tools import Tools
from research_app.speech import Recogniser

MAX_MEDIA_BYTES = 16 * 2**30
LONGEST_CHARSET = 40


@dataclass(frozen=True, slots=True)
class Transcript:
    """Where a transcript is, a file or an address, and the form it has."""

    place: Path | str
    form: Form


@dataclass(frozen=True, slots=True)
class Recording:
    """What a source knows of one recording."""

    id: str
    kind: Kind
    source: str
    fields: dict[str, Any]
    transcript: Transcript | None = None
    media: Path | None = None
    # where it can be fetched from, to be heard, where it does not lie here
    media_address: str = ""
    picture: str = ""


def inside(folder: Path, name: str) -> Path:
    """A file that a text beside it names; never one outside of that folder."""
    try:
        path = (folder / name).resolve()
        within = path.is_relative_to(folder.resolve())
    except (OSError, ValueError):
        within = False
    if not within:
        raise RefusedError(f"it names a file outside of its folder: {name[:200]}")
    return path


def identity(prefix: str, path: Path) -> str:
    """An id for a file that brings none along: the same whatever its name is."""
    with path.open("rb") as file:
        return f"{prefix}-{hashlib.file_digest(file, 'sha256').hexdigest()[:20]}"


def media_kind(kind: Kind, usual: Kind) -> Kind:
    """The kind of a recording: what the librarian says, unless that is not said."""
    return usual if kind == "paper" else kind


def candidate(recording: Recording, tools: Tools) -> Candidate:
    """One recording; what is in its files is looked at only when something is new."""
    transcript = recording.transcript
    if transcript and isinstance(transcript.place, str) and not tools.has_web:
        recording = dataclasses.replace(recording, transcript=None)

    async def load(workshop: Workshop) -> dict[str, Any]:
        return await asyncio.to_thread(_Loading(recording, tools, workshop.files).fields)

    return Candidate(
        recording.id,
        recording.kind,
        recording.source,
        content_hash(*_identifying(recording, tools)),
        load,
    )


def _identifying(recording: Recording, tools: Tools) -> Iterator[bytes]:
    """What a recording is made of: when any of it changes, it is taken again."""
    described: list[Any] = [TRANSCRIPTION, recording.kind, recording.fields]
    if transcript := recording.transcript:
        described.append(transcript.form)
        if isinstance(transcript.place, Path):
            yield _content(transcript.place)
        else:
            described.append(transcript.place)
    if recording.media:
        yield _digest(recording.media).encode()
        if tools.recogniser and not transcript:
            described.append(tools.recogniser.name)
    elif (ears := tools.hears_the_web) and recording.media_address and not transcript:
        described += [recording.media_address, ears.name]
    yield orjson.dumps(described, option=orjson.OPT_SORT_KEYS)


class _Loading:
    """The expensive part, cheapest first: what is refused is refused early."""

    def __init__(self, recording: Recording, tools: Tools, files: FileStore) -> None:
        self._recording = recording
        self._tools = tools
        self._files = files

    def fields(self) -> dict[str, Any]:
        """The document."""
        recording = self._recording
        found = {**recording.fields, "id": recording.id, "kind": recording.kind}
        mended: list[str] = []
        validated(found)
        if recording.transcript:
            read = _transcript(recording.transcript, self._tools)
            found["passages"], mended = read["passages"], read["mended"]
        heard = "passages" in found
        if recording.media:
            found |= self._of_the_file(recording.media, heard)
        elif recording.media_address and not heard and (ears := self._tools.hears_the_web):
            found |= self._from_the_web(recording.media_address, ears)
        if found.get("duration") is None and found.get("passages"):
            found["duration"] = found["passages"][-1].get("end")
        if "thumbnail" not in found and recording.picture and self._tools.pictures:
            found |= self._kept(self._tools.pictures.at(recording.picture))
        stored = validated(found).stored()
        return {**stored, "mended": mended} if mended else stored

    def _of_the_file(self, path: Path, heard: bool) -> dict[str, Any]:
        found = self._seen(path)
        if not heard and self._tools.recogniser:
            found["passages"] = from_cues(self._tools.recogniser.recognise(path))
        found["file"] = self._files.put(path, path.suffix.lower())
        return found

    def _from_the_web(self, address: str, ears: Recogniser) -> dict[str, Any]:
        """What is said in a recording that is fetched, heard, and not kept."""
        suffix = PurePosixPath(urlsplit(address).path).suffix.lower()
        # not below /tmp, which is memory on some systems
        with tempfile.TemporaryDirectory(prefix="research-recording-", dir="/var/tmp") as folder:
            path = Path(folder) / f"recording{suffix}"
            try:
                self._tools.web.save(address, path)
            except RefusedError as error:
                raise RefusedError(f"its recording cannot be had: {error}") from None
            return self._seen(path) | {"passages": from_cues(ears.recognise(path))}

    def _seen(self, path: Path) -> dict[str, Any]:
        """What a recording shows of itself: a picture and how long it is."""
        facts = media.facts(path, self._tools.extraction)
        found: dict[str, Any] = self._kept(facts.picture)
        if facts.duration is not None:
            found["duration"] = facts.duration
        return found

    def _kept(self, picture: bytes | None) -> dict[str, Any]:
        return {"thumbnail": self._files.put(picture, ".jpg")} if picture else {}


def _transcript(transcript: Transcript, tools: Tools) -> Any:
    """Its "passages", and what in it is "mended"."""
    ask = partial(tools.extraction.ask, "transcript", form=transcript.form)
    if isinstance(transcript.place, Path):
        return ask(_content(transcript.place))
    try:
        found = tools.web.get(transcript.place, max_bytes=MAX_BYTES)
        return ask(found.content, charset=found.charset and found.charset[:LONGEST_CHARSET])
    except ReaderAwayError:
        raise
    except RefusedError as error:
        raise RefusedError(f"its transcript cannot be had: {error}") from None


def _digest(path: Path) -> str:
    if path.stat().st_size > MAX_MEDIA_BYTES:
        raise RefusedError(f"the recording is over {MAX_MEDIA_BYTES // 2**30} GiB")
    media.check(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise RefusedError(f"larger than {MAX_BYTES // 2**20} MiB: not a transcript")
    return path.read_bytes()
