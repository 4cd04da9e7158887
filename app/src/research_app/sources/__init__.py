"""Where documents come from: each module turns one kind of source into candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from research_app.private_address import shown
from research_app.sources import (
    arxiv,
    bibtex,
    folder,
    pdf_folder,
    podcast,
    recording_folder,
    youtube,
)
from research_app.sources.document import Candidate, Kind, Refusal, RefusedError, Source, Total
from research_app.sources.outcome import guarded
from research_app.sources.tools import NO_TOOLS, Tools

Found = Iterator[Candidate | Refusal]


class UnknownSourceError(Exception):
    """Nothing here knows how to read that path."""


def is_address(location: str) -> bool:
    """Whether a location is somewhere on the web."""
    return location.lower().startswith(("http://", "https://", arxiv.PREFIX))


def absolute(location: str) -> str:
    """A location that means the same in another folder."""
    return location if is_address(location) else str(Path(location).absolute())


def open_source(location: str | Path, kind: Kind, tools: Tools = NO_TOOLS) -> Source:
    """What a path or an address holds."""
    remote = is_address(str(location))
    root = shown(str(location)) if remote else str(Path(location).resolve())
    try:
        source = _reader(location, kind, tools)
    except RefusedError as error:
        raise UnknownSourceError(str(error)) from None
    return replace(source, candidates=guarded(root, source.candidates), root=root, kind=kind)


def _reader(location: str | Path, kind: Kind, tools: Tools) -> Source:
    """Choose the reader of a path or an address by what it is."""
    if arxiv.is_reference(str(location)):
        return Source(arxiv.read(str(location), kind, tools), batch=arxiv.PAGE)
    if is_address(str(location)):
        reader = youtube if youtube.is_youtube(str(location)) else podcast
        total = Total()
        found = reader.read_address(str(location), kind, tools, total)
        return Source(found, batch=16, total=total)
    path = Path(location)
    if not path.exists():
        raise UnknownSourceError(f"{path}: no such file or directory")
    if path.is_dir():
        if files := folder.files(path):
            found, total = folder.read(path, kind, tools), Total(folder.total(files))
            return Source(found, _few_or(32, tools), total=total)
        raise UnknownSourceError(f"{path}: nothing to read in this directory or below it")
    return _file(path, kind, tools)


def _file(path: Path, kind: Kind, tools: Tools) -> Source:
    """Choose the reader of a file by its name."""
    total = Total()
    recording = partial(recording_folder.read, [path], path.parent, kind, tools)
    readers: tuple[tuple[tuple[str, ...], int, Callable[[], Found]], ...] = (
        ((".pdf",), 16, partial(pdf_folder.read, path, kind, tools.extraction)),
        (folder.JSON_LINES, 500, partial(folder.read_lines, path, kind, tools)),
        (bibtex.SUFFIX, 200, partial(bibtex.read, path, kind, tools.extraction)),
        (recording_folder.SUFFIXES, 16, recording),
        (podcast.SUFFIX, _few_or(16, tools), partial(podcast.read, path, kind, tools, total)),
    )
    for suffixes, batch, read in readers:
        if path.name.lower().endswith(suffixes):
            return Source(read(), batch, total=total)
    raise UnknownSourceError(
        f"{path}: give a .jsonl, .jsonl.gz or .bib file, a PDF, a recording, captions (.vtt, .srt,"
        " .sbv, .ass, .ssa),"
        " a podcast's feed (.rss, .xml), arxiv:NUMBER or arxiv:WORDS, or a directory"
    )


def _few_or(batch: int, tools: Tools) -> int:
    """Few where speech may be recognised: an hour's work is not lost with the ninth hour's."""
    return 2 if tools.recogniser else batch
