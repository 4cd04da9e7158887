"""A folder of anything: each file goes to the reader that knows its kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from research_app.sources import catalogue, jsonlines, pdf_folder, recording_folder
from research_app.sources.document import Candidate, Kind, Refusal
from research_app.sources.recording import CAPTIONS

JSON_LINES = (".jsonl", ".jsonl.gz")
READ = (".pdf", *JSON_LINES, *CAPTIONS)


def files(root: Path) -> list[Path]:
    """What is to be read in a folder and below it, in a stable order."""
    return sorted(
        path
        for path in root.rglob("*")
        if path.name.lower().endswith(READ) and path.name != pdf_folder.METADATA and path.is_file()
    )


def read(root: Path, kind: Kind) -> Iterator[Candidate | Refusal]:
    """Every document; a file that a catalogue names is read with it and not once more."""
    found = files(root)
    yield from pdf_folder.read(root, kind)
    claimed: set[Path] = set()
    for path in found:
        if path.name.lower().endswith(JSON_LINES):
            claimed |= catalogue.claimed(path) if catalogue.is_catalogue(path) else set()
            yield from read_lines(path, kind)
    rest = [path for path in found if path.resolve() not in claimed]
    yield from recording_folder.read(rest, root, kind)


def read_lines(path: Path, kind: Kind) -> Iterator[Candidate | Refusal]:
    """JSON lines: a catalogue of recordings, or documents that are complete in themselves."""
    read_all = catalogue.read if catalogue.is_catalogue(path) else jsonlines.read
    return read_all(path, kind)
