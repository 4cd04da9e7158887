"""A video or an episode that lies here: its captions, its file, and what is known of both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from research_app.extract import TRANSCRIPTION
from research_app.extract.captions import MAX_BYTES, Cue, cues, decode
from research_app.extract.passages import from_cues
from research_app.sources.document import (
    Candidate,
    Kind,
    RefusedError,
    Workshop,
    content_hash,
    validated,
)

CAPTIONS = (".vtt", ".srt")  # the better one first: it may say who speaks


@dataclass(frozen=True, slots=True)
class Recording:
    """What a source knows of one recording."""

    id: str
    kind: Kind
    source: str
    fields: dict[str, Any]
    captions: Path | None = None


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


def read_captions(path: Path) -> list[Cue]:
    """The captions of a file."""
    return cues(decode(_content(path)))


def _content(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise RefusedError(f"larger than {MAX_BYTES // 2**20} MiB: not a transcript")
    return path.read_bytes()


def candidate(recording: Recording) -> Candidate:
    """One recording; its captions are read only when they or the metadata are new."""
    described = orjson.dumps(
        [TRANSCRIPTION, recording.kind, recording.fields], option=orjson.OPT_SORT_KEYS
    )
    captions = _content(recording.captions) if recording.captions else b""

    async def load(_: Workshop) -> dict[str, Any]:
        return await asyncio.to_thread(_loaded, recording)

    return Candidate(
        recording.id,
        recording.kind,
        recording.source,
        content_hash(described, captions),
        load,
    )


def _loaded(recording: Recording) -> dict[str, Any]:
    fields = {**recording.fields, "id": recording.id, "kind": recording.kind}
    if recording.captions:
        said = read_captions(recording.captions)
        fields["passages"] = from_cues(said)
        fields.setdefault("duration", _end(said))
    return validated(fields).stored()


def _end(said: Iterable[Cue]) -> float:
    return max(cue.end for cue in said)
