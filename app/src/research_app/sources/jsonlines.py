"""JSON lines, plain or gzipped: one document a line."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import orjson

from research_app.extract.extraction import Extraction
from research_app.refusal import ReaderAwayError
from research_app.sources.document import (
    Candidate,
    Kind,
    Refusal,
    RefusedError,
    ready,
    validated,
)
from research_app.sources.outcome import outcome, until_hopeless

MAX_LINE_BYTES = 8 * 1024 * 1024
# what an archive may unpack to; texts shrink to a third or a tenth, hardly ever to a hundredth
MAX_UNPACKED_BYTES = 16 * 2**30
MAX_RATIO = 100
ALWAYS_UNPACKED_BYTES = 64 * 2**20


def _most(file: BinaryIO) -> int:
    """How many bytes of an archive are read, unpacked."""
    ratio = MAX_RATIO * os.fstat(file.fileno()).st_size
    return min(MAX_UNPACKED_BYTES, max(ALWAYS_UNPACKED_BYTES, ratio))


def _lines(stream: IO[bytes], most: int) -> Iterator[bytes | None]:
    """Lines without their end; None for one that is too long to be a document."""
    count = 0
    while line := stream.readline(MAX_LINE_BYTES):
        rest = line
        while len(rest) == MAX_LINE_BYTES and not rest.endswith(b"\n") and count <= most:
            count += len(rest)
            rest = stream.readline(MAX_LINE_BYTES)
        count += len(rest)
        if count > most:
            raise RefusedError("the archive unpacks to absurdly much; the rest is not read")
        yield line.strip() if rest is line else None


def fields(record: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """A record as the fields of a document, under whichever names it has them."""
    known = {name: value for name, value in record.items() if value is not None}
    identity = known.get("id", known.get("_id"))
    if isinstance(identity, int):
        identity = str(identity)
    if identity is not None:
        known["id"] = identity
    known.setdefault("kind", kind)
    if isinstance(text := known.get("text"), str):
        known.setdefault("passages", ({"text": text},))
    if isinstance(description := known.get("description"), str):
        known.setdefault("abstract", description)
    return known


def parsed(file: BinaryIO, *, packed: bool) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The number of each line and what it holds, or why it is no record."""
    number = 0
    stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
    try:
        for line in _lines(stream, _most(file) if packed else sys.maxsize):
            number += 1
            if line == b"":
                continue
            try:
                yield number, _record(line)
            except RefusedError as error:
                yield number, str(error)
    except RefusedError as error:
        yield number + 1, str(error)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        yield number + 1, "the archive is damaged from here on"


def records(path: Path, extraction: Extraction) -> Iterator[tuple[str, dict[str, Any]] | Refusal]:
    """Every line of a file: where it is, and what it holds; a damaged one never hides the rest."""
    packed = path.name.lower().endswith(".gz")
    number = 0
    try:
        for number, found in extraction.stream("jsonlines", path, packed=packed):
            source = f"{path.name}:{number}"
            yield Refusal(source, found) if isinstance(found, str) else (source, found)
    except ReaderAwayError:
        raise
    except RefusedError as error:
        yield Refusal(f"{path.name}:{number + 1}", str(error))
    except OSError as error:
        yield Refusal(str(path), f"cannot be read: {error.strerror}")


def _record(line: bytes | None) -> dict[str, Any]:
    if line is None:
        raise RefusedError("the line is over 8 MiB")
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise RefusedError(f"not JSON: {error.msg}") from None
    if not isinstance(record, dict):
        raise RefusedError("not a JSON object")
    return record


def read(path: Path, kind: Kind, extraction: Extraction) -> Iterator[Candidate | Refusal]:
    """Every line of a file as a document."""
    return until_hopeless(path.name, _documents(path, kind, extraction))


def _documents(path: Path, kind: Kind, extraction: Extraction) -> Iterator[Candidate | Refusal]:
    for item in records(path, extraction):
        if isinstance(item, Refusal):
            yield item
            continue
        source, record = item
        yield outcome(source, partial(_candidate, record, kind, source))


def _candidate(record: dict[str, Any], kind: Kind, source: str) -> Candidate:
    return ready(validated(fields(record, kind)), source)
