"""The OpenSearch client against a server that speaks TLS and wants a login."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from research_app.index.client import IndexUnavailableError, answers, connect
from research_app.logs import request_id
from research_app.settings import Credentials, Settings, parse

LOGIN = "Basic " + base64.b64encode(b"research_app:hunter2").decode()
WHOLE = {"failed": 0, "total": 1}
ANSWER = {"_shards": WHOLE, "hits": {"total": {"value": 7}}}


@dataclass
class Node:
    """A server that answers searches of those who log in."""

    port: int
    ca: Path
    statuses: list[int] = field(default_factory=list)
    opaque_ids: list[str | None] = field(default_factory=list)
    broken: bool = False
    shards: dict[str, int] = field(default_factory=lambda: dict(WHOLE))


def serve(node: Node, leaf: trustme.LeafCert) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            status = 200 if self.headers["authorization"] == LOGIN else 401
            status = 503 if node.broken else status
            node.statuses.append(status)
            node.opaque_ids.append(self.headers["x-opaque-id"])
            body = json.dumps(ANSWER | {"_shards": node.shards}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    node.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    made = Node(0, tmp_path / "ca.pem")
    server = serve(made, authority.issue_cert("localhost"))
    yield made
    server.shutdown()
    server.server_close()


def settings_for(*urls: str, ca: Path | None, password: str = "hunter2") -> Settings:
    return parse(
        {
            "server": {"tls": False},
            "opensearch": {
                "urls": list(urls),
                "user": "research_app",
                "tls_ca": str(ca or ""),
                "timeout_seconds": 5,
            },
        },
        Credentials.model_validate({"opensearch_password": password}),
        Path("settings.toml"),
    )


def ask(settings: Settings, times: int = 1) -> str:
    async def run() -> str:
        client = connect(settings, settings.library_login)
        try:
            return [await answers(client, "library") for _ in range(times)][-1]
        finally:
            await client.close()

    return asyncio.run(run())


def test_verified_and_logged_in(node: Node) -> None:
    assert ask(settings_for(f"https://localhost:{node.port}", ca=node.ca)) == "7 documents"


def test_opensearch_is_told_for_which_request_it_works(node: Node) -> None:
    settings = settings_for(f"https://localhost:{node.port}", ca=node.ca)
    token = request_id.set("request-1")
    try:
        ask(settings)
    finally:
        request_id.reset(token)
    ask(settings)
    assert node.opaque_ids == ["request-1", None]


def test_another_authority_is_refused(node: Node) -> None:
    with pytest.raises(IndexUnavailableError, match="certificate is not accepted"):
        ask(settings_for(f"https://localhost:{node.port}", ca=None))
    assert node.statuses == []


def test_another_name_is_refused(node: Node) -> None:
    with pytest.raises(IndexUnavailableError):
        ask(settings_for(f"https://127.0.0.1:{node.port}", ca=node.ca))
    assert node.statuses == []


def test_a_wrong_password_is_said_without_it(node: Node) -> None:
    with pytest.raises(IndexUnavailableError, match="401") as caught:
        ask(settings_for(f"https://localhost:{node.port}", ca=node.ca, password="wrong-one"))
    assert "wrong-one" not in str(caught.value)


def test_the_next_node_is_asked(node: Node) -> None:
    """Nodes that nobody runs, among which the client starts at random."""
    dead = [f"https://localhost:{port}" for port in (9, 7, 1, 11)]
    settings = settings_for(*dead, f"https://localhost:{node.port}", ca=node.ca)
    assert ask(settings, times=20) == "7 documents"
    assert node.statuses == [200] * 20


def test_connections_to_nodes_that_failed_are_closed_too(node: Node) -> None:
    urls = ("https://localhost:9", f"https://localhost:{node.port}")

    async def run() -> list[object]:
        settings = settings_for(*urls, ca=node.ca)
        client = connect(settings, settings.library_login)
        for _ in urls:
            await answers(client, "library")
        connections = client.transport.connection_pool.orig_connections
        await client.close()
        return [connection.session for connection in connections]

    assert asyncio.run(run()) == [None, None]


def test_a_node_that_is_busy_is_no_answer(node: Node) -> None:
    node.broken = True
    with pytest.raises(IndexUnavailableError, match="503"):
        ask(settings_for(f"https://localhost:{node.port}", ca=node.ca))
    assert node.statuses == [503] * 3  # it is asked again, as the only one there is


def test_missing_shards_are_no_answer(node: Node) -> None:
    node.shards = {"failed": 1, "total": 3}
    with pytest.raises(IndexUnavailableError, match="1 of 3 shards failed"):
        ask(settings_for(f"https://localhost:{node.port}", ca=node.ca))
