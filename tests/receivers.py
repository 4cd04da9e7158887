"""Receivers of notifications that tests run: HTTP as PagerDuty and chats take it, and SMTP."""

from __future__ import annotations

import json
import re
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# One alert of a mail, as the role alertmanager writes it.
NOTICE = re.compile(
    r"^(?P<over>Over: )?(?P<summary>.+)\n  (?P<severity>\w+), (?P<alert>\w+)(?: on (?P<host>\S+))?,"
    r" since .+\n  What to do: (?P<runbook>\S+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Notice:
    """What a mail says of one alert."""

    at: float
    over: bool
    summary: str
    severity: str
    alert: str
    host: str
    runbook: str


@dataclass
class Inbox:
    """What arrived: seconds of the clock, path and JSON of HTTP requests, and mails."""

    posts: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    mails: list[tuple[float, str]] = field(default_factory=list)

    def notices(self) -> list[Notice]:
        """Return the alerts of all mails, in the order of their arrival."""
        found = []
        for at, mail in [*self.mails]:
            body = message_from_string(mail, policy=policy.default).get_body()
            for said in NOTICE.finditer(body.get_content() if body else ""):
                parts = said.groupdict(default="")
                found.append(Notice(at, bool(parts.pop("over")), **parts))
        return found

    def at(self, path: str, said: str = "") -> list[dict[str, Any]]:
        """Return what arrived at a path and holds a text."""
        return [body for _, to, body in [*self.posts] if to == path and said in json.dumps(body)]


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as it takes to be given a mail."""

    def handle(self) -> None:
        self.say("220 tests")
        while line := self.rfile.readline().decode().strip().upper():
            if line.startswith("DATA"):
                self.say("354 go on")
                self.server.inbox.mails.append((time.time(), self.text()))  # type: ignore[attr-defined]
            self.say("221 bye" if line.startswith("QUIT") else "250 good")

    def say(self, answer: str) -> None:
        self.wfile.write(f"{answer}\r\n".encode())

    def text(self) -> str:
        """Return a mail up to its end, a line with a dot."""
        lines: list[str] = []
        while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
            lines.append(line)
        return "\n".join(lines)


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def receivers(address: str, web: int, mail: int) -> Iterator[Inbox]:
    """Listen at two ports of an address, and keep what arrives."""
    box = Inbox()

    class Web(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            box.posts.append((time.time(), self.path, json.loads(body)))
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    servers: list[socketserver.BaseServer] = [
        ThreadingHTTPServer((address, web), Web),
        _Tcp((address, mail), _Mail),
    ]
    servers[1].inbox = box  # type: ignore[attr-defined]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield box
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
