"""research-extract: has documents of strangers read, each in a process that ends with it.

    python -m research_app.extract.service            the socket is systemd's
    python -m research_app.extract.service --own N    it is the open file N, whoever started this
                                                      holds the other end of standard input, and
                                                      this ends with them

The parsers are loaded once and shared by the processes that are forked, so that a new one for each
document takes milliseconds. This process itself never looks into a document.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from research_app.extract import child
from research_app.extract.kinds import KINDS, Lane
from research_app.extract.wire import STARTED, MalformedError, Request, received
from research_app.systemd import notify, watchdog_seconds

FIRST_OF_SYSTEMD = 3
MAX_CONNECTIONS = 256
REQUEST_SECONDS = 10.0  # a connection that asks nothing for so long is closed
AT_ONCE: dict[Lane, int] = {"one": min(4, os.cpu_count() or 1), "many": 32, "long": 1, "slow": 1}

CRASHED = "damaged: it crashes its reader, or needs more memory than one file may take"
NO_FILE = "not a file that can be read"

PR_SET_CHILD_SUBREAPER = 36


def overrun(seconds: float) -> str:
    """Why a document was given up."""
    return f"reading it takes over {seconds:.0f} seconds"


@dataclass(slots=True, eq=False)
class Asked:
    """One connection: what is asked on it, and the process that answers."""

    connection: socket.socket
    until: float | None
    request: Request | None = None
    process: int = 0
    watched: int = -1
    overran: bool = False


@dataclass(slots=True)
class Service:
    """Takes requests, starts a process for each, and ends those that overrun."""

    listener: socket.socket
    # ends with its parent, where it has one that matters
    lifeline: int | None = None
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _open: set[Asked] = field(default_factory=set)
    _waiting: list[Asked] = field(default_factory=list)
    _running: dict[int, Asked] = field(default_factory=dict)
    _ended: bool = False

    def run(self) -> None:
        """Serve until told to end."""
        self.listener.setblocking(False)
        self._watch(self.listener, self._accept)
        if self.lifeline is not None:
            self._watch(self.lifeline, self._end)
        beat = (watchdog_seconds() or 30.0) / 3
        notify("READY=1")
        while not self._ended:
            for key, _ in self._selector.select(self._pause(beat)):
                if key.fd in self._selector.get_map():  # an earlier one may have ended it
                    key.data()
            self._end_what_overruns()
            self._start_what_waits()
            notify("WATCHDOG=1")
        for asked in list(self._running.values()):
            self._kill(asked)

    def _end(self) -> None:
        self._ended = True

    def _watch(self, file: socket.socket | int, act: Callable[[], None]) -> None:
        self._selector.register(file, selectors.EVENT_READ, act)

    def _pause(self, beat: float) -> float:
        """How long there is nothing to do but to listen."""
        due = [asked.until for asked in self._open if asked.until is not None]
        return min([beat, *(max(0.0, until - time.monotonic()) for until in due)])

    # connections

    def _accept(self) -> None:
        if len(self._open) >= MAX_CONNECTIONS:
            self._selector.unregister(self.listener)  # until one of them ends
            return
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        asked = Asked(connection, time.monotonic() + REQUEST_SECONDS)
        self._open.add(asked)
        self._watch(connection, lambda: self._hear(asked))

    def _hear(self, asked: Asked) -> None:
        """A request; or whoever asked has gone, and nobody waits for the answer."""
        if asked.request is not None:
            self._close(asked)
            return
        try:
            request = received(asked.connection)
        except (MalformedError, OSError):
            self._close(asked)
            return
        asked.request, asked.until = request, None
        if request.kind not in KINDS:  # whoever asks is of another release, and is heard later
            sys.stderr.write(f"nothing here reads what is called {request.kind[:100]!r}\n")
            self._close(asked)
        elif not stat.S_ISREG(os.fstat(request.document).st_mode):
            asked.connection.send(STARTED)
            self._close(asked, NO_FILE)
        else:
            self._waiting.append(asked)

    def _close(self, asked: Asked, refused: str = "", *, verdict: bool = False) -> None:
        """End what is asked; the verdict is given where there is one."""
        if asked not in self._open:
            return
        self._open.discard(asked)
        if asked in self._waiting:
            self._waiting.remove(asked)
        self._kill(asked)
        self._release(asked)
        self._selector.unregister(asked.connection)
        if refused or verdict:
            with contextlib.suppress(OSError):
                asked.connection.send(orjson.dumps({"refused": refused} if refused else {}))
        asked.connection.close()
        if self.listener.fileno() not in self._selector.get_map():
            self._watch(self.listener, self._accept)

    @staticmethod
    def _release(asked: Asked) -> None:
        """Close the files of a request: they are for the process that reads them."""
        if asked.request is not None:
            for file in (asked.request.document, asked.request.answers):
                with contextlib.suppress(OSError):
                    os.close(file)
            asked.request = Request(asked.request.kind, asked.request.options, -1, -1)

    # processes

    def _start_what_waits(self) -> None:
        free = dict(AT_ONCE)
        for asked in self._running.values():
            assert asked.request is not None  # noqa: S101
            free[KINDS[asked.request.kind].lane] -= 1
        for asked in list(self._waiting):
            assert asked.request is not None  # noqa: S101
            lane = KINDS[asked.request.kind].lane
            if free[lane] > 0:
                free[lane] -= 1
                self._waiting.remove(asked)
                self._start(asked, asked.request)

    def _start(self, asked: Asked, request: Request) -> None:
        try:
            asked.connection.send(STARTED)
            process = os.fork()
        except OSError:
            self._close(asked)
            return
        if process == 0:
            child.read(request, os.getppid())
        asked.process = process
        asked.watched = os.pidfd_open(process)
        limits = KINDS[request.kind]
        asked.until = time.monotonic() + limits.seconds if limits.lane == "one" else None
        self._running[process] = asked
        self._watch(asked.watched, lambda: self._reap(asked))
        self._release(asked)

    def _reap(self, asked: Asked) -> None:
        """A process has ended: the verdict on its document."""
        self._selector.unregister(asked.watched)
        os.close(asked.watched)
        del self._running[asked.process]
        _, status = os.waitpid(asked.process, 0)
        asked.process = 0
        code = os.waitstatus_to_exitcode(status)
        assert asked.request is not None  # noqa: S101
        if asked.overran or code == -signal.SIGXCPU:
            self._close(asked, overrun(KINDS[asked.request.kind].seconds))
        else:
            self._close(asked, CRASHED if code else "", verdict=True)
        self._end_strays()

    def _kill(self, asked: Asked) -> None:
        """End a process and what it has started; it is reaped when it has ended."""
        if asked.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(asked.process, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(asked.process, signal.SIGKILL)  # perhaps not yet a group of its own

    def _end_strays(self) -> None:
        """What a reader started and left behind has come to this process, and ends here."""
        try:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        except OSError:
            return
        for process in map(int, children.split()):
            if process not in self._running:
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)
                    os.waitpid(process, 0)

    def _end_what_overruns(self) -> None:
        now = time.monotonic()
        for asked in list(self._open):
            if asked.until is not None and now > asked.until:
                if asked.process:
                    asked.overran, asked.until = True, None
                    self._kill(asked)
                else:
                    self._close(asked)


def main() -> None:
    """Serve on the socket that is given."""
    own = int(sys.argv[2]) if sys.argv[1:2] == ["--own"] else None
    if own is None and os.environ.get("LISTEN_PID") != str(os.getpid()):
        sys.exit("research-extract: systemd gives no socket: start research-extract.socket")
    listener = socket.socket(fileno=FIRST_OF_SYSTEMD if own is None else own)
    listener.set_inheritable(False)
    child.harden((child.PR_SET_DUMPABLE, 0), (PR_SET_CHILD_SUBREAPER, 1))
    gc.freeze()  # what is loaded now is shared, and not touched by each process
    try:
        Service(listener, None if own is None else sys.stdin.fileno()).run()
    finally:
        if own is not None:
            place = Path(listener.getsockname())
            place.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                place.parent.rmdir()


if __name__ == "__main__":
    main()
