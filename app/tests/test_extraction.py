"""Who reads documents: what a document may cost, and what becomes of it where its reader ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import orjson
import pytest
from pdfs import pdf
from reading import MEMORY, reading

from research_app.extract import extraction as asking
from research_app.extract import readers, wire
from research_app.extract.extraction import Extraction
from research_app.extract.kinds import KINDS, Limits
from research_app.extract.papers import Papers
from research_app.files import FileStore
from research_app.refusal import ReaderAwayError, RefusedError
from research_app.sources import pdf_folder
from research_app.sources.document import Workshop
from research_app.sources.outcome import outcome

QUICK = Limits(seconds=1, memory_bytes=MEMORY)

# What a reader may do when a document has it in its power.
POSSESSED = """
def taken_over(file, options):
    what = file.read().decode()
    yield from ACTS[what]()

def hang():
    while True: pass

def sleep():
    time.sleep(60)
    yield 1

def allocate():
    yield len(bytearray(2**31))

def crash():
    os.kill(os.getpid(), signal.SIGSEGV)
    yield 1

def leave():
    os._exit(0)
    yield 1

def raise_():
    raise KeyError("x")

def write():
    yield os.write(os.memfd_create("a file"), b"x")

def fork():
    pid = os.fork()
    if pid == 0: os._exit(0)
    yield "forked"

def files():
    yield sorted(int(name) for name in os.listdir("/proc/self/fd"))

def limits():
    names = ("AS", "CPU", "FSIZE", "CORE", "NPROC")
    yield {n: resource.getrlimit(getattr(resource, "RLIMIT_" + n)) for n in names}

def environment():
    yield sorted(os.environ)

def endless():
    while True: yield "x" * 100_000

def garbage():
    os.write(4, b"\\x00\\x00\\x00\\x05hello")
    yield 1

def huge():
    os.write(4, b"\\xff\\xff\\xff\\xff" + b"x" * 1000)
    yield 1

def twice():
    yield 1
    yield 2

def fine():
    yield "fine"

ACTS = {name.strip("_"): act for name, act in globals().items() if callable(act)}
READERS["x"] = READERS["xs"] = taken_over
"""


@pytest.fixture(scope="module")
def possessed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extraction]:
    """A reader that does what a document says."""
    with reading(
        tmp_path_factory.mktemp("possessed"),
        POSSESSED,
        x=QUICK,
        xs=Limits(seconds=1, memory_bytes=MEMORY, lane="many"),
    ) as (extraction, _):
        assert extraction.ask("x", b"fine") == "fine"  # it has started
        yield extraction


def test_every_kind_has_its_reader() -> None:
    assert set(KINDS) == set(readers.READERS)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("hang", "reading it takes over 1 seconds"),
        ("sleep", "reading it takes over 1 seconds"),
        ("allocate", "it needs more memory than one file may take"),
        ("crash", "damaged: it crashes its reader"),
        ("leave", "damaged: what its reader says of it makes no sense"),
        ("raise", "cannot be read (KeyError)"),
        ("garbage", "damaged: what its reader says of it makes no sense"),
        ("huge", "damaged: what its reader says of it makes no sense"),
        ("twice", "damaged: what its reader says of it makes no sense"),
    ],
)
def test_a_document_that_has_its_reader_in_its_power_costs_itself(
    possessed: Extraction, document: str, reason: str
) -> None:
    start = time.monotonic()
    with pytest.raises(RefusedError) as refused:
        possessed.ask("x", document.encode())
    assert str(refused.value).startswith(reason)
    assert not isinstance(refused.value, ReaderAwayError)
    assert time.monotonic() - start < 30
    assert possessed.ask("x", b"fine") == "fine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may fork whatever its limit is")
def test_it_starts_no_process(possessed: Extraction) -> None:
    with pytest.raises(RefusedError, match="BlockingIOError"):
        possessed.ask("x", b"fork")


def test_it_writes_no_file(possessed: Extraction) -> None:
    with pytest.raises(RefusedError):
        possessed.ask("x", b"write")
    assert possessed.ask("x", b"limits") == {
        "AS": [MEMORY, MEMORY],
        "CPU": [1, 2],
        "FSIZE": [0, 0],
        "CORE": [0, 0],
        "NPROC": [0, 0],
    }


def test_it_holds_nothing_but_the_document_and_the_pipe(possessed: Extraction) -> None:
    assert possessed.ask("x", b"files") == [0, 1, 2, 3, 4, 5]  # the last is the folder it lists


def test_it_has_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one that a process starts for itself; that of the service is its unit's."""
    monkeypatch.setenv("A_SECRET", "x")
    own = asking.OwnService()
    try:
        assert Extraction(own=own).ask("pdf", pdf("words"))["pages"] == 1
        assert own._process is not None
        environment = Path(f"/proc/{own._process.pid}/environ").read_bytes()
    finally:
        own.end()
    assert b"PATH=" in environment
    assert b"A_SECRET" not in environment


def test_many_answers_are_as_many_as_are_wanted(possessed: Extraction) -> None:
    answers = possessed.stream("xs", b"endless")
    assert len(list(islice(answers, 200))) == 200
    answers.close()  # type: ignore[attr-defined]
    assert possessed.ask("x", b"fine") == "fine"


@pytest.mark.parametrize("what", ["directory", "fifo", "device"])
def test_only_files_are_read(possessed: Extraction, tmp_path: Path, what: str) -> None:
    place = {"directory": tmp_path, "fifo": tmp_path / "fifo", "device": Path("/dev/zero")}[what]
    if what == "fifo":
        os.mkfifo(place)
    with pytest.raises(RefusedError, match="not a file that can be read"):
        possessed.ask("x", place)


