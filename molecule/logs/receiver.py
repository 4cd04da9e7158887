"""A stand-in for an OpenSearch (9200) and a syslog server (6514): keeps what it is sent."""

from __future__ import annotations

import json
import socketserver
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KEPT = Path("/var/lib/receiver")
LOCK = threading.Lock()


def keep(name: str, lines: list[str]) -> None:
    """Append lines to a file."""
    with LOCK, (KEPT / name).open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


class Bulk(BaseHTTPRequestHandler):
    """Answers as OpenSearch does: 201 for a new document, 409 for one that is there."""

    protocol_version = "HTTP/1.1"
    ids: set[str] = set()  # noqa: RUF012 - of all connections

    def answer(self, content: object) -> None:
        """Send JSON."""
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Answer the question for health."""
        self.answer({})

    def do_POST(self) -> None:
        """Take documents."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        lines = [json.loads(line) for line in body.splitlines()]
        items = []
        for head, document in zip(lines[::2], lines[1::2], strict=True):
            known = head["create"]["_id"] in self.ids
            self.ids.add(head["create"]["_id"])
            items.append({"create": {"status": 409 if known else 201}})
            if not known:
                keep("opensearch", [json.dumps({"_index": head["create"]["_index"], **document})])
        self.answer({"errors": any(i["create"]["status"] == 409 for i in items), "items": items})

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Syslog(socketserver.StreamRequestHandler):
    """Takes messages, each after its length."""

    def handle(self) -> None:
        """Read until the sender ends."""
        while digits := b"".join(iter(lambda: self.rfile.read(1).strip(), b"")):
            keep("syslog", [self.rfile.read(int(digits)).decode()])


class Server(socketserver.ThreadingTCPServer):
    """Each connection has a thread."""

    daemon_threads = True
    allow_reuse_address = True


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/research-pki/host.pem", "/etc/research-pki/host.pem.key")
KEPT.mkdir(exist_ok=True)
for server in (ThreadingHTTPServer(("", 9200), Bulk), Server(("", 6514), Syslog)):
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
print("ready", file=sys.stderr)
