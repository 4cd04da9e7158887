"""A folder of recordings: each with the captions beside it, or captions alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from research_app.sources.document import Candidate, Kind, Refusal, RefusedError
from research_app.sources.recording import (
    CAPTIONS,
    Recording,
    Transcript,
    candidate,
    identity,
    media_kind,
)
from research_app.sources.tools import Tools

_LANGUAGE = re.compile(r"\.(?P<language>[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?)$")


def read(
    files: Iterable[Path], root: Path, kind: Kind, tools: Tools
) -> Iterator[Candidate | Refusal]:
    """The recordings among files."""
    for path in files:
        if path.suffix.lower() in CAPTIONS:
            yield _taken(path, str(path.relative_to(root)), media_kind(kind, "video"), tools)


def _taken(path: Path, source: str, kind: Kind, tools: Tools) -> Candidate | Refusal:
    try:
        return candidate(_captions_alone(path, source, kind), tools)
    except RefusedError as error:
        return Refusal(source, str(error))
    except OSError as error:
        return Refusal(source, f"cannot be read: {error.strerror}")


def _captions_alone(path: Path, source: str, kind: Kind) -> Recording:
    language = _LANGUAGE.search(path.stem)
    stem = path.stem[: language.start()] if language else path.stem
    fields = {"title": title_of(stem)}
    if language:
        fields["language"] = language["language"]
    return Recording(
        identity("recording", path.read_bytes()), kind, source, fields, Transcript(path, "captions")
    )


def title_of(stem: str) -> str:
    """A file's name as a title: "03_what-is-a-token" is "what is a token"."""
    words = re.sub(r"[_-]+", " ", re.sub(r"^\d+[_. -]+(?=\D)", "", stem)).strip()
    return words or stem
