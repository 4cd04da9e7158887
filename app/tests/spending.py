"""What a reader of documents takes: processor time and memory, measured by the kernel.

A process of its own reads each document as the service would, in a fork under the kind's limits.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from research_app.extract import child

MOST_SECONDS = 10  # one that takes longer is ended, and has taken too much


@dataclass(frozen=True)
class Spent:
    """What one document took."""

    seconds: float
    mebibytes: float


class Meter:
    """Has documents read."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._document = folder / "document"

    def spent(self, kind: str, content: bytes, **options: Any) -> Spent:
        """What it takes to read this."""
        self._document.write_bytes(content)
        asked = json.dumps([kind, str(self._document), options])
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(asked.encode() + b"\n")
        self._process.stdin.flush()
        return Spent(*json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def metering() -> Iterator[Meter]:
    """A meter, as long as it is wanted."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            yield Meter(process, Path(folder))
        finally:
            process.kill()
            process.communicate()


def _read(kind: str, path: str, options: dict[str, Any]) -> tuple[float, float]:
    process = os.fork()
    if process == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
            with Path(path).open("rb") as document, Path(os.devnull).open("wb") as answers:
                child.answer(document, answers, kind, options)
        finally:
            os._exit(0)
    _, _, usage = os.wait4(process, 0)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(_read(*json.loads(line))), flush=True)
