"""An archive of items: compressed JSON lines, with a last line that says what must be there.

{"archive": 1, "index": …, "at": …, "days": …}
{"id": …, "source": {…}}
…
{"count": …, "sha256": …}        of all lines before this one
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

FORMAT = 1


class ArchiveError(Exception):
    """The archive is not what it ought to be; the message says how."""


class ArchiveWriter:
    """Writes an archive beside its name; it has its name when it is whole and verified."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._head = {"archive": FORMAT, **head}
        self._digest = hashlib.sha256()
        self.count = 0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = gzip.open(self._part, "xb", compresslevel=6)
        self._line(self._head)
        return self

    def add(self, identity: str, source: dict[str, Any]) -> None:
        """Add an item."""
        self._line({"id": identity, "source": source})
        self.count += 1

    def _line(self, fields: dict[str, Any]) -> None:
        line = orjson.dumps(fields) + b"\n"
        self._digest.update(line)
        self._stream.write(line)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            last = {"count": self.count, "sha256": self._digest.hexdigest()}
            self._stream.write(orjson.dumps(last) + b"\n")
        self._stream.close()
        if kind is not None or not self.count:
            self._part.unlink()
            return
        with self._part.open("rb") as stream:
            os.fsync(stream.fileno())
        if verify(self._part) != self.count:
            raise ArchiveError(f"{self._part} is not what was written")
        os.rename(self._part, self._path)
        _sync(self._path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def verify(path: Path) -> int:
    """Read an archive from the disk to its end; how many items it holds."""
    return sum(1 for _ in _checked(path))


def read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The items of an archive, which is verified before the first one is given."""
    verify(path)
    yield from _checked(path)


def _checked(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    digest, count, last = hashlib.sha256(), 0, None
    try:
        with gzip.open(path, "rb") as stream:
            for number, line in enumerate(stream):
                fields = orjson.loads(line)
                if number == 0 and fields.get("archive") != FORMAT:
                    raise ArchiveError(f"{path} is no archive of this application")
                if last is not None:
                    raise ArchiveError(f"{path} goes on after its end")
                if "sha256" in fields:
                    last = fields
                    continue
                digest.update(line)
                if number:
                    count += 1
                    yield fields["id"], fields["source"]
    except (OSError, EOFError, orjson.JSONDecodeError, KeyError, AttributeError) as error:
        raise ArchiveError(f"{path} cannot be read: {error or type(error).__name__}") from error
    if last is None:
        raise ArchiveError(f"{path} has no end: it is not whole")
    if last != {"count": count, "sha256": digest.hexdigest()}:
        raise ArchiveError(f"{path} is damaged: its content is not what its end says")
