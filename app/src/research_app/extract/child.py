"""The process that reads one document and ends.

Whatever the document makes of it: it has the document, a pipe for its answers, and nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
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


def answer(document: BinaryIO, answers: BinaryIO, kind: str, options: dict[str, Any]) -> None:
    """The answers in frames, each a list of some; at the end the reason why there are no more."""
    try:
        document.seek(0)
        batch: list[bytes] = []
        size, sent = 0, time.monotonic()
        for found in READERS[kind](document, options):
            batch.append(orjson.dumps(found))
            size += len(batch[-1])
            if size > BATCH_BYTES or time.monotonic() > sent + BATCH_SECONDS:
                write_frame(answers, b"[" + b",".join(batch) + b"]")
                batch, size, sent = [], 0, time.monotonic()
        write_frame(answers, b"[" + b",".join(batch) + b"]")
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