def test_a_file_that_is_not_there_is_no_fault_of_the_reader(
    possessed: Extraction, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        possessed.ask("x", tmp_path / "missing")


def test_the_document_stays_as_it_is(possessed: Extraction, tmp_path: Path) -> None:
    path = tmp_path / "fine"
    path.write_bytes(b"fine")
    for _ in range(2):  # the place in a file that two have open is one
        assert possessed.ask("x", path) == "fine"


def told(extraction: Extraction, words: bytes, files: list[int]) -> bytes:
    """What the service says to a message."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(extraction._place)
        with contextlib.suppress(BrokenPipeError):
            socket.send_fds(connection, [words], files)
        with contextlib.suppress(ConnectionResetError):
            return connection.recv(4096)
    return b""


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (b"not JSON", 2),
        (b"[]", 2),
        (b'{"kind": "x"}', 2),
        (b'{"kind": 1, "options": {}}', 2),
        (b'{"kind": "x", "options": {}}', 0),
        (b'{"kind": "x", "options": {}}', 1),
        (b'{"kind": "x", "options": {}}', 3),
        (b'{"kind": "x", "options": {}}', 200),
        (b'{"kind": "nobody knows it", "options": {}}', 2),
        (b'{"kind": "__class__", "options": {}}', 2),
        (b'{"kind": "x", "options": {"x": "' + b"x" * 5000 + b'"}}', 2),
    ],
)
def test_what_is_no_request_is_not_answered(
    possessed: Extraction, words: bytes, count: int
) -> None:
    with open(os.devnull, "rb") as file:
        assert told(possessed, words, [file.fileno()] * count) == b""
    assert possessed.ask("x", b"fine") == "fine"


def test_a_connection_that_asks_nothing_stops_nobody(possessed: Extraction) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(50):
            connection = held.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(possessed._place)
        assert possessed.ask("x", b"fine") == "fine"


def children(process: int) -> list[int]:
    return [
        int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def soon(what: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether something comes true in some seconds."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


PATIENT = Limits(seconds=60, memory_bytes=MEMORY)


def test_whoever_asked_and_goes_takes_the_reader_along(tmp_path: Path) -> None:
    with reading(tmp_path, POSSESSED, x=PATIENT) as (extraction, service):

        async def run() -> None:
            asked = asyncio.create_task(extraction.soon("x", b"sleep"))
            await asyncio.to_thread(soon, lambda: bool(children(service.pid)))
            asked.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asked

        asyncio.run(run())
        assert soon(lambda: not children(service.pid)), "it goes on for nobody"


def test_a_reader_does_not_outlive_the_service(tmp_path: Path) -> None:
    with reading(tmp_path, POSSESSED, x=PATIENT) as (extraction, service):
        answers = extraction._asking("x", b"sleep", {}, asking.threading.Event())
        assert soon(lambda: bool(children(service.pid)))
        (reader,) = children(service.pid)
        os.kill(service.pid, signal.SIGKILL)
        service.wait()
        with answers, pytest.raises(ReaderAwayError):
            list(answers.answers())
        assert soon(lambda: not Path(f"/proc/{reader}").exists())


def test_the_service_of_a_process_does_not_outlive_it(tmp_path: Path) -> None:
    program = (
        "import os, signal; from pathlib import Path;"
        "from research_app.extract import extraction as e;"
        "p = e.own.place(); print(e.own._process.pid, p, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    process, place = ended.stdout.decode().split()
    assert soon(lambda: not Path(f"/proc/{process}").exists())
    assert soon(lambda: not Path(place).parent.exists())


def test_a_service_that_ends_is_replaced_and_the_document_read(tmp_path: Path) -> None:
    own = asking.OwnService()
    (tmp_path / "a.pdf").write_bytes(pdf("words"))
    try:
        extraction = Extraction(own=own)
        assert extraction.ask("pdf", tmp_path / "a.pdf")["pages"] == 1
        assert own._process is not None
        own._process.kill()
        assert extraction.ask("pdf", tmp_path / "a.pdf")["pages"] == 1
    finally:
        own.end()


def test_no_document_is_refused_since_its_reader_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither quarantined as a candidate nor when it is loaded: the job is tried again."""
    monkeypatch.setattr(asking, "PAUSES", (0.01,))
    (tmp_path / "a.pdf").write_bytes(pdf("words"))
    away = Extraction(str(tmp_path / "no socket"))
    (item,) = pdf_folder.read(tmp_path, "paper", asking.OWN)
    workshop = Workshop(Papers(away).read, FileStore(tmp_path / "store"))
    with pytest.raises(ReaderAwayError, match="the reader of documents is away"):
        asyncio.run(item.load(workshop))  # type: ignore[union-attr]
    with pytest.raises(ReaderAwayError):
        outcome("a.pdf", lambda: away.ask("pdf", tmp_path / "a.pdf"))


def test_a_request_carries_two_files() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other, open(os.devnull, "rb") as file:
        wire.send(one, wire.Request("pdf", {"a": 1}, file.fileno(), file.fileno()))
        found = wire.received(other)
        assert (found.kind, found.options) == ("pdf", {"a": 1})
        assert orjson.dumps(found.options) == b'{"a":1}'
        for descriptor in (found.document, found.answers):
            assert not os.get_inheritable(descriptor)
            os.close(descriptor)
