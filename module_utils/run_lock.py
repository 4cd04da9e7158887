"""One run at a time changes a site: who has its lock, and whether that run still lives.

The lock is a record in a folder of a host. It needs no process there: it counts for as long as its
run was heard of lately, by a clock that nobody sets.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RECORD = "held"
UPTIME = Path("/proc/uptime")
# Beats that may get lost before a run counts as dead.
BEATS = 4


@dataclass(frozen=True)
class Claim:
    """A run that wants the lock, or has it."""

    token: str
    owner: str  # user@controller
    process: int
    playbook: str
    since: str
    expiry: float  # seconds without a beat after which it counts as dead


@dataclass(frozen=True)
class Held:
    """The lock as a host has it."""

    claim: Claim
    age: float  # seconds since the last beat; negative where the host was started since

    def lives(self) -> bool:
        """Tell whether the run that has it was heard of lately."""
        return 0 <= self.age < self.claim.expiry


def in_the_way(held: Held | None, claim: Claim) -> Held | None:
    """Return the lock of another run that lives, or nothing where the claim may have it."""
    if held is None or held.claim.token == claim.token or not held.lives():
        return None
    return held


def refusal(held: Held) -> str:
    """Return what a run is told that came second."""
    run = held.claim
    return (
        f"{run.owner} (process {run.process}) runs {run.playbook} on this site since {run.since},"
        f" heard of {held.age:.0f} s ago: wait until it ends, or end it there (a run that died is"
        f" forgotten after {run.expiry:.0f} s); this run has changed nothing."
    )


def lost(owner: str) -> str:
    """Return what a run is told whose lock another one took."""
    return (
        f"this run was not heard of for so long that {owner} took its lock: it stops here, so that"
        " not two change the site; run it again when the other has ended."
    )


class Folder:
    """Where a host keeps the lock."""

    def __init__(self, path: str, uptime: Callable[[], float] | None = None) -> None:
        self.path = Path(path)
        self.uptime = uptime or (lambda: float(UPTIME.read_text().split()[0]))

    def take(self, claim: Claim) -> Held | None:
        """Take the lock, or take it again; return whose it is if it cannot be had."""
        with self.alone():
            held = self.held()
            other = in_the_way(held, claim)
            if other:
                return other
            self.beat(claim.token).write_text(f"{self.uptime()}\n")
            fresh = self.path / f"{RECORD}.new"
            fresh.write_text(json.dumps(asdict(claim), indent=1) + "\n")
            fresh.replace(self.path / RECORD)
            if held and held.claim.token != claim.token:
                self.beat(held.claim.token).unlink(missing_ok=True)
        return None

    def held(self) -> Held | None:
        """Return the lock that is there; one that cannot be read is none."""
        try:
            claim = Claim(**json.loads((self.path / RECORD).read_text()))
            heard = float(self.beat(claim.token).read_text().split()[0])
        except (OSError, ValueError, TypeError, IndexError):
            return None
        return Held(claim, self.uptime() - heard)

    def beat(self, token: str) -> Path:
        """Return the file that tells when a run was heard of."""
        return self.path / f"beat-{token}"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from the folder meanwhile."""
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self.path / "guard").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield


def beat_command(path: str, token: str) -> str:
    """Return the shell's command that says a run lives; it fails where the lock is another's."""
    record, beat = (shlex.quote(f"{path}/{name}") for name in (RECORD, f"beat-{token}"))
    # No Python: it is said every few seconds, for hours.
    return f"grep -qsF {shlex.quote(token)} {record} && cat {UPTIME} > {beat}"


def release_command(path: str, token: str) -> str:
    """Return the shell's command that gives a run's lock back, and no other's."""
    record, beat = (shlex.quote(f"{path}/{name}") for name in (RECORD, f"beat-{token}"))
    guarded = f"grep -qsF {shlex.quote(token)} {record} && rm -f {record} {beat}"
    guard = shlex.quote(f"{path}/guard")
    return f"flock -w 10 {guard} sh -c {shlex.quote(guarded)}"


@dataclass(frozen=True)
class Process:
    """A process of this machine; its number alone may be another's soon."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return the process that has a number now."""
        return cls(pid, started(pid))

    def lives(self) -> bool:
        """Tell whether it still runs."""
        return bool(self.started) and started(self.pid) == self.started


def started(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; nothing for one that ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


class Heart:
    """Says on a host that a run lives, for as long as it does."""

    TICK = 0.5

    def __init__(
        self, expiry: float, lives: Callable[[], bool], beat: Callable[[], Any],
        clock: Callable[[], float], sleep: Callable[[float], None],
    ) -> None:  # fmt: skip
        self.interval = expiry / BEATS
        self.lives, self.beat, self.clock, self.sleep = lives, beat, clock, sleep

    def run(self) -> None:
        """Beat until the run has ended."""
        due = self.clock() + self.interval
        while self.lives():
            if self.clock() >= due:
                with contextlib.suppress(Exception):  # a host that is away may come back
                    self.beat()
                due = self.clock() + self.interval
            self.sleep(self.TICK)


class Run:
    """What a run knows of its lock, in the folder that Ansible makes and removes for it."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder) / "run-lock"

    def claim(self, make: Callable[[], Claim]) -> Claim:
        """Return the run's claim, which is made once."""
        file = self.folder / "claim.json"
        if not file.is_file():
            self.folder.mkdir(exist_ok=True)
            file.write_text(json.dumps(asdict(make())))
        return Claim(**json.loads(file.read_text()))

    def hosts(self, kind: str) -> set[str]:
        """Return the hosts that were asked, keep the lock, or keep it for another run."""
        return {file.name.partition(":")[2] for file in self.folder.glob(f"{kind}:*")}

    def note(self, kind: str, host: str, text: str = "") -> None:
        """Note something of a host."""
        (self.folder / f"{kind}:{host}").write_text(text)

    def forget(self, kind: str, host: str) -> None:
        """Forget it again."""
        (self.folder / f"{kind}:{host}").unlink(missing_ok=True)

    def taken_over(self) -> str:
        """Return who has the lock instead: it is lost when no host keeps it for this run."""
        gone = self.hosts("lost")
        if not gone or self.hosts("kept") - gone:
            return ""
        return (self.folder / f"lost:{min(gone)}").read_text()

    def ended_well(self) -> bool:
        """Tell whether the run has cleaned up behind it: then nothing of it goes on."""
        return not self.folder.exists()


def silenced() -> None:
    """Let go of everything that this process has open, so that nobody waits for it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            # Taken over and not closed: objects that own the number will close it some day.
            os.fstat(int(name))
            if int(name) != nothing:
                os.dup2(nothing, int(name), inheritable=int(name) < 3)


def detached(work: Callable[[], Any]) -> None:
    """Do something in a process of its own, which this one is not asked about again."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            silenced()
            work()
    finally:
        os._exit(0)
