"""The command line, and a real process: TLS, systemd's word, drain, exit."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import trustme

START_SECONDS = 90
COMMAND = (sys.executable, "-m", "research_app")
QUEUE = "/assistant/gradio_api/queue"
QUESTION = {"data": ["zebra", "Everything"], "fn_index": 0, "session_hash": "0123456789"}
ANSWERS = f"{QUEUE}/data?session_hash=0123456789"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[bytes]
    port: int
    trust: ssl.SSLContext
    words: list[str] = field(default_factory=list)

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"https://localhost:{self.port}",
            verify=self.trust,
            timeout=20,
            trust_env=False,
        )


def write_settings(folder: Path, port: int, opensearch: str = "http://127.0.0.1:9") -> Path:
    path = folder / "settings.toml"
    path.write_text(
        f'[server]\nport = {port}\ntls_certificate = "{folder}/host.pem"\n'
        "drain_seconds = 0.5\nshutdown_seconds = 5\n"
        f'[opensearch]\nurls = ["{opensearch}"]\n'
        '[cache]\nurl = "redis://127.0.0.1:9/0"\ntls = false\n'
    )
    return path


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "RESEARCH_APP_SETTINGS": str(folder / "settings.toml"),
        "CREDENTIALS_DIRECTORY": str(folder / "credentials"),
        **more,
    }


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    leaf.private_key_pem.write_to_path(credentials / "tls_key")
    for number, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(tmp_path / "host.pem", append=number > 0)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    port = free_port()
    write_settings(tmp_path, port)
    words: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(START_SECONDS)
        process = subprocess.Popen(
            [*COMMAND, "serve"],
            env=environment(
                tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="600000000"
            ),
            stderr=(tmp_path / "log").open("wb"),
        )
        try:
            words += [channel.recv(100).decode() for _ in range(2)]
            yield Running(process, port, trust, words)
            channel.settimeout(5)
            words.append(channel.recv(100).decode())
        finally:
            process.kill()
            process.wait()
    assert words == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.timeout(180)
def test_a_process_from_start_to_end(running: Running) -> None:
    """Without OpenSearch and cache: it lives, says that it is not ready, and leaves in order."""
    with running.client() as client:
        assert client.get("/live").json() == {"status": "alive"}
        assert client.get("/ready").status_code == 503
        page = client.get("/?q=anything")
        assert page.status_code == 503
        assert "try again in a moment" in page.text
        checks = client.get("/health").json()
        assert not checks["opensearch"]["ok"]
        assert not checks["cache"]["ok"]
        assert checks["memory"]["ok"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"https://localhost:{running.port}/live", trust_env=False)
    opened, ended = threading.Event(), threading.Event()

    def watch() -> None:
        with running.client() as client:
            client.post(f"{QUEUE}/join", json=QUESTION)
            client.get(ANSWERS)
            with client.stream("GET", ANSWERS) as stream:  # of nothing: it does not end by itself
                opened.set()
                for _ in stream.iter_bytes():
                    pass
            ended.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert opened.wait(20)
    start = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    with running.client() as client:
        time.sleep(0.1)
        answer = client.get("/ready")
        assert answer.json() == {"status": "draining"}
        assert answer.headers["connection"] == "close"
        assert client.get("/live").status_code == 200
    assert running.process.wait(30) == 0
    assert time.monotonic() - start < 15
    watcher.join(5)
    assert ended.is_set()


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "settings.toml").write_text(
        '[server]\ntls = false\n[opensearch]\nurls = ["http://127.0.0.1:9"]\n'
    )
    (tmp_path / "p.jsonl").write_text('{"id": "1", "title": "T"}\n')
    return tmp_path


def test_ingest_without_opensearch(folder: Path) -> None:
    done = command(folder, "ingest", str(folder / "p.jsonl"))
    assert done.returncode == 3
    assert "no node answers" in done.stderr
    assert "Traceback" not in done.stderr


def test_ingest_of_nothing_it_knows(folder: Path) -> None:
    done = command(folder, "ingest", str(folder / "none.jsonl"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("no such file or directory")
    assert command(folder, "ingest", "--kind", "book", str(folder / "p.jsonl")).returncode == 2


def test_settings_that_cannot_be_used(folder: Path) -> None:
    (folder / "settings.toml").write_text("[server]\nprot = 1\n")
    for arguments in (("serve",), ("ingest", "p.jsonl"), ("check",)):
        done = command(folder, *arguments)
        assert done.returncode == 2
        assert "server.prot: unknown key" in done.stderr
        assert "opensearch: required" in done.stderr
        assert "Traceback" not in done.stderr


def test_check_says_what_is_wrong(folder: Path) -> None:
    done = command(folder, "check")
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert first.startswith("opensearch")
    assert "FAILED" in first


def test_jobs_and_retention_say_what_they_lack(folder: Path) -> None:
    for text in ("jobs", "jobs list", "worker", "worker --ping", "jobs retry x"):
        arguments = text.split()
        done = command(folder, *arguments)
        assert (done.returncode, "no cache tier" in done.stderr) == (3, True), arguments
    done = command(folder, "retention")
    assert done.returncode == 2
    assert "say how long with --days" in done.stderr
    done = command(folder, "retention", "--days", "5")
    assert done.returncode == 3
    assert "no node answers" in done.stderr
    (folder / "a.jsonl.gz").write_bytes(b"no archive")
    done = command(folder, "retention", "restore", str(folder / "a.jsonl.gz"))
    assert (done.returncode, "cannot be read" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("trusted", "refused"), [("127.0.0.1", 0), ("192.0.2.9", 3)])
def test_a_forwarded_address_is_believed_of_the_edges_alone(
    tmp_path: Path, trusted: str, refused: int
) -> None:
    """Counted without a cache: that is down, and no reader sees it."""
    port = free_port()
    (tmp_path / "credentials").mkdir()
    (tmp_path / "settings.toml").write_text(
        f"[server]\ntls = false\ndrain_seconds = 0\nport = {port}\n"
        f'trusted_proxies = ["{trusted}"]\n'
        '[opensearch]\nurls = ["http://127.0.0.1:9"]\n'
        '[cache]\nurl = "redis://127.0.0.1:9/0"\n'
        '[limits]\nlogin = "1/hour"\n'
    )
    process = subprocess.Popen(
        [*COMMAND, "serve"], env=environment(tmp_path), stderr=subprocess.DEVNULL
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            deadline = time.monotonic() + START_SECONDS
            while True:
                try:
                    client.get("/live")
                    break
                except httpx.TransportError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            answers = [
                client.post("/api/token", headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code
                for n in range(4)
            ]
        assert answers.count(429) == refused, answers
    finally:
        process.terminate()
        process.wait(30)
