"""The hosts of the scenario, and receivers of notifications that the tests run."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import testinfra

SCENARIO = Path(__file__).resolve().parent.parent
OPS = ("prometheus-1", "prometheus-2")
ALL = (*OPS, "prometheus-3")
# This machine, as the hosts of the scenario see it.
HERE = "10.78.0.1"
FAULT = "/var/lib/prometheus/node-exporter/fault.prom"

Converge = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[..., list[dict[str, Any]]]


@dataclass
class Inbox:
    """What arrived: the path and the JSON of HTTP requests, and mails."""

    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)

    def events(self, action: str) -> list[dict[str, Any]]:
        """Return what PagerDuty was told of the fault of the tests: trigger or resolve."""
        told = self.at("/v2/enqueue", "prometheus-3 has the fault of the tests.")
        return [event for event in told if event["event_action"] == action]

    def at(self, path: str, said: str = "") -> list[dict[str, Any]]:
        """Return what arrived at a path and holds a text."""
        return [body for to, body in list(self.posts) if to == path and said in json.dumps(body)]


class Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as it takes to be given a mail."""

    def handle(self) -> None:
        """Take mails until the other side quits."""
        self.say("220 tests")
        while line := self.rfile.readline().decode().strip().upper():
            if line.startswith("DATA"):
                self.say("354 go on")
                self.server.inbox.mails.append(self.text())  # type: ignore[attr-defined]
            self.say("221 bye" if line.startswith("QUIT") else "250 good")

    def say(self, answer: str) -> None:
        """Answer."""
        self.wfile.write(f"{answer}\r\n".encode())

    def text(self) -> str:
        """Return a mail up to its end, a line with a dot."""
        lines: list[str] = []
        while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
            lines.append(line)
        return "\n".join(lines)


@pytest.fixture(scope="session")
def inbox() -> Iterator[Inbox]:
    """Return what receivers on this machine are sent."""
    box = Inbox()

    class Web(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            box.posts.append((self.path, json.loads(body)))
            # Slack and Mattermost answer with a word, and mean a failure by JSON.
            chat = self.path.startswith("/hooks/")
            self.send_response(200 if chat else 202)
            self.send_header("Content-Type", "text/plain" if chat else "application/json")
            self.end_headers()
            self.wfile.write(b"ok" if chat else b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    servers = [
        ThreadingHTTPServer((HERE, 18099), Web),
        socketserver.ThreadingTCPServer((HERE, 18025), Mail),
    ]
    servers[1].inbox = box  # type: ignore[attr-defined]
    for server in servers:
        # Whoever does not wait for the answer says it again.
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield box
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def hosts() -> dict[str, Any]:
    """Return the hosts by name."""
    return {name: testinfra.get_host(f"podman://{name}") for name in ALL}


@pytest.fixture(scope="session")
def query(hosts: dict[str, Any]) -> Query:
    """Return a function that asks a Prometheus for a vector."""

    def ask(expression: str, host: str = OPS[0]) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:9090/api/v1/query?query={quote(expression)}"
        answer = json.loads(hosts[host].check_output(f"curl -sS '{url}'"))
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    return ask


def wait(condition: Callable[[], Any], seconds: float) -> Any:
    """Wait for a condition, and return what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.3)
    return found


@pytest.fixture(scope="session", name="wait")
def wait_fixture() -> Callable[..., Any]:
    """Return the function that waits."""
    return wait


@pytest.fixture(scope="session")
def converge() -> Converge:
    """Return a function that runs converge.yml again with other variables."""

    def run(*arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        command = [
            "ansible-playbook",
            f"--inventory={SCENARIO.parent}/shared/connection.yml",
            f"--inventory={SCENARIO}/inventory.yml",
            f"--extra-vars={json.dumps(variables)}",
            *arguments,
            str(SCENARIO / "converge.yml"),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def fault(hosts: dict[str, Any]) -> Iterator[Callable[[str], None]]:
    """Return a function that makes prometheus-3 tell of a fault, which is over after the test."""
    host = hosts["prometheus-3"]

    def make(severity: str) -> None:
        host.check_output(f"echo 'test_fault{{severity=\"{severity}\"}} 1' >{FAULT}.new")
        host.check_output(f"mv {FAULT}.new {FAULT}")

    yield make
    host.run(f"rm -f {FAULT}")


@pytest.fixture(scope="session")
def silence() -> Callable[..., dict[str, Any]]:
    """Return a function that runs the module alertmanager_silence on the first monitoring host."""

    def run(arguments: dict[str, Any], check: bool = False) -> dict[str, Any]:
        command = [
            "ansible",
            f"--inventory={SCENARIO.parent}/shared/connection.yml",
            f"--inventory={SCENARIO}/inventory.yml",
            OPS[0],
            "--module-name=alertmanager_silence",
            f"--args={json.dumps(arguments)}",
            *(["--check"] if check else []),
        ]
        environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "json"}
        environment |= {"ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        # Other callbacks print before and after it.
        printed, _ = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{\n") :])
        said = printed["plays"][0]["tasks"][0]["hosts"][OPS[0]]
        assert isinstance(said, dict)
        return said

    return run
