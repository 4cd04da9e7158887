"""Who may connect, and whose forwarded headers count: by the certificate that a caller shows."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme
from conftest import make_settings
from test_process import COMMAND, START_SECONDS, environment, free_port

from research_app.settings import SettingsError


@dataclass
class Guarded:
    """A server that asks its callers for certificates, in a process of its own."""

    port: int
    authority: trustme.CA

    def client(self, *names: str, authority: trustme.CA | None = None) -> httpx.Client:
        """A caller whose certificate has these names, or who shows none."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if names:
            (authority or self.authority).issue_cert(*names).configure_cert(context)
        return httpx.Client(
            base_url=f"https://localhost:{self.port}", verify=context, timeout=20, trust_env=False
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    authority, port = trustme.CA(), free_port()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "credentials").mkdir()
    leaf = authority.issue_cert("localhost")
    leaf.private_key_pem.write_to_path(folder / "credentials" / "tls_key")
    leaf.cert_chain_pems[0].write_to_path(folder / "host.pem")
    (folder / "settings.toml").write_text(
        f'[server]\nport = {port}\ntls_certificate = "{folder}/host.pem"\ndrain_seconds = 0\n'
        f'tls_ca = "{folder}/ca.pem"\nedges = ["edge1"]\nclients = ["ops1"]\n'
        '[opensearch]\nurls = ["http://127.0.0.1:9"]\n'
        '[cache]\nurl = "redis://127.0.0.1:9/0"\ntls = false\n'
        '[limits]\nlogin = "1/hour"\n'
    )
    process = subprocess.Popen([*COMMAND, "serve"], env=environment(folder))
    server = Guarded(port, authority)
    try:
        with server.client("ops1") as client:
            deadline = time.monotonic() + START_SECONDS
            while True:
                try:
                    client.get("/live")
                    break
                except httpx.TransportError:
                    assert time.monotonic() < deadline, "the server does not start"
                    time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("names", [("edge1",), ("EDGE1", "localhost"), ("ops1",)])
def test_who_is_named_in_the_settings_is_served(guarded: Guarded, names: tuple[str, ...]) -> None:
    with guarded.client(*names) as client:
        assert client.get("/live").status_code == 200


@pytest.mark.parametrize(
    "names", [("os1", "localhost"), ("*.edge1",), ("edge1.evil",), ("10.0.0.1",)]
)
def test_another_host_of_the_site_is_refused(guarded: Guarded, names: tuple[str, ...]) -> None:
    """Its certificate is of the same authority, so it is the name that counts."""
    with guarded.client(*names) as client, pytest.raises(httpx.TransportError):
        client.get("/live")


def test_a_caller_without_a_certificate_is_refused(guarded: Guarded) -> None:
    with guarded.client() as client, pytest.raises(httpx.TransportError):
        client.get("/live")


def test_a_certificate_of_another_authority_is_refused(guarded: Guarded) -> None:
    with (
        guarded.client("edge1", authority=trustme.CA()) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get("/live")


@pytest.mark.parametrize(("name", "status"), [("edge1", 403), ("ops1", 200)])
def test_forwarded_headers_count_from_an_edge_alone(
    guarded: Guarded, name: str, status: int
) -> None:
    """Metrics are for this machine here, and an edge says that a reader asks."""
    with guarded.client(name) as client:
        answer = client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"})
        assert answer.status_code == status


def test_limits_count_the_reader_that_an_edge_names(guarded: Guarded) -> None:
    with guarded.client("edge1") as client:
        answers = [
            client.post("/api/token", headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code
            for n in (1, 2, 2)
        ]
    assert [status == 429 for status in answers] == [False, False, True], answers


@pytest.mark.parametrize("path", ["/live", "/ready", "/metrics"])
def test_a_client_that_is_no_edge_asks_how_the_node_is(guarded: Guarded, path: str) -> None:
    with guarded.client("ops1") as client:
        assert client.get(path).status_code != 403
        assert client.head(path).status_code != 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[("GET", path) for path in ("/", "/login", "/static/site.css", "/api/openapi.json")],
        *[("GET", path) for path in ("/metrics/", "/x//metrics", "/health/x", "/live%2F", "/LIVE")],
        *[(method, "/api/search?q=a") for method in ("GET", "HEAD")],
        ("POST", "/api/token"),
    ],
)
def test_a_client_that_is_no_edge_asks_nothing_else(
    guarded: Guarded, method: str, path: str
) -> None:
    """Nor with the header of an edge; from an edge each of these is another answer."""
    with guarded.client("ops1") as client, guarded.client("edge1") as edge:
        for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}):
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 403
            assert answer.headers["Cache-Control"] == "no-store"
        assert edge.request(method, path).status_code != 403


@pytest.mark.parametrize(
    ("cipher", "served"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-AES128-SHA256", False),
        ("ECDHE-ECDSA-AES256-SHA384", False),
    ],
)
def test_ciphers_are_those_of_the_edges(guarded: Guarded, cipher: str, served: bool) -> None:
    context = ssl.create_default_context()
    guarded.authority.configure_trust(context)
    guarded.authority.issue_cert("ops1").configure_cert(context)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    with socket.create_connection(("localhost", guarded.port), timeout=20) as plain:
        if served:
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                assert secured.cipher()
        else:
            with pytest.raises(ssl.SSLError, match=r"HANDSHAKE_FAILURE|EOF"):
                context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        ({"edges": ["edge1"]}, "server.tls_ca"),
        ({"clients": ["ops1"]}, "server.tls_ca"),
        ({"tls_ca": "/ca.pem"}, "name the callers"),
        ({"tls_ca": "/ca.pem", "edges": ["edge1"]}, "server.tls = false"),
        ({"edges": ["localhost"]}, "every host"),
        ({"edges": ["*.example.org"]}, "one name"),
        ({"edges": ["edge1"], "trusted_proxies": ["10.0.0.1"]}, "trusted_proxies"),
    ],
)
def test_settings_that_prove_nothing_are_refused(server: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        make_settings(server=server)
