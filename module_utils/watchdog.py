#!/usr/bin/python3
"""Ask the services of this host as their clients do, and replace those that hang.

A process that is stopped, deadlocked or starved still counts as running for systemd. This one asks
each service over the network and kills the unit that has not answered for long enough; systemd
starts it again. It judges only what systemd calls active, so what is stopped, starts or is
restarted on purpose is left alone. Of several nodes that need each other it replaces one at a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/research-watchdog/watches.json")
HISTORY = Path("/run/research-watchdog/restarts.json")
HOUR = 3600.0
PEER_SECONDS = 10.0
# How long a thread dump may take before the process is killed.
DUMP_SECONDS = 3.0
ERROR, WARNING, INFO = 3, 4, 6
NOTHING = "closes the connection without an answer"


@dataclass(frozen=True)
class Watch:
    """One service of this host, how it is asked, and when it counts as hung.

    Times are seconds: `interval` between two questions, `timeout` for an answer, `patience` without
    an answer until it hangs, `start` that it may take to answer for the first time.
    """

    name: str
    units: tuple[str, ...]
    ask: str  # http, resp or file
    interval: float
    timeout: float
    patience: float
    start: float
    address: str = "127.0.0.1"
    port: int = 0
    path: str = "/"
    tls_name: str = ""  # empty: without TLS
    account: str = ""
    dump_signal: str = ""
    node: str = ""
    peers: tuple[tuple[str, str], ...] = ()  # (name, address) of all nodes, in the order of turns


@dataclass(frozen=True)
class Unit:
    """What systemd says of a unit."""

    name: str
    state: str
    active_since: float  # of the monotonic clock
    pid: int = 0


@dataclass
class Record:
    """What was heard of a service, by the monotonic clock."""

    asked: float = 0.0
    answered: float = 0.0
    failing_since: float | None = None
    complaint: str = ""

    def note(self, complaint: str, now: float, watch: Watch) -> None:
        """Take in an answer, or what is wrong.

        A host that was suspended judges nobody by the time that it slept.
        """
        slept = now - self.asked > 3 * (watch.interval + watch.timeout)
        self.asked = now
        self.complaint = complaint
        if not complaint:
            self.answered = now
            self.failing_since = None
        elif self.failing_since is None or slept:
            self.failing_since = now


def silence(watch: Watch, record: Record, unit: Unit, now: float) -> float:
    """Return for how many seconds a service has hung, or 0 where it does not."""
    if record.failing_since is None or unit.state not in {"active", "reloading"}:
        return 0.0
    silent = now - max(record.failing_since, unit.active_since)
    started = record.answered > unit.active_since or now - unit.active_since >= watch.start
    return silent if started and silent >= watch.patience else 0.0


def not_before(restarts: Sequence[float], now: float, most: int, pause: float) -> float:
    """Return when a unit may be restarted next, by the times of its restarts.

    :param most: restarts within an hour
    :param pause: seconds after the first of them; each further one doubles it
    """
    recent = [each for each in restarts if now - each < HOUR]
    if not recent:
        return now
    earliest: float = recent[-1] + pause * 2.0 ** (len(recent) - 1)
    return max(earliest, recent[-most] + HOUR) if len(recent) >= most else earliest


@dataclass(frozen=True)
class Peer:
    """How another node answered: it answers, hangs (accepts and is silent) or is away."""

    state: str
    since: float


def whose_turn(watch: Watch, peers: Mapping[str, Peer], now: float) -> str:
    """Return what a node that hangs has to wait for before it is replaced, or nothing.

    A node that is away may be in the middle of its own restart, so all wait for it, but no longer
    than a start may take: then its host is dead. Nodes that hang at once go in the order of the
    list, for which the later ones wait as long.
    """
    limit = watch.start + watch.patience
    before_me = True
    for name, _ in watch.peers:
        if name == watch.node:
            before_me = False
            continue
        peer = peers.get(name)
        if peer is None or peer.state == "answers" or now - peer.since >= limit:
            continue
        if peer.state == "away" or before_me:
            return f"{name} {peer.state if peer.state == 'hangs' else 'is away'}"
    return ""


class Question:
    """Asks services; what it returns says what is wrong, and nothing where they answered."""

    def __init__(self, authority: str, accounts: Mapping[str, Mapping[str, str]]) -> None:
        self._context = ssl.create_default_context(cafile=authority) if authority else None
        self._accounts = accounts

    async def ask(self, watch: Watch) -> str:
        """Ask the service of this host."""
        if watch.ask == "file":
            return _untouched(watch)
        return (await self._connect(watch, watch.address, watch.tls_name))[1]

    async def ask_peer(self, watch: Watch, name: str, address: str) -> str:
        """Ask the same of another node: answers, hangs or away."""
        connected, complaint = await self._connect(watch, address, name)
        if not complaint:
            return "answers"
        return "hangs" if connected else "away"

    async def _connect(self, watch: Watch, address: str, name: str) -> tuple[bool, str]:
        """Return whether the port accepted, and what is wrong."""
        try:
            async with asyncio.timeout(watch.timeout):
                plain = await asyncio.open_connection(address, watch.port)
        except TimeoutError:
            return False, f"does not accept a connection on port {watch.port}"
        except OSError as error:
            return False, f"refuses a connection on port {watch.port} ({error.strerror or error})"
        reader, writer = plain
        try:
            async with asyncio.timeout(watch.timeout):
                if watch.tls_name and self._context:
                    await writer.start_tls(self._context, server_hostname=name)
                return True, await self._converse(watch, name, reader, writer)
        except TimeoutError:
            return True, f"accepts a connection on port {watch.port} and does not answer"
        except ssl.SSLCertVerificationError:
            return True, ""  # whatever is wrong with its certificate, it answered
        except OSError as error:
            return True, f"breaks off on port {watch.port} ({error.strerror or error})"
        finally:
            writer.transport.abort()

    async def _converse(
        self, watch: Watch, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str:
        """Send the question; any answer of the protocol is one, a refusal too."""
        account = self._accounts.get(watch.account, {})
        if watch.ask == "http":
            writer.write(http_question(watch.path, name or watch.address, account))
            expected: tuple[bytes, ...] = (b"HTTP/",)
        else:
            writer.write(resp_question(account))
            expected = (b"+", b"-")
        answer = await reader.readline()
        if answer.startswith(expected):
            return ""
        return f"answers {answer[:40]!r} on port {watch.port}" if answer else NOTHING


def http_question(path: str, host: str, account: Mapping[str, str]) -> bytes:
    """Return a GET, signed in where there is an account."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines.append("User-Agent: research-watchdog")
    if account:
        pair = b64encode(f"{account['user']}:{account['password']}".encode()).decode()
        lines.append(f"Authorization: Basic {pair}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def resp_question(account: Mapping[str, str]) -> bytes:
    """Return a PING in the protocol of Redis and Valkey, signed in where there is an account."""
    commands = [["AUTH", account["user"], account["password"]]] if account else []
    commands.append(["PING"])
    words = [[word.encode() for word in command] for command in commands]
    return b"".join(
        b"*%d\r\n" % len(each) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in each)
        for each in words
    )


