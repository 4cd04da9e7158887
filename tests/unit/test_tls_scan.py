"""sslyze judges a port that takes no caller without a certificate."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audit import checks, scanners
from audit.relay import Relay, Tunnel


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """Return what a server needs that wants certificates and has a cipher with CBC."""
    made = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "pem")]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem", tmp_path / "key")
    context.load_verify_locations(tmp_path / "pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-GCM-SHA256")
    return context


@pytest.fixture
def says_why(context: ssl.SSLContext) -> Iterator[int]:
    """Return the port of a server that sends an alert to who has no certificate."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def hangs_up(context: ssl.SSLContext) -> Iterator[int]:
    """Return the port of a server of asyncio, which closes the connection and says nothing."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()


@pytest.mark.parametrize("server", ["says_why", "hangs_up"])
def test_a_port_that_wants_certificates_is_judged_by_all_but_renegotiation(
    server: str, request: pytest.FixtureRequest
) -> None:
    port: int = request.getfixturevalue(server)
    target = f"app1:{port}"
    relay = Relay(["sh", "-c"])
    with Tunnel({target: (relay, f"127.0.0.1:{port}")}) as tunnel:
        printed = scanners.sslyze([target], tunnel.url, "", 120)
    relay.close()
    issues = " ".join(checks.tls_issues(printed).get(target, []))
    assert "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" in issues, printed[-2000:]
