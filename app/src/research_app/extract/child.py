"""The process that reads one document and ends.

Whatever the document makes of it: it has the document, a pipe for its answers, and nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import orjson

from research_app.extract.kinds import KINDS, Limits
from research_app.extract.readers import READERS
from research_app.extract.wire import BATCH_BYTES, BATCH_SECONDS, Request, write_frame
from research_app.refusal import RefusedError

DOCUMENT, ANSWERS = 3, 4
MAX_FILES = 256
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4

# so many answers are held where those before were small; each may be as large as any
SMALL_AT_ONCE = 16
SMALL_BYTES = 1024

# A document makes a million small objects that all stay to the end; looking every 700 of them for
# what is of no use any more took a quarter of the time.
NEW_OBJECTS = 200_000

TOO_MUCH_MEMORY = "it needs more memory than one file may take"

_libc = ctypes.CDLL(None, use_errno=True)


def harden(*settings: tuple[int, int]) -> None:
    """Say something of this process to the kernel (prctl)."""
    for name, value in settings:
        if _libc.prctl(name, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


def read(request: Request, parent: int) -> NoReturn:
    """Answer one request, in a process that was forked for it."""
    status = 1
    try:
        harden((PR_SET_PDEATHSIG, signal.SIGKILL))
        if os.getppid() == parent:  # else it ended before that was said
            os.setsid()
            _keep_only(request.document, request.answers)
            _limit(KINDS[request.kind])
            with os.fdopen(DOCUMENT, "rb") as document, os.fdopen(ANSWERS, "wb") as answers:
                answer(document, answers, request.kind, request.options)
            status = 0
    finally:
        os._exit(status)


def _keep_only(document: int, answers: int) -> None:
    """Let go of every other file and connection; what is read and written gets known numbers."""
    nothing = os.open(os.devnull, os.O_RDWR)
    held = [os.dup(document), os.dup(answers)]  # neither is in the way of the other
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(held[0], DOCUMENT, inheritable=False)
    os.dup2(held[1], ANSWERS, inheritable=False)
    os.closerange(ANSWERS + 1, os.sysconf("SC_OPEN_MAX"))


def _limit(limits: Limits) -> None:
    harden((PR_SET_DUMPABLE, 1))  # what follows may only be written by who can be looked into
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory runs out, it goes first
    harden((PR_SET_DUMPABLE, 0))  # and now no other reader sees this one's document
    most = {
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: MAX_FILES,
    }
    if not limits.starts_others:
        most[resource.RLIMIT_NPROC] = 0
    for name, value in most.items():
        resource.setrlimit(name, (value, value))
    # a second between the signal that says why, and the end
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds + 1))


class _Frames:
    """Answers in frames, each a list of some.

    To write a few small answers as JSON takes hardly longer than to write one of them.
    """

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._waiting: list[Any] = []
        self._at_once = 1
        self._written: list[bytes] = []
        self._size = 0
        self._sent = time.monotonic()

    def add(self, found: Any) -> None:
        """One more answer; those so far are sent where they are many, or have waited."""
        self._waiting.append(found)
        late = time.monotonic() > self._sent + BATCH_SECONDS
        if late or len(self._waiting) >= self._at_once:
            self._write()
        if late or self._size > BATCH_BYTES:
            self.send()

    def _write(self) -> None:
        if self._waiting:
            content = orjson.dumps(self._waiting)[1:-1]
            small = len(content) < SMALL_BYTES * len(self._waiting)
            self._at_once = SMALL_AT_ONCE if small else 1
            self._written.append(content)
            self._size += len(content)
            self._waiting = []

    def send(self) -> None:
        """Send what is there, also where that is nothing."""
        self._write()
        write_frame(self._pipe, b"[" + b",".join(self._written) + b"]")
        self._written, self._size, self._sent = [], 0, time.monotonic()


def answer(document: BinaryIO, answers: BinaryIO, kind: str, options: dict[str, Any]) -> None:
    """The answers in frames, each a list of some; at the end the reason why there are no more."""
    gc.set_threshold(NEW_OBJECTS, 10, 10)
    try:
        document.seek(0)
        frames = _Frames(answers)
        for found in READERS[kind](document, options):
            frames.add(found)
        frames.send()
    except BrokenPipeError:  # nobody wants to know any more
        return
    except RefusedError as error:
        reason = str(error)
    except MemoryError:
        reason = TOO_MUCH_MEMORY
    except Exception as error:
        reason = f"cannot be read ({type(error).__name__})"
    else:
        return
    write_frame(answers, orjson.dumps({"refused": reason}))