def _untouched(watch: Watch) -> str:
    """Say how long ago a service last touched its file, if that is too long ago."""
    try:
        age = time.time() - Path(watch.path).stat().st_mtime
    except OSError:
        return f"has not touched {watch.path}"
    return f"has not touched {watch.path} for {age:.0f} s" if age > watch.timeout else ""


async def run(*command: str, seconds: float = 30) -> str:
    """Run a command and return what it printed; one that fails or takes too long says so."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    try:
        output, errors = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        process.kill()
        say(WARNING, f"{' '.join(command)} takes longer than {seconds:.0f} s")
        return ""
    if process.returncode:
        say(WARNING, f"{' '.join(command)}: {errors.decode().strip()}")
    return output.decode()


def active_unit(shown: str, default: str) -> Unit:
    """Return the unit that runs, of what `systemctl show` printed of one or several."""
    units = []
    for block in shown.strip().split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        since = int(values.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
        pid = int(values.get("MainPID") or 0)
        units.append(Unit(values.get("Id", default), values.get("ActiveState", ""), since, pid))
    running = [unit for unit in units if unit.state in {"active", "reloading"}]
    return (running or units)[0]


def process_state(pid: int) -> str:
    """Return what the kernel says of a process, for the log."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "no main process"
    values = dict(line.partition(":")[::2] for line in status.splitlines())
    state, threads = values.get("State", "").strip(), values.get("Threads", "").strip()
    return f"process {pid} is in state {state} with {threads} threads"


