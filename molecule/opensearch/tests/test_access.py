"""TLS on both ports, no user but those of the inventory, and each of them with what it needs."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ADDRESS = "10.78.0.96"
CA = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "pki/ca.pem"
DOCUMENT = {"title": "On the electrodynamics of moving bodies", "year": 1905}


@pytest.fixture(scope="session", autouse=True)
def _documents(ask: Any) -> None:
    """Put one document into the library and one into an index of somebody else."""
    made = ask("PUT", "/research_assistant/_doc/1?refresh=true", "app", DOCUMENT)
    assert made.status in (200, 201), made.body
    other = ask("PUT", "/payroll/_doc/1?refresh=true", "admin", {"name": "x"})
    assert other.status in (200, 201), other.body


@pytest.mark.parametrize("port", [9200, 9300])
def test_a_port_speaks_tls_only(port: int) -> None:
    with socket.create_connection((ADDRESS, port), timeout=20) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not plain.recv(64).startswith(b"HTTP/1.1 200")


def handshake(port: int, context: ssl.SSLContext, name: str = ADDRESS) -> str | None:
    """Shake hands and return the protocol."""
    with (
        socket.create_connection((ADDRESS, port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        return secure.version()


@pytest.mark.parametrize("name", [ADDRESS, "opensearch-1", "localhost"])
def test_the_certificate_is_of_the_ca_and_has_the_names(name: str) -> None:
    assert handshake(9200, ssl.create_default_context(cafile=str(CA)), name) == "TLSv1.3"


@pytest.mark.parametrize("name", ["opensearch-2", "example.org"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(9200, ssl.create_default_context(cafile=str(CA)), name)


def test_a_client_of_another_ca_refuses_the_server() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(9200, ssl.create_default_context())


def test_old_protocols_are_refused() -> None:
    context = ssl.create_default_context(cafile=str(CA))
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        handshake(9200, context)


def say_something() -> bytes:
    """Talk to the transport port without a certificate of one's own; nothing means thrown out."""
    context = ssl.create_default_context(cafile=str(CA))
    try:
        with (
            socket.create_connection((ADDRESS, 9300), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname=ADDRESS) as secure,
        ):
            secure.sendall(b"ES" + b"\0" * 30)
            return secure.recv(64)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_the_transport_port_wants_a_certificate() -> None:
    assert say_something() == b""


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("admin", "admin"),
        ("kibanaserver", "kibanaserver"),
        ("logstash", "logstash"),
        ("readall", "readall"),
        ("snapshotrestore", "snapshotrestore"),
        ("research_app", "wrong"),
    ],
)
def test_no_demonstration_user_is_known(ask: Any, user: str, password: str) -> None:
    assert ask("GET", "/", user, password=password).status == 401


def test_nobody_is_let_in_without_a_name(ask: Any) -> None:
    assert ask("GET", "/").status == 401
    assert ask("GET", "/_cluster/health").status == 401


def test_the_users_are_those_of_the_inventory(ask: Any) -> None:
    found = ask("GET", "/_plugins/_security/api/internalusers", "admin").body
    names = ("admin", "app", "backup", "logwriter", "monitoring")
    assert sorted(found) == [f"research_{name}" for name in names]


BULK = '{"index": {"_index": "%s"}}\n{"message": "x"}\n'
SEARCH = {"query": {"match_all": {}}}
MAY = [
    ("app", "GET", "/", None),
    ("app", "GET", "/_cluster/health", None),
    ("app", "POST", "/research_assistant/_search", SEARCH),
    ("app", "POST", "/_bulk", BULK % "research_assistant"),
    ("app", "POST", "/research_assistant/_refresh", None),
    ("app", "GET", "/research_assistant/_count", None),
    ("app", "GET", "/research_assistant/_mapping", None),
    ("app", "PUT", "/research_assistant/_mapping", {"properties": {"kind": {"type": "keyword"}}}),
    ("app", "PUT", "/research_assistant_2", None),
    ("app", "DELETE", "/research_assistant/_doc/absent", None),
    ("monitoring", "GET", "/_cluster/health", None),
    ("monitoring", "GET", "/_nodes/stats", None),
    ("monitoring", "GET", "/_cat/indices", None),
    ("monitoring", "GET", "/research_assistant/_stats", None),
    ("backup", "GET", "/_snapshot", None),
    ("backup", "GET", "/_cluster/health", None),
    ("logwriter", "POST", "/_bulk", BULK % "logs-2026.11"),
    ("admin", "GET", "/payroll/_search", None),
    ("admin", "GET", "/_plugins/_security/api/roles", None),
]
MAY_NOT = [
    ("app", "GET", "/payroll/_search", None),
    ("app", "PUT", "/payroll/_doc/2", DOCUMENT),
    ("app", "DELETE", "/payroll", None),
    ("app", "DELETE", "/research_assistant", None),
    ("app", "PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": "true"}}),
    ("app", "GET", "/_plugins/_security/api/internalusers", None),
    ("app", "DELETE", "/.opendistro_security", None),
    ("app", "GET", "/.opendistro_security/_search", None),
    ("monitoring", "GET", "/research_assistant/_search", None),
    ("monitoring", "PUT", "/research_assistant/_doc/3", DOCUMENT),
    ("monitoring", "PUT", "/_cluster/settings", {"persistent": {"search.max_buckets": 9}}),
    ("backup", "GET", "/research_assistant/_search", None),
    ("backup", "DELETE", "/research_assistant", None),
    ("logwriter", "GET", "/logs-2026.11/_search", None),
    ("logwriter", "PUT", "/research_assistant/_doc/4", DOCUMENT),
    ("logwriter", "DELETE", "/logs-2026.11", None),
    ("admin", "DELETE", "/.opendistro_security", None),
]


def outcome(answer: Any) -> int:
    """Return the status, that of the items for a bulk request."""
    if isinstance(answer.body, dict) and answer.body.get("items"):
        return int(answer.body["items"][0]["index"]["status"])
    return int(answer.status)


@pytest.mark.parametrize(("user", "method", "path", "body"), MAY)
def test_what_a_user_may(ask: Any, user: str, method: str, path: str, body: Any) -> None:
    answer = ask(method, path, user, body)
    assert outcome(answer) not in (401, 403), answer.body


@pytest.mark.parametrize(("user", "method", "path", "body"), MAY_NOT)
def test_what_a_user_may_not(ask: Any, user: str, method: str, path: str, body: Any) -> None:
    answer = ask(method, path, user, body)
    assert outcome(answer) == 403, answer.body


def test_the_index_is_as_the_template_says(ask: Any) -> None:
    answer = ask("GET", "/research_assistant/_settings?flat_settings", "admin")
    settings = answer.body["research_assistant"]["settings"]
    assert settings["index.number_of_shards"] == "1"
    assert settings["index.number_of_replicas"] == "0"
    assert settings["index.refresh_interval"] == "30s"
    assert settings["index.codec"] == "best_compression"
    assert settings["index.translog.durability"] == "request"


def test_the_files_are_the_services_own(shell: Callable[[str], str]) -> None:
    listed = shell("stat -c '%U %a %n' /etc/opensearch/certs/* /var/lib/opensearch").splitlines()
    assert [line.rsplit("/", 1)[0].split()[:2] for line in listed] == [
        ["opensearch", "600"],
        ["opensearch", "600"],
        ["opensearch", "600"],
        ["opensearch", "750"],
    ]
    assert "BEGIN PRIVATE KEY" in shell("cat /etc/opensearch/certs/host.pem.key")
    assert shell("grep -rl hash /etc/opensearch/opensearch-security/") == ""
