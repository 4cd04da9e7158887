"""A reader of documents whose kinds and limits are a test's own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from research_app.extract.extraction import Extraction
from research_app.extract.kinds import KINDS, Limits

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
