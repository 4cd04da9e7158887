"""A video or an episode: its transcript, its file, and what is known of both."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from research_app.extract import TRANSCRIPTION
from research_app.extract.captions import MAX_BYTES
from research_app.extract.transcripts import Form, passages
from research_app.sources.document import (
    Candidate,
    Kind,
    RefusedError,
    Workshop,
    content_hash,
    validated,
)
from research_app.sources.tools import Tools

CAPTIONS = (".vtt", ".srt")  # the better one first: it may say who speaks


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


def identity(prefix: str, content: bytes) -> str:
    """An id for what brings none along: the same whatever its name is."""
    return f"{prefix}-{hashlib.sha256(content).hexdigest()[:20]}"


def media_kind(kind: Kind, usual: Kind) -> Kind:
    """The kind of a recording: what the librarian says, unless that is not said."""
    return usual if kind == "paper" else kind


def candidate(recording: Recording, tools: Tools) -> Candidate:
    """One recording; its transcript is read only when it or the metadata are new."""
    transcript = recording.transcript
    known = b""
    if transcript and isinstance(transcript.place, Path):
        known = _content(transcript.place)
    elif transcript and not tools.has_web:
        transcript = None
    described: list[Any] = [
        TRANSCRIPTION,
        recording.kind,
        recording.fields,
        transcript and transcript.form,
    ]
    if transcript and isinstance(transcript.place, str):
        described.append(transcript.place)

    async def load(_: Workshop) -> dict[str, Any]:
        return await asyncio.to_thread(_loaded, recording, transcript, tools)

    return Candidate(
        recording.id,
        recording.kind,
        recording.source,
        content_hash(orjson.dumps(described, option=orjson.OPT_SORT_KEYS), known),
        load,
    )


def _loaded(recording: Recording, transcript: Transcript | None, tools: Tools) -> dict[str, Any]:
    fields = {**recording.fields, "id": recording.id, "kind": recording.kind}
    if transcript:
        fields["passages"] = _passages(transcript, tools)
        if fields.get("duration") is None:
            fields["duration"] = fields["passages"][-1].get("end")
    return validated(fields).stored()


def _passages(transcript: Transcript, tools: Tools) -> list[dict[str, Any]]:
    if isinstance(transcript.place, Path):
        return passages(_content(transcript.place), transcript.form)
    try:
        found = tools.web.get(transcript.place, max_bytes=MAX_BYTES)
        return passages(found.content, transcript.form, found.charset)
    except RefusedError as error:
        raise RefusedError(f"its transcript cannot be had: {error}") from None


def _content(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise RefusedError(f"larger than {MAX_BYTES // 2**20} MiB: not a transcript")
    return path.read_bytes()
