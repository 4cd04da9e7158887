"""A folder of anything: each file goes to the reader that knows its kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from research_app.sources import bibtex, catalogue, jsonlines, pdf_folder, podcast, recording_folder
from research_app.sources.document import Candidate, Kind, Refusal
from research_app.sources.outcome import guarded
from research_app.sources.tools import Tools

JSON_LINES = (".jsonl", ".jsonl.gz")
READ = (".pdf", *JSON_LINES, *bibtex.SUFFIX, *podcast.SUFFIX, *recording_folder.SUFFIXES)


def files(root: Path) -> list[Path]:
    """What is in a folder and below it, in a stable order."""
    return sorted(
        path for path in root.rglob("*") if path.name != pdf_folder.METADATA and path.is_file()
    )


def is_read(path: Path) -> bool:
    """Whether some reader knows files of that name."""
    return path.name.lower().endswith(READ)


def total(found: list[Path]) -> int | None:
    """How many documents are in files, where their number tells it."""
    papers = all(path.name.lower().endswith(".pdf") for path in found)
    return len(found) if papers else None


def read(
    root: Path, kind: Kind, tools: Tools, unread: dict[str, int] | None = None
) -> Iterator[Candidate | Refusal]:
    """Every document; a file that a catalogue names is read with it and not once more.

    :param unread: gets the number of the files that nothing reads, by their suffix
    """
    there = files(root)
    found = [path for path in there if is_read(path)]
    yield from pdf_folder.read(root, kind, tools.extraction)
    claimed: set[Path] = set()
    # hidden files are the system's own
    passed_over = [path for path in there if not is_read(path) and not path.name.startswith(".")]
    for path in found:
        yield from guarded(path.name, _file(path, kind, tools, claimed, passed_over))
    rest = [path for path in found if path.resolve() not in claimed]
    yield from recording_folder.read(rest, root, kind, tools)
    if unread is not None:
        unread.update(
            Counter(_suffix(path) for path in passed_over if path.resolve() not in claimed)
        )


def _suffix(path: Path) -> str:
    return path.suffix.lower()[:20] or "without a suffix"


def _file(
    path: Path, kind: Kind, tools: Tools, claimed: set[Path], passed_over: list[Path]
) -> Iterator[Candidate | Refusal]:
    """The documents of one file that lists them; the files that it names are added to those."""
    name = path.name.lower()
    if name.endswith(JSON_LINES):
        if catalogue.is_catalogue(path, tools):
            claimed |= catalogue.claimed(path, tools)
        yield from read_lines(path, kind, tools)
    elif name.endswith(bibtex.SUFFIX):
        yield from bibtex.read(path, kind, tools.extraction)
    elif name.endswith(podcast.SUFFIX):
        if path.stat().st_size and not podcast.looks_like_a_feed(path):
            passed_over.append(path)
            return
        claimed |= podcast.claimed(path, tools)
        yield from podcast.read(path, kind, tools)


def read_lines(path: Path, kind: Kind, tools: Tools) -> Iterator[Candidate | Refusal]:
    """JSON lines: a catalogue of recordings, or documents that are complete in themselves."""
    if catalogue.is_catalogue(path, tools):
        yield from catalogue.read(path, kind, tools)
    else:
        yield from jsonlines.read(path, kind, tools.extraction)
