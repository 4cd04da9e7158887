"""JSON lines, plain or gzipped, in UTF-8 or as Windows writes UTF-16: one document a line."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, AnyStr, BinaryIO, cast

import orjson

from research_app.extract.decoding import marked
from research_app.extract.extraction import Extraction
from research_app.extract.passages import from_paragraphs
from research_app.refusal import ReaderAwayError
from research_app.sources.document import (
    Candidate,
    Kind,
    Refusal,
    RefusedError,
    one_line,
    ready,
    validated,
)
from research_app.sources.outcome import MAX_REFUSED, outcome, until_hopeless

MAX_LINE_BYTES = 8 * 1024 * 1024
# {"title":""} - a file of shorter ones is not read to its end
LEAST_BYTES = 12
# what an archive may unpack to; texts shrink to a third or a tenth, hardly ever to a hundredth
MAX_UNPACKED_BYTES = 16 * 2**30
MAX_RATIO = 100
ALWAYS_UNPACKED_BYTES = 64 * 2**20
# how a record begins in UTF-16 without a mark
WIDE = {b"{\0": "utf-16-le", b"\0{": "utf-16-be"}
EMPTY = "the file is empty"
# stands where a character could not be decoded, here or before
REPLACED = "\ufffd".encode()

_EMPTY_LINES = re.compile(r"\n\s*\n")


def _most(file: BinaryIO) -> int:
    """How many bytes of an archive are read, unpacked."""
    ratio = MAX_RATIO * os.fstat(file.fileno()).st_size
    return min(MAX_UNPACKED_BYTES, max(ALWAYS_UNPACKED_BYTES, ratio))


def encoding(head: bytes) -> str:
    """How a file is encoded, by its first bytes; JSON is UTF-8 where nothing says otherwise."""
    name = marked(head) or WIDE.get(head[:2], "utf-8")
    return "utf-8-sig" if name == "utf-8" else name


def _lines(stream: IO[bytes], most: int) -> Iterator[bytes | None]:
    """Lines without their end, in UTF-8; None for one that is too long to be a document."""
    name = encoding(stream.read(4))
    stream.seek(0)
    if name == "utf-8-sig":  # line by line: one that is none is refused alone
        if stream.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            stream.seek(0)
        yield from _cut(stream.readline, b"\n", most)
        return
    text = io.TextIOWrapper(stream, name, "replace", newline="\n")
    try:
        for line in _cut(text.readline, "\n", most):
            yield line if line is None else line.encode("utf-8", "ignore")
    finally:
        text.detach()  # the file is closed by who opened it


def _cut(readline: Callable[[int], AnyStr], end: AnyStr, most: int) -> Iterator[AnyStr | None]:
    count = 0
    while line := readline(MAX_LINE_BYTES):
        rest = line
        while len(rest) == MAX_LINE_BYTES and not rest.endswith(end) and count <= most:
            count += len(rest)
            rest = readline(MAX_LINE_BYTES)
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
        paragraphs = (one_line(block) for block in _EMPTY_LINES.split(text))
        known.setdefault("passages", from_paragraphs(paragraphs))
    if isinstance(description := known.get("description"), str):
        known.setdefault("abstract", description)
    return known


def parsed(file: BinaryIO, *, packed: bool) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The number of each line and what it holds, or why it is no record.

    What is mended in a record stands in it as "mended".
    """
    number, filled, faults, lenient = 0, False, 0, _Lenient()
    stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
    try:
        for line in _lines(stream, _most(file) if packed else sys.maxsize):
            number += 1
            if line == b"":
                continue
            filled = True
            try:
                yield number, _record(line, lenient)
            except RefusedError as error:
                yield number, str(error)
                faults += 1
                if faults > MAX_REFUSED:  # whoever asks has given up by now
                    return
    except RefusedError as error:
        yield number + 1, str(error)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        yield number + 1, "the archive is damaged from here on"
    else:
        if not filled:
            yield 0, EMPTY


def records(path: Path, extraction: Extraction) -> Iterator[tuple[str, dict[str, Any]] | Refusal]:
    """Every line of a file: where it is, and what it holds; a damaged one never hides the rest."""
    packed = path.name.lower().endswith(".gz")
    number = 0
    try:
        for number, found in extraction.stream("jsonlines", path, packed=packed):
            source = f"{path.name}:{number}" if number else path.name
            yield Refusal(source, found) if isinstance(found, str) else (source, found)
    except ReaderAwayError:
        raise
    except RefusedError as error:
        yield Refusal(f"{path.name}:{number + 1}", str(error))
    except OSError as error:
        yield Refusal(str(path), f"cannot be read: {error.strerror}")


def _record(line: bytes | None, lenient: _Lenient) -> dict[str, Any]:
    if line is None:
        raise RefusedError("the line is over 8 MiB")
    mended: list[str] = []
    record = lenient.read(line) if b"NaN" in line or b"Infinity" in line else None
    if record is not None:
        mended.append("NaN or Infinity stands where JSON has no number; it is left out")
    else:
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise RefusedError(f"not JSON: {error.msg}") from None
    if not isinstance(record, dict):
        raise RefusedError("not a JSON object")
    if len(line) < LEAST_BYTES:
        raise RefusedError("no title")
    if REPLACED in line:
        mended.append("a character of it is damaged and stands as \ufffd")
    record.pop("mended", None)
    return record | {"mended": mended} if mended else record


class _Lenient:
    """Reads numbers as Python writes them and JSON has not, and leaves them out."""

    def __init__(self) -> None:
        self._left_out: list[str] = []
        self._decode = json.JSONDecoder(parse_constant=self._left_out.append).decode

    def read(self, line: bytes) -> Any:
        """What a line holds that has such numbers; else None."""
        self._left_out.clear()
        try:
            found = self._decode(line.decode())
            orjson.dumps(found)  # what cannot be handed on is not read
        except (ValueError, TypeError, RecursionError):
            return None
        return found if self._left_out else None


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
    return ready(validated(fields(record, kind)), source, tuple(record.get("mended", ())))
