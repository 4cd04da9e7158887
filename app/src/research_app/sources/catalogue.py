"""A catalogue of recordings: JSON lines in which each names the files that belong to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from research_app.extract.media import AUDIO
from research_app.sources import jsonlines
from research_app.sources.caption_names import CAPTIONS, MEDIA, best, understood
from research_app.sources.document import Candidate, Kind, Refusal, RefusedError
from research_app.sources.outcome import outcome, until_hopeless
from research_app.sources.recording import (
    Recording,
    Transcript,
    candidate,
    inside,
    media_kind,
)
from research_app.sources.tools import Tools

# what names a file of a recording; the better captions first
KEYS = ("captions", "vtt", "srt", "file", "media", "video", "audio")


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
    """The files of a kind that a record names, one or a list of them under each key."""
    values = (record.get(key) for key in KEYS)
    names = (name for value in values for name in (value if isinstance(value, list) else [value]))
    return [n for n in names if isinstance(n, str) and n.lower().endswith(suffixes)]


def _there(names: list[str], folder: Path, what: str) -> list[Path]:
    """Those of some files that are there; one of them has to be."""
    found = [path for name in names if (path := inside(folder, name)).is_file()]
    if names and not found:
        raise RefusedError(f"its {what} not there: {' or '.join(names)[:300]}")
    return found


def _candidate(
    record: dict[str, Any], folder: Path, kind: Kind, source: str, tools: Tools
) -> Candidate:
    found = candidate(_recording(record, folder, kind, source, tools.readers), tools)
    return replace(found, mended=(*found.mended, *record.get("mended", ())))


def _recording(
    record: dict[str, Any], folder: Path, kind: Kind, source: str, readers: str
) -> Recording:
    media = next(iter(_there(_named(record, MEDIA), folder, "recording is")), None)
    there = _there(_named(record, CAPTIONS), folder, "captions are")
    named = [(path, understood(path)) for path in there]
    captions = best(named, str(record.get("language", "")), readers)[0] if named else None
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
