"""The folder in which files of curators wait for their job; those of long ago are removed."""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from pathlib import Path
from typing import BinaryIO

KEPT_SECONDS = 30 * 24 * 3600
ROOM_FACTOR = 2  # the file itself, and its copy in the library


class Inbox:
    """One library's inbox."""

    def __init__(self, library: Path) -> None:
        self._folder = library / "inbox"

    @property
    def place(self) -> str:
        """Where it is, as sources call it."""
        return str(self._folder.resolve())

    def has_room(self, size: int) -> bool:
        """Whether a file of that size leaves room for others."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self._folder).free > ROOM_FACTOR * size

    def put(self, file: BinaryIO, name: str) -> Path:
        """Copy a file in; whoever sees it sees all of it."""
        folder = self._folder / uuid.uuid4().hex
        folder.mkdir(parents=True)
        part = folder / "part"
        try:
            file.seek(0)
            with part.open("wb") as target:
                shutil.copyfileobj(file, target, 1024 * 1024)
            return part.rename(folder / name)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def remove(self, path: Path) -> None:
        """Take a file out again."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what is there for long."""
        before = time.time() - KEPT_SECONDS
        for folder in self._folder.glob("*"):
            with contextlib.suppress(OSError):
                if folder.stat().st_mtime < before:
                    shutil.rmtree(folder, ignore_errors=True)
