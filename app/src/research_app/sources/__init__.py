"""Where documents come from: each module turns one kind of source into candidates."""

from __future__ import annotations

from pathlib import Path

from research_app.sources import folder, pdf_folder, recording_folder
from research_app.sources.document import Kind, Source
from research_app.sources.recording import CAPTIONS


class UnknownSourceError(Exception):
    """Nothing here knows how to read that path."""


def open_source(path: Path, kind: Kind) -> Source:
    """Choose the reader of a path by what the path is."""
    if not path.exists():
        raise UnknownSourceError(f"{path}: no such file or directory")
    if path.is_dir():
        if folder.files(path):
            return Source(folder.read(path, kind), batch=32)
        raise UnknownSourceError(f"{path}: nothing to read in this directory or below it")
    name = path.name.lower()
    if name.endswith(".pdf"):
        return Source(pdf_folder.read(path, kind), batch=16)
    if name.endswith(folder.JSON_LINES):
        return Source(folder.read_lines(path, kind), batch=500)
    if name.endswith(CAPTIONS):
        return Source(recording_folder.read([path], path.parent, kind), batch=16)
    raise UnknownSourceError(
        f"{path}: give a .jsonl or .jsonl.gz file, a PDF, captions (.vtt, .srt), or a directory"
    )
