"""The files of the library: each kept once, under the hash of its content.

A site shares the folder among its application hosts, so nothing here trusts a file to be whole
because it is there, and nothing is ever seen half written.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import BinaryIO

KEY = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,8})?")
SUFFIX = re.compile(r"(\.[a-z0-9]{1,8})?")
CHUNK = 1024 * 1024
FILE_MODE = 0o644
FOLDER_MODE = 0o755


class UnknownFileError(Exception):
    """The store has no file of that key."""


class FileStore:
    """A folder, two levels of folders in it, and the files in those."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self._directory

    def put(self, content: Path | bytes, suffix: str = "") -> str:
        """Keep a content; returns its key, which is the same whenever the content is."""
        suffix = suffix.lower()
        if not SUFFIX.fullmatch(suffix):
            raise ValueError(f"not a suffix of a file: {suffix}")
        key = _digest(content) + suffix
        target = self._place(key)
        if not _is_whole(target, _size(content)):
            self._write(content, target)
        return key

    def path(self, key: str) -> Path:
        """Where a file is; UnknownFileError where there is none of that key."""
        if not KEY.fullmatch(key):
            raise UnknownFileError(key)
        place = self._place(key)
        if not place.is_file():
            raise UnknownFileError(key)
        return place

    def open(self, key: str) -> BinaryIO:
        """A file, to be read."""
        return self.path(key).open("rb")

    def _place(self, key: str) -> Path:
        return self._directory / key[:2] / key[2:4] / key

    def _write(self, content: Path | bytes, target: Path) -> None:
        """Whole or not at all: written beside its place, and then moved there."""
        for folder in (self._directory, target.parent.parent, target.parent):
            _make_folder(folder)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                _copy(content, file)
                file.flush()
                os.fchmod(handle, FILE_MODE)
                os.fsync(handle)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return
    folder.chmod(FOLDER_MODE)  # whatever the umask of the process is


def _digest(content: Path | bytes) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _is_whole(target: Path, size: int) -> bool:
    try:
        return target.stat().st_size == size
    except FileNotFoundError:
        return False


def _copy(content: Path | bytes, file: BinaryIO) -> None:
    if isinstance(content, bytes):
        file.write(content)
        return
    with content.open("rb") as source:
        while chunk := source.read(CHUNK):
            file.write(chunk)
