"""A folder of recordings: each with the captions beside it, or captions alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from research_app.extract.media import AUDIO, VIDEO
from research_app.sources.document import Candidate, Kind, Refusal
from research_app.sources.outcome import outcome
from research_app.sources.pdf_folder import read_metadata
from research_app.sources.recording import (
    CAPTIONS,
    Recording,
    Transcript,
    candidate,
    identity,
    media_kind,
)
from research_app.sources.tools import Tools

SUFFIXES = (*CAPTIONS, *VIDEO, *AUDIO)

_LANGUAGE = re.compile(r"\.(?P<language>[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?)$")


def read(
    files: Sequence[Path], root: Path, kind: Kind, tools: Tools
) -> Iterator[Candidate | Refusal]:
    """The recordings among files."""
    folder = _Folder(root, kind, tools)
    used: set[Path] = set()
    for path in files:
        if path.suffix.lower() in (*VIDEO, *AUDIO):
            beside = captions_of(path)
            used.update(beside)
            yield folder.taken(path, path, beside[0] if beside else None)
    for path in files:
        if path.suffix.lower() in CAPTIONS and path not in used:
            yield folder.taken(path, None, path)


def captions_of(media: Path) -> list[Path]:
    """The captions beside a recording, the best first: without a language, in English, others."""
    found = [
        path
        for path in media.parent.iterdir()
        if path.suffix.lower() in CAPTIONS
        and (path.stem == media.stem or _split(path)[0] == media.stem)
    ]

    def order(path: Path) -> tuple[bool, bool, int, str]:
        language = _split(path)[1] if path.stem != media.stem else ""
        english = language.startswith("en")
        return bool(language), not english, CAPTIONS.index(path.suffix.lower()), language

    return sorted(found, key=order)


class _Folder:
    """The folder that is read, and what the librarian wrote in it of its files."""

    def __init__(self, root: Path, kind: Kind, tools: Tools) -> None:
        self._root = root
        self._kind = kind
        self._tools = tools
        self._known: dict[Path, dict[str, dict[str, Any]]] = {}

    def taken(self, path: Path, media: Path | None, captions: Path | None) -> Candidate | Refusal:
        """A recording by the file that it is known by."""
        source = str(path.relative_to(self._root))
        return outcome(source, partial(self._candidate, path, source, media, captions))

    def _candidate(
        self, path: Path, source: str, media: Path | None, captions: Path | None
    ) -> Candidate:
        stem, language = _split(captions) if captions else (path.stem, "")
        described = {"title": title_of(media.stem if media else stem)} | self._written_of(path)
        if language:
            described.setdefault("language", language)
        usual: Kind = "podcast" if path.suffix.lower() in AUDIO else "video"
        recording = Recording(
            str(described.get("id") or identity("recording", path)),
            media_kind(self._kind, usual),
            source,
            described,
            Transcript(captions, "captions") if captions else None,
            media,
        )
        return candidate(recording, self._tools)

    def _written_of(self, path: Path) -> dict[str, Any]:
        folder = path.parent
        if folder not in self._known:
            self._known[folder] = read_metadata(folder, self._tools.extraction)
        return self._known[folder].get(path.name, {})


def _split(captions: Path) -> tuple[str, str]:
    """The name of a captions file, and the language that is a part of it."""
    found = _LANGUAGE.search(captions.stem)
    return (captions.stem[: found.start()], found["language"]) if found else (captions.stem, "")


def title_of(stem: str) -> str:
    """A file's name as a title: "03_what-is-a-token" is "what is a token"."""
    words = re.sub(r"[_-]+", " ", re.sub(r"^\d+[_. -]+(?=\D)", "", stem)).strip()
    return words or stem
