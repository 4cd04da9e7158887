"""sslyze judges a port that takes no caller without a certificate."""

from __future__ import annotations

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
def port(tmp_path: Path) -> Iterator[int]:
    """Return the port of a server that wants certificates and has a cipher with CBC."""
    made = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "pem")]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem", tmp_path / "key")
    context.load_verify_locations(tmp_path / "pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-GCM-SHA256")
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_port_that_wants_certificates_is_judged_by_all_but_renegotiation(port: int) -> None:
    target = f"app1:{port}"
    relay = Relay(["sh", "-c"])
    with Tunnel({target: (relay, f"127.0.0.1:{port}")}) as tunnel:
        printed = scanners.sslyze([target], tunnel.url, "", 120)
    relay.close()
    issues = " ".join(checks.tls_issues(printed).get(target, []))
    assert "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" in issues, printed[-2000:]
