"""When the watchdog takes a service for hung, when it may replace it, and whose turn it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ansible.module_utils import watchdog
from ansible.module_utils.watchdog import (
    History,
    Peer,
    Question,
    Record,
    Unit,
    Watch,
    active_unit,
    not_before,
    read_watches,
    resp_question,
    silence,
    whose_turn,
)

WATCH = Watch(
    name="search",
    units=("search.service",),
    ask="http",
    interval=5,
    timeout=10,
    patience=30,
    start=300,
    node="os2",
    peers=(("os1", "192.0.2.1"), ("os2", "192.0.2.2"), ("os3", "192.0.2.3")),
)
NOW = 10_000.0


@pytest.mark.parametrize(
    ("state", "active_for", "answered_ago", "failing_for", "hangs"),
    [
        ("active", 5000, 40, 35, True),
        ("reloading", 5000, 40, 35, True),
        ("active", 5000, 40, 29, False),  # not yet
        ("active", 5000, 0, None, False),  # it answers
        ("inactive", 5000, 40, 35, False),  # stopped on purpose
        ("deactivating", 5000, 40, 35, False),
        ("activating", 5000, 40, 35, False),
        ("failed", 5000, 40, 35, False),
        ("active", 20, 60, 55, False),  # restarted since it failed: the time counts anew
        ("active", 200, 260, 255, False),  # it starts, and has not answered yet
        ("active", 310, 400, 390, True),  # a start that does not end
        ("active", 5000, 9000, 35, True),  # never heard by this watchdog, but started long ago
        ("active", 100, 50, 45, True),  # answered after its start
    ],
)
def test_when_a_service_hangs(
    state: str, active_for: float, answered_ago: float, failing_for: float | None, hangs: bool
) -> None:
    failing = None if failing_for is None else NOW - failing_for
    record = Record(asked=NOW, answered=NOW - answered_ago, failing_since=failing)
    unit = Unit("search.service", state, NOW - active_for)
    assert bool(silence(WATCH, record, unit, NOW)) is hangs


def test_one_answer_ends_the_silence() -> None:
    record = Record()
    for second, complaint in [(0, ""), (10, "silent"), (20, "silent"), (25, ""), (35, "silent")]:
        record.note(complaint, NOW + second, WATCH)
    assert record.failing_since == NOW + 35
    assert record.answered == NOW + 25


def test_the_time_that_the_host_slept_counts_for_nobody() -> None:
    record = Record()
    record.note("", NOW, WATCH)
    record.note("silent", NOW + 10, WATCH)
    record.note("silent", NOW + 500, WATCH)
    assert record.failing_since == NOW + 500


@pytest.mark.parametrize(
    ("ago", "wait"),
    [
        ([], 0),
        ([4000], 0),  # more than an hour ago
        ([70], 0),
        ([10], 50),
        ([200, 10], 110),  # the pause doubles
        ([900, 200, 10], 230),
        ([3500, 900, 800, 700], 100),  # the fourth within the hour: given up until it is over
        ([1000, 900, 800, 700], 2600),
        ([5000, 1000, 900, 800], 0),
    ],
)
def test_restarts_are_limited(ago: list[float], wait: float) -> None:
    allowed = not_before([NOW - each for each in ago], NOW, most=4, pause=60)
    assert max(0.0, allowed - NOW) == wait


LONG, SHORT = NOW - 1000, NOW - 20


@pytest.mark.parametrize(
    ("os1", "os3", "waits_for"),
    [
        (Peer("answers", LONG), Peer("answers", LONG), ""),
        (Peer("away", SHORT), Peer("answers", LONG), "os1 is away"),
        (Peer("answers", LONG), Peer("away", SHORT), "os3 is away"),
        (Peer("hangs", SHORT), Peer("answers", LONG), "os1 hangs"),  # its turn is before mine
        (Peer("answers", LONG), Peer("hangs", SHORT), ""),  # my turn is before its
        (Peer("hangs", SHORT), Peer("hangs", SHORT), "os1 hangs"),
        (Peer("hangs", SHORT), Peer("away", SHORT), "os1 hangs"),
        (Peer("away", LONG), Peer("answers", LONG), ""),  # its host is dead
        (Peer("hangs", LONG), Peer("answers", LONG), ""),  # nobody replaces it
        (Peer("away", LONG), Peer("away", SHORT), "os3 is away"),
    ],
)
def test_one_node_of_several_is_replaced_at_a_time(os1: Peer, os3: Peer, waits_for: str) -> None:
    assert whose_turn(WATCH, {"os1": os1, "os3": os3}, NOW) == waits_for


@pytest.mark.parametrize("hung", [("os1", "os2"), ("os2", "os3"), ("os1", "os2", "os3")])
def test_of_nodes_that_hang_at_once_exactly_one_goes_first(hung: tuple[str, ...]) -> None:
    def turn(node: str) -> str:
        others = {name for name, _ in WATCH.peers} - {node}
        seen = {name: Peer("hangs" if name in hung else "answers", SHORT) for name in others}
        return whose_turn(replace(WATCH, node=node), seen, NOW)

    assert [node for node in hung if not turn(node)] == [hung[0]]


def test_of_several_units_the_one_that_runs_is_meant() -> None:
    shown = (
        "Id=valkey-server.service\nActiveState=inactive\nActiveEnterTimestampMonotonic=0\nMainPID=0\n"
        "\nId=redis-server.service\nActiveState=active\n"
        "ActiveEnterTimestampMonotonic=7000000\nMainPID=12\n"
    )
    assert active_unit(shown, "") == Unit("redis-server.service", "active", 7.0, 12)


def test_restarts_outlast_the_watchdog_itself(tmp_path: Path) -> None:
    history = History(tmp_path / "restarts.json")
    history.load()
    history.add("search.service", NOW)
    history.add("search.service", NOW + 10)
    later = History(tmp_path / "restarts.json")
    later.load()
    assert later.restarts == {"search.service": [NOW, NOW + 10]}


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(text: bytes) -> Handler:
    """Return a service that answers anything with a text."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(text)
        writer.close()

    return handle


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept and say nothing."""
    await asyncio.sleep(10)


@pytest.mark.parametrize(
    ("ask", "handler", "complaint", "as_peer"),
    [
        ("http", answering(b"HTTP/1.1 200 OK\r\n\r\n"), "", "answers"),
        ("http", answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), "", "answers"),
        ("http", answering(b"HTTP/1.1 401 Unauthorized\r\n\r\n"), "", "answers"),
        ("resp", answering(b"+PONG\r\n"), "", "answers"),
        ("resp", answering(b"-NOAUTH Authentication required.\r\n"), "", "answers"),
        ("resp", answering(b"-LOADING the dataset\r\n"), "", "answers"),
        ("http", answering(b"220 smtp\r\n"), "answers b'220 smtp", "hangs"),
        ("http", answering(b""), "closes the connection without an answer", "hangs"),
        ("http", silent, "accepts a connection on port", "hangs"),
        ("resp", silent, "and does not answer", "hangs"),
        ("http", None, "refuses a connection on port", "away"),
    ],
)
def test_what_counts_as_an_answer(
    ask: str, handler: Handler | None, complaint: str, as_peer: str
) -> None:
    async def both() -> tuple[str, str]:
        server = await asyncio.start_server(handler or silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if handler is None:
            server.close()
            await server.wait_closed()
        watch = replace(WATCH, ask=ask, port=port, timeout=0.3)
        question = Question("", {})
        found = await question.ask(watch), await question.ask_peer(watch, "os1", "127.0.0.1")
        server.close()
        return found

    said, state = asyncio.run(both())
    assert complaint in said and bool(said) is bool(complaint)
    assert state == as_peer


def test_a_file_that_is_touched_is_an_answer(tmp_path: Path) -> None:
    watch = replace(WATCH, ask="file", path=str(tmp_path / "asked"), timeout=5)
    question = Question("", {})
    assert "has not touched" in asyncio.run(question.ask(watch))
    (tmp_path / "asked").touch()
    assert asyncio.run(question.ask(watch)) == ""
    long_ago = time.time() - 7
    os.utime(tmp_path / "asked", (long_ago, long_ago))
    assert asyncio.run(question.ask(watch)).endswith("for 7 s")


def test_a_password_is_sent_after_the_certificate_was_verified_alone() -> None:
    class Untrusted(asyncio.StreamWriter):
        sent = b""

        def __init__(self) -> None:
            methods = {"abort": lambda _: None, "is_closing": lambda _: True}
            self._transport = type("Transport", (), methods)()

        async def start_tls(self, *_: object, **__: object) -> None:
            raise ssl.SSLCertVerificationError

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.sent += bytes(data)

    assert resp_question({"user": "u", "password": "p"}).startswith(b"*3\r\n$4\r\nAUTH\r\n")
    writer = Untrusted()

    async def connect(*_: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return asyncio.StreamReader(), writer

    question = Question("", {"search": {"user": "u", "password": "p"}})
    question._context = ssl.create_default_context()
    watch = replace(WATCH, tls_name="os2", account="search")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "open_connection", connect)
        assert asyncio.run(question.ask(watch)) == ""
    assert writer.sent == b""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ask": "smtp"}, "'search' asks by 'smtp': http, resp or file"),
        ({"dump_signal": "SIGNONE"}, "there is no signal 'SIGNONE'"),
        ({"patient": 3}, "'search': "),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(
    change: dict[str, object], sentence: str
) -> None:
    entry = {"name": "search", "units": ["a"], "ask": "http", "interval": 1, "timeout": 1}
    entry |= {"patience": 1, "start": 1, **change}
    with pytest.raises(ValueError, match="the watch") as refused:
        read_watches(json.loads(json.dumps({"watches": [entry]})))
    assert sentence in str(refused.value)


def test_giving_up_and_waiting_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole of it, with systemd played by a function: four kills, then one line and no more."""
    asked: list[tuple[str, ...]] = []

    async def systemd(*command: str, seconds: float = 30) -> str:
        asked.append(command)
        return "Id=search.service\nActiveState=active\nActiveEnterTimestampMonotonic=1\nMainPID=1\n"

    monkeypatch.setattr(watchdog, "run", systemd)
    watch = replace(
        WATCH, ask="file", path=str(tmp_path / "never"), peers=(), interval=0.01, patience=0.02
    )
    history = History(tmp_path / "restarts.json")
    keeper = watchdog.Keeper(watch, Question("", {}), history, most=4, pause=0.01)

    async def for_a_while() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(keeper.keep(), 1.5)

    asyncio.run(for_a_while())
    said = capsys.readouterr().out
    assert [command[1] for command in asked].count("restart") == 4
    assert said.count("it is killed and started again") == 4
    assert said.count("given up until") == 1
    assert "<3>search.service hangs: it has not touched" in said