def say(level: int, text: str) -> None:
    """Write to the journal."""
    print(f"<{level}>{text}", flush=True)


@dataclass
class History:
    """When each unit was restarted; kept while the host is up."""

    path: Path = HISTORY
    restarts: dict[str, list[float]] = field(default_factory=dict)

    def load(self) -> None:
        """Read what an earlier process of this one wrote."""
        try:
            self.restarts = json.loads(self.path.read_text())
        except (OSError, ValueError):
            self.restarts = {}

    def add(self, unit: str, now: float) -> None:
        """Note a restart."""
        kept = [each for each in self.restarts.get(unit, []) if now - each < HOUR]
        self.restarts[unit] = [*kept, now]
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps(self.restarts))
        draft.replace(self.path)


class Keeper:
    """Watches one service."""

    def __init__(
        self, watch: Watch, question: Question, history: History, most: int, pause: float
    ) -> None:
        self._watch = watch
        self._question = question
        self._history = history
        self._most = most
        self._pause = pause
        self._record = Record()
        self._peers: dict[str, Peer] = {}
        self._said = ""
        self._killed: float | None = None

    async def keep(self) -> None:
        """Ask again and again."""
        while True:
            complaint = await self._question.ask(self._watch)
            now = time.monotonic()
            self._record.note(complaint, now, self._watch)
            if complaint:
                await self._judge()
            else:
                self._well(now)
            await asyncio.sleep(self._watch.interval)

    async def know_peers(self) -> None:
        """Ask the other nodes, so that it is known for how long one has been away."""
        while True:
            await self._ask_peers()
            await asyncio.sleep(PEER_SECONDS)

    async def _ask_peers(self) -> None:
        others = [peer for peer in self._watch.peers if peer[0] != self._watch.node]
        asked = (self._question.ask_peer(self._watch, *peer) for peer in others)
        for (name, _), state in zip(others, await asyncio.gather(*asked), strict=True):
            known = self._peers.get(name)
            answers = known is not None and known.state == "answers"
            if known is None or answers or state == "answers":
                self._peers[name] = Peer(state, time.monotonic())
            else:
                self._peers[name] = Peer(state, known.since)

    def _well(self, now: float) -> None:
        if self._killed is not None:
            seconds = now - self._killed
            say(INFO, f"{self._watch.name}: answers again, {seconds:.0f} s after it was killed")
        self._killed, self._said = None, ""

    async def _judge(self) -> None:
        properties = "--property=Id,ActiveState,ActiveEnterTimestampMonotonic,MainPID"
        shown = await run("systemctl", "show", properties, *self._watch.units)
        unit = active_unit(shown, self._watch.units[0])
        now = time.monotonic()
        silent = silence(self._watch, self._record, unit, now)
        if not silent:
            return
        reason = f"{unit.name} hangs: it {self._record.complaint}, for {silent:.0f} s"
        hindrance = self._too_often(unit, now) or await self._somebody_elses_turn()
        if not hindrance:
            await self._replace(unit, reason)
        elif hindrance != self._said:
            say(WARNING, f"{reason}; it is not replaced now: {hindrance}")
            self._said = hindrance

    def _too_often(self, unit: Unit, now: float) -> str:
        restarts = self._history.restarts.get(unit.name, [])
        allowed = not_before(restarts, now, self._most, self._pause)
        if now >= allowed:
            return ""
        count = sum(now - each < HOUR for each in restarts)
        at = time.strftime("%H:%M", time.localtime(time.time() + allowed - now))
        so = f"given up until {at}" if count >= self._most else f"the next attempt is due at {at}"
        return f"restarted {count} times within the hour (at most {self._most}), {so}"

    async def _somebody_elses_turn(self) -> str:
        if not self._watch.peers:
            return ""
        await self._ask_peers()
        return whose_turn(self._watch, self._peers, time.monotonic())

    async def _replace(self, unit: Unit, reason: str) -> None:
        """Kill a unit and start it again; a process that hangs heeds nothing less."""
        say(ERROR, f"{reason}; {process_state(unit.pid)}; it is killed and started again")
        self._said = ""
        self._killed = time.monotonic()
        self._history.add(unit.name, self._killed)
        if self._watch.dump_signal:
            dump = f"--signal={self._watch.dump_signal}"
            await run("systemctl", "kill", "--kill-whom=main", dump, unit.name)
            await asyncio.sleep(DUMP_SECONDS)
        await run("systemctl", "kill", "--signal=KILL", unit.name)
        await run("systemctl", "restart", "--no-block", unit.name)
        self._record.failing_since = None


