"""A tiny application node: what an edge needs behind it to be tested, over real TLS."""

from __future__ import annotations

import json
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

NAME, PORT, CERTIFICATE = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# A test makes this file to let the node report that it drains.
DRAINING = Path(f"/run/upstream-{NAME}.draining")


class Node(BaseHTTPRequestHandler):
    """Answers with what it saw, so that a test can tell what the edge did."""

    protocol_version = "HTTP/1.1"
    served = 0
    refused = 0

    def do_GET(self) -> None:
        """Answer a GET."""
        type(self).served += 1
        target, _, query = self.path.partition("?")
        path = unquote(target)  # once, as the application's server does
        if path == "/ready":
            self.answer(503 if DRAINING.exists() else 200, "text/plain", "ready")
        elif path.endswith("/events"):
            self.stream()
        elif path == "/policy":
            policy = {"Content-Security-Policy": "default-src 'self'"}
            self.answer(200, "text/html", "policy", policy)
        elif path == "/slow":
            time.sleep(float(query or 1))
            self.echo()
        elif path.startswith("/static/missing"):
            self.answer(404, "text/plain", "no such file")
        elif path.startswith("/static/"):
            self.answer(200, "text/css", "a { color: red }\n" * 500, {"ETag": '"1"'})
        elif path.endswith("/unavailable"):
            type(self).refused += 1
            self.answer(503, "text/plain", "not now")
        else:
            self.echo()

    do_HEAD = do_GET  # noqa: N815 - the server calls it so

    def do_POST(self) -> None:
        """Answer a POST."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.echo()

    def echo(self) -> None:
        """Answer with the node's name, its counters and the request as it arrived."""
        seen = {name.lower(): value for name, value in self.headers.items()}
        counted = {"served": type(self).served, "refused": type(self).refused}
        shown = self.connection.getpeercert()  # type: ignore[attr-defined]
        caller = [name for _, name in shown["subjectAltName"]]
        text = json.dumps(
            {"node": NAME, **counted, "target": self.path, "headers": seen, "caller": caller}
        )
        self.answer(200, "application/json", text)

    def answer(self, status: int, kind: str, text: str, more: dict[str, str] | None = None) -> None:
        """Send one whole response."""
        body = text.encode()
        self.send_response(status)
        own = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "unsafe-url"}
        for name, value in {"Content-Type": kind, **own, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def stream(self) -> None:
        """Send five events, half a second apart."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(5):
            event = f"data: {number} {NAME}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            time.sleep(0.5)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Keep the journal for what the edge says."""


def main() -> None:
    """Serve until killed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, f"{CERTIFICATE}.key")
    # As the application does: who shows no certificate is not answered, not even for /ready.
    context.load_verify_locations("/etc/upstream/ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("", PORT), Node)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


main()
