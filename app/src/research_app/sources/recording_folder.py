"""A folder of recordings: each with the captions beside it, or captions alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from research_app.extract.media import AUDIO
from research_app.sources.caption_names import (
    CAPTIONS,
    MEDIA,
    Named,
    best,
    of_each,
    understood,
)
from research_app.sources.document import Candidate, Kind, Refusal
from research_app.sources.outcome import outcome
from research_app.sources.pdf_folder import read_metadata
from research_app.sources.recording import (
    Recording,
    Transcript,
    candidate,
    identity,
    media_kind,
)
from research_app.sources.tools import Tools

SUFFIXES = (*CAPTIONS, *MEDIA)


def read(
    files: Sequence[Path], root: Path, kind: Kind, tools: Tools
) -> Iterator[Candidate | Refusal]:
    """The recordings among files."""
    folder = _Folder(root, kind, tools)
    used: set[Path] = set()
    for path in files:
        if path.suffix.lower() in MEDIA:
            beside = folder.beside(path)
            used.update(captions for captions, _ in beside)
            yield folder.taken(path, path, beside)
    for path in files:
        if path.suffix.lower() in CAPTIONS and path not in used:
            yield folder.taken(path, None, [(path, understood(path))])


class _Folder:
    """The folder that is read, and what the librarian wrote in it of its files."""

    def __init__(self, root: Path, kind: Kind, tools: Tools) -> None:
        self._root = root
        self._kind = kind
        self._tools = tools
        self._known: dict[Path, dict[str, dict[str, Any]]] = {}
        self._beside: dict[Path, dict[Path, list[Named]]] = {}

    def beside(self, media: Path) -> list[Named]:
        """The captions of a recording that lie in its folder."""
        folder = media.parent
        if folder not in self._beside:
            there = sorted(path for path in folder.iterdir() if path.is_file())
            recordings = [path for path in there if path.suffix.lower() in MEDIA]
            captions = [path for path in there if path.suffix.lower() in CAPTIONS]
            self._beside[folder] = of_each(recordings, captions)
        return self._beside[folder].get(media, [])

    def taken(self, path: Path, media: Path | None, captions: list[Named]) -> Candidate | Refusal:
        """A recording by the file that it is known by."""
        source = str(path.relative_to(self._root))
        return outcome(source, partial(self._candidate, path, source, media, captions))

    def _candidate(
        self, path: Path, source: str, media: Path | None, found: list[Named]
    ) -> Candidate:
        written = self._written_of(path)
        spoken = str(written.get("language", ""))
        readers = self._tools.readers
        captions, name = best(found, spoken, readers) if found else (None, None)
        stem = name.base if name and not media else path.stem
        described = {"title": title_of(stem)} | written
        if name and name.language:
            described.setdefault("language", name.language)
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


def title_of(stem: str) -> str:
    """A file's name as a title: "03_what-is-a-token" is "what is a token"."""
    words = re.sub(r"[_-]+", " ", re.sub(r"^\d+[_. -]+(?=\D)", "", stem)).strip()
    return words or stem