def notify(text: str) -> None:
    """Tell systemd, where it has started this."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.sendto(text.encode(), address.replace("@", "\0", 1))


async def sign_of_life() -> None:
    """Feed systemd's watchdog: this process may hang as well."""
    notify("READY=1")
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(5)


def read_watches(settings: Mapping[str, Any]) -> list[Watch]:
    """Return what to watch.

    :raises ValueError: where the settings say something that cannot be
    """
    watches = []
    for entry in settings["watches"]:
        values = dict(entry)
        values["units"] = tuple(values["units"])
        values["peers"] = tuple((peer["name"], peer["address"]) for peer in values.get("peers", ()))
        try:
            watch = Watch(**values)
        except TypeError as error:
            raise ValueError(f"the watch {entry.get('name')!r}: {error}") from error
        if watch.ask not in {"http", "resp", "file"}:
            raise ValueError(f"the watch {watch.name!r} asks by {watch.ask!r}: http, resp or file")
        if watch.dump_signal and watch.dump_signal not in signal.Signals.__members__:
            raise ValueError(f"the watch {watch.name!r}: there is no signal {watch.dump_signal!r}")
        watches.append(watch)
    return watches


def read_accounts() -> dict[str, dict[str, str]]:
    """Return who may ask, from the file that systemd hands over."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    file = Path(folder) / "accounts.json"
    accounts: dict[str, dict[str, str]] = json.loads(file.read_text()) if folder else {}
    return accounts


async def watch_all(settings: Mapping[str, Any]) -> None:
    """Watch until killed."""
    history = History()
    history.load()
    watches = read_watches(settings)
    authority = settings["tls_ca"] if any(watch.tls_name for watch in watches) else ""
    question = Question(authority, read_accounts())
    limits = (settings["restarts_per_hour"], settings["pause"])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sign_of_life())
        for watch in watches:
            keeper = Keeper(watch, question, history, *limits)
            tasks.create_task(keeper.keep())
            if watch.peers:
                tasks.create_task(keeper.know_peers())


def main() -> int:
    """Watch; where the settings cannot be used, say why."""
    try:
        asyncio.run(watch_all(json.loads(SETTINGS.read_text())))
    except (OSError, ValueError, KeyError) as error:
        print(f"research-watchdog: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
