"""A web server of a test's own, and a fetcher that may ask it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from research_app.fetch import Fetcher
from research_app.settings import Fetch

Route = Callable[[BaseHTTPRequestHandler], None]


def answer(
    content: bytes = b"", media_type: str = "text/plain", status: int = 200, **headers: str
) -> Route:
    """A route that always answers the same."""

    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", media_type)
        request.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)

    return respond


class LocalWeb:
    """Routes by path, and what was asked."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.port = server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"


@contextmanager
def local_web() -> Iterator[LocalWeb]:
    """The server while it runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.asked.append((self.path, dict(self.headers)))
            web.routes.get(self.path, answer(b"no", status=404))(self)

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, ValueError):
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web = LocalWeb(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fetcher(**changes: Any) -> Fetcher:
    """One that may ask this machine, and does not wait between two requests."""
    options = {"allow": ["127.0.0.0/8"], "pause_seconds": 0, "seconds": 5.0}
    return Fetcher(Fetch.model_validate(options | changes))
