"""A catalogue of recordings: JSON lines in which each names the files that belong to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from research_app.extract.media import AUDIO, VIDEO
from research_app.sources import jsonlines
from research_app.sources.document import Candidate, Kind, Refusal, RefusedError
from research_app.sources.outcome import outcome, until_hopeless
from research_app.sources.recording import (
    CAPTIONS,
    Recording,
    Transcript,
    candidate,
    inside,
    media_kind,
)
from research_app.sources.tools import Tools

# what names a file of a recording; the better captions first
KEYS = ("captions", "vtt", "srt", "file", "media", "video", "audio")
MEDIA = (*VIDEO, *AUDIO)


def is_catalogue(path: Path, tools: Tools) -> bool:
    """Whether the first record of a file names captions or a recording."""
    first = next(jsonlines.records(path, tools.extraction), None)
    return isinstance(first, tuple) and bool(_named(first[1], (*CAPTIONS, *MEDIA)))


def read(path: Path, kind: Kind, tools: Tools) -> Iterator[Candidate | Refusal]:
    """Every record; one that is damaged, or whose captions are, never hides the rest."""
    return until_hopeless(path.name, _recordings(path, kind, tools))


def _recordings(path: Path, kind: Kind, tools: Tools) -> Iterator[Candidate | Refusal]:
    for item in jsonlines.records(path, tools.extraction):
        if isinstance(item, Refusal):
            yield item
            continue
        source, record = item
        yield outcome(source, partial(_candidate, record, path.parent, kind, source, tools))


def claimed(path: Path, tools: Tools) -> set[Path]:
    """The files that a catalogue speaks of, and that are not to be read without it."""
    found: set[Path] = set()
    for item in jsonlines.records(path, tools.extraction):
        if isinstance(item, Refusal):
            continue
        with contextlib.suppress(RefusedError):
            found.update(inside(path.parent, name) for name in _named(item[1], (*CAPTIONS, *MEDIA)))
    return found


def _named(record: dict[str, Any], suffixes: tuple[str, ...]) -> list[str]:
    values = (record.get(key) for key in KEYS)
    return [v for v in values if isinstance(v, str) and v.lower().endswith(suffixes)]


def _there(names: list[str], folder: Path, what: str) -> Path | None:
    """The first of some files that is there; one of them has to be."""
    for name in names:
        if (path := inside(folder, name)).is_file():
            return path
    if names:
        raise RefusedError(f"its {what} not there: {' or '.join(names)[:300]}")
    return None


def _candidate(
    record: dict[str, Any], folder: Path, kind: Kind, source: str, tools: Tools
) -> Candidate:
    found = candidate(_recording(record, folder, kind, source), tools)
    return replace(found, mended=(*found.mended, *record.get("mended", ())))


def _recording(record: dict[str, Any], folder: Path, kind: Kind, source: str) -> Recording:
    media = _there(_named(record, MEDIA), folder, "recording is")
    captions = _there(_named(record, CAPTIONS), folder, "captions are")
    usual: Kind = "podcast" if media and media.suffix.lower() in AUDIO else "video"
    fields = jsonlines.fields(record, media_kind(kind, usual))
    for key in ("file", "thumbnail", "mended"):  # keys of the file store, which no catalogue knows
        fields.pop(key, None)
    if not isinstance(fields.get("id"), str):
        raise RefusedError("no id")
    return Recording(
        fields["id"],
        fields["kind"],
        source,
        fields,
        Transcript(captions, "captions") if captions else None,
        media,
    )
