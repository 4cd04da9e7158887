"""Where documents come from: each module turns one kind of source into candidates."""

from __future__ import annotations

from pathlib import Path

from research_app.sources import jsonlines, pdf_folder
from research_app.sources.document import Kind, Source


class UnknownSourceError(Exception):
    """Nothing here knows how to read that path."""


def open_source(path: Path, kind: Kind) -> Source:
    """Choose the reader of a path by what the path is."""
    if not path.exists():
        raise UnknownSourceError(f"{path}: no such file or directory")
    if path.is_dir() or path.suffix.lower() == ".pdf":
        if not path.is_dir() or pdf_folder.find(path):
            return Source(pdf_folder.read(path, kind), batch=16)
        raise UnknownSourceError(f"{path}: no PDF in this directory or below it")
    if path.name.lower().endswith((".jsonl", ".jsonl.gz")):
        return Source(jsonlines.read(path, kind), batch=500)
    raise UnknownSourceError(
        f"{path}: give a .jsonl or .jsonl.gz file, a PDF, or a directory of PDFs"
    )
