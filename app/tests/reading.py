"""A reader of documents whose kinds and limits are a test's own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from research_app.extract.extraction import Document, Extraction
from research_app.extract.kinds import KINDS, Limits
from research_app.extract.readers import READERS

START = """
import os, resource, signal, sys, threading, time
from dataclasses import replace
from research_app.extract import service
from research_app.extract.kinds import KINDS, Limits
from research_app.extract.readers import READERS
"""

MEMORY = 512 * 2**20


@contextlib.contextmanager
def reading(
    folder: Path, code: str = "", **limits: Limits
) -> Iterator[tuple[Extraction, subprocess.Popen[bytes]]]:
    """Who asks it, and its process.

    :param code: is run before it serves: what `READERS` get there can be asked
    :param limits: those of each kind that a test adds or changes, on both sides
    """
    program = folder / "service.py"
    program.write_text(f"{START}KINDS.update({limits!r})\n{code}\nservice.main()\n")
    place = folder / "service"
    place.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "socket"))
        listener.listen(16)
        process = subprocess.Popen(
            [sys.executable, str(program), "--own", str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=(listener.fileno(),),
        )
    before = dict(KINDS)
    KINDS.update(limits)
    try:
        yield Extraction(str(place / "socket")), process
    finally:
        KINDS.clear()
        KINDS.update(before)
        process.kill()
        process.communicate()


class AtHand(Extraction):
    """Reads in this process, where a test can change what reads; the answers are JSON as ever."""

    def ask(self, kind: str, document: Document, **options: Any) -> Any:
        (found,) = self.stream(kind, document, **options)
        return found

    def stream(self, kind: str, document: Document, **options: Any) -> Iterator[Any]:
        with contextlib.ExitStack() as held:
            if isinstance(document, Path):
                file: BinaryIO = held.enter_context(document.open("rb"))
            else:
                file = held.enter_context(tempfile.TemporaryFile())
                file.write(document)
                file.seek(0)
            for answer in READERS[kind](file, options):
                yield orjson.loads(orjson.dumps(answer))
