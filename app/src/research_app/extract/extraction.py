"""Has what strangers wrote read by somebody who has nothing to lose.

A document is handed over as an open file and comes back as plain data. On a site that is the work
of the service research-extract; where no socket is set, this process starts the same for itself.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import fcntl
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from research_app.extract.kinds import KINDS
from research_app.extract.wire import LENGTH_BYTES, MAX_FRAME_BYTES, Request, send
from research_app.refusal import ReaderAwayError, RefusedError

SERVICE = "research_app.extract.service"
# a service that is being replaced is back by then
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
GRACE_SECONDS = 10.0
STEP_SECONDS = 0.5
PIPE_BYTES = 2**20
MALFORMED = "damaged: what its reader says of it makes no sense"
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

Document = Path | bytes


class Extraction:
    """Asks the service behind a socket, or one of this process's own."""

    def __init__(self, place: str = "", own: OwnService | None = None) -> None:
        self._place = place
        self._own = own

    def ask(self, kind: str, document: Document, **options: Any) -> Any:
        """The one answer; RefusedError with the reason where there is none."""
        return self._ask(kind, document, options, threading.Event())

    async def soon(self, kind: str, document: Document, **options: Any) -> Any:
        """The same, for whoever has an event loop to turn."""
        unwanted = threading.Event()
        try:
            return await asyncio.to_thread(self._ask, kind, document, options, unwanted)
        except asyncio.CancelledError:
            unwanted.set()
            raise

    def stream(self, kind: str, document: Document, **options: Any) -> Iterator[Any]:
        """Answers, as long as there are more."""
        with self._asking(kind, document, options, threading.Event()) as asking:
            yield from asking.answers()

    def _ask(
        self, kind: str, document: Document, options: dict[str, Any], unwanted: threading.Event
    ) -> Any:
        for pause in (*PAUSES, None):
            try:
                with self._asking(kind, document, options, unwanted) as asking:
                    found = list(asking.answers())
            except ReaderAwayError:
                if pause is None or unwanted.wait(pause):
                    raise
                continue
            if len(found) != 1:
                raise RefusedError(MALFORMED)
            return found[0]
        raise AssertionError

    def _asking(
        self, kind: str, document: Document, options: dict[str, Any], unwanted: threading.Event
    ) -> _Asking:
        return _Asking(self._place or (self._own or own).place(), kind, document, options, unwanted)


class _Asking:
    """One request and its answers."""

    def __init__(
        self,
        place: str,
        kind: str,
        document: Document,
        options: dict[str, Any],
        unwanted: threading.Event,
    ) -> None:
        self._patience = KINDS[kind].patience
        self._unwanted = unwanted
        self._held = contextlib.ExitStack()
        with contextlib.ExitStack() as sent:
            file = _opened(document)
            sent.callback(os.close, file)
            self._answers, answers = os.pipe2(os.O_CLOEXEC)
            self._held.callback(os.close, self._answers)
            sent.callback(os.close, answers)
            with contextlib.suppress(OSError):
                fcntl.fcntl(answers, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._held.callback(self._connection.close)
            try:
                self._connection.connect(place)
                send(self._connection, Request(kind, options, file, answers))
            except OSError:
                self._held.close()
                raise ReaderAwayError from None

    def answers(self) -> Iterator[Any]:
        """What is said of the document, until the verdict."""
        self._wait_for_its_turn()
        try:
            while (frame := self._frame()) is not None:
                if isinstance(frame, list):
                    yield from frame
                else:
                    raise RefusedError(str(frame["refused"]))
        except (EOFError, ValueError, KeyError, TypeError):
            self._judge()
            raise RefusedError(MALFORMED) from None
        self._judge()

    def _wait_for_its_turn(self) -> None:
        """Others may be before it; how long that takes is not this document's fault."""
        while not self._ready(self._connection.fileno(), STEP_SECONDS):
            pass
        if not self._received(1):
            raise ReaderAwayError

    def _judge(self) -> None:
        """The verdict; without one the service has ended, and the document has no part in it."""
        if not self._ready(self._connection.fileno(), GRACE_SECONDS):
            raise ReaderAwayError
        words = self._received(4096)
        if not words:
            raise ReaderAwayError
        if refused := orjson.loads(words).get("refused"):
            raise RefusedError(refused)

    def _received(self, size: int) -> bytes:
        try:
            return self._connection.recv(size)
        except OSError:
            return b""

    def _frame(self) -> Any:
        """The next frame; None at the end."""
        head = self._bytes(LENGTH_BYTES)
        if not head:
            return None
        length = int.from_bytes(head)
        if len(head) < LENGTH_BYTES or length > MAX_FRAME_BYTES:
            raise EOFError
        content = self._bytes(length)
        if len(content) < length:
            raise EOFError
        return orjson.loads(content)

    def _bytes(self, count: int) -> bytearray:
        """So many bytes, or fewer at the end."""
        found = bytearray()
        while len(found) < count:
            if not self._ready(self._answers, self._patience + GRACE_SECONDS):
                raise RefusedError(f"reading it takes over {self._patience} seconds")
            piece = os.read(self._answers, min(count - len(found), PIPE_BYTES))
            if not piece:
                break
            found += piece
        return found

    def _ready(self, file: int, seconds: float) -> bool:
        """Whether something comes in time."""
        looking = select.poll()
        looking.register(file, select.POLLIN)
        end = time.monotonic() + seconds
        while not looking.poll(STEP_SECONDS * 1000):
            if self._unwanted.is_set():
                raise ReaderAwayError
            if time.monotonic() >= end:
                return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._held.close()


def _opened(document: Document) -> int:
    """An open file that can be read, and not be changed."""
    if isinstance(document, Path):
        # where it is no file but a pipe nobody may ever write into it
        return os.open(document, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    file = os.memfd_create("document", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(file), "wb") as writing:
        writing.write(document)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, SEALS)
    return file


class OwnService:
    """The service that this process starts for itself, and again where it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._place = ""

    def place(self) -> str:
        """Its socket."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            return self._place

    def _start(self) -> None:
        self._forget_place()
        folder = tempfile.mkdtemp(prefix="research-extract-")
        self._place = f"{folder}/socket"
        environment = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "LANG") or name.startswith(("OPENBLAS_", "OMP_", "MKL_"))
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(self._place)
            listener.listen(64)
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", SERVICE, "--own", str(listener.fileno())],
                stdin=subprocess.PIPE,  # it ends when this is closed, however we end
                stdout=subprocess.DEVNULL,
                pass_fds=(listener.fileno(),),
                env=environment,
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )

    def end(self) -> None:
        """End it, where it runs."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.communicate()
                self._process = None
            self._forget_place()

    def _forget_place(self) -> None:
        if self._place:
            shutil.rmtree(Path(self._place).parent, ignore_errors=True)
            self._place = ""


own = OwnService()
atexit.register(own.end)

OWN = Extraction()
