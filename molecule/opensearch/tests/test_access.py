"""TLS on both ports, no user but those of the inventory, and each of them with what it needs."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ADDRESS = "10.78.0.96"
CA = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "pki/ca.pem"
EARLIER = uuid.uuid4().hex + "-Aa1"
ONCE = f"run-{uuid.uuid4().hex[:8]}"
LIBRARY_ONLY = {"indices": "research_assistant", "include_global_state": False}
BESIDE = {
    "indices": "research_assistant",
    "rename_pattern": "^research_assistant$",
    "rename_replacement": f"research_assistant-restored-{ONCE}",
    "include_global_state": False,
}
DOCUMENT = {"title": "On the electrodynamics of moving bodies", "year": 1905}


@pytest.fixture(scope="session", autouse=True)
def _documents(ask: Any) -> None:
    """Put one document into the library and one into an index of somebody else."""
    made = ask("PUT", "/research_assistant/_doc/1?refresh=true", "worker", DOCUMENT)
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


SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
}


@pytest.mark.parametrize("port", [9200, 9300])
def test_authenticated_encryption_alone(
    port: int, shell: Callable[[str], str], tmp_path: Path
) -> None:
    """Each suite of TLS 1.2 that OpenSSL has is tried by itself, as one node asks another."""
    for name in ("host.pem", "host.pem.key"):
        (tmp_path / name).write_text(shell(f"cat /etc/research-pki/{name}"))
    every = ssl.create_default_context()
    every.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    accepted = set()
    for suite in every.get_ciphers():
        if suite["protocol"] == "TLSv1.3":
            continue
        context = ssl.create_default_context(cafile=str(CA))
        context.load_cert_chain(tmp_path / "host.pem", tmp_path / "host.pem.key")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{suite['name']}:@SECLEVEL=0")
        with contextlib.suppress(OSError):
            handshake(port, context)
            accepted.add(suite["name"])
    assert accepted == SUITES


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
        ("research_web", "wrong"),
    ],
)
def test_no_demonstration_user_is_known(ask: Any, user: str, password: str) -> None:
    assert ask("GET", "/", user, password=password).status == 401


def test_nobody_is_let_in_without_a_name(ask: Any) -> None:
    assert ask("GET", "/").status == 401
    assert ask("GET", "/_cluster/health").status == 401


def test_the_users_are_those_of_the_inventory(ask: Any) -> None:
    found = ask("GET", "/_plugins/_security/api/internalusers", "admin").body
    names = ("accounts", "admin", "backup", "logwriter", "monitoring", "web", "worker")
    assert sorted(found) == [f"research_{name}" for name in names]


LIBRARY = "/research_assistant"
USAGE = "/research_assistant-usage"
QUARANTINE = "/research_assistant-quarantine"
ACCOUNTS = "/research_assistant-users"
BULK = '{"index": {"_index": "%s"}}\n{"message": "x"}\n'
BULK_DELETE = '{"delete": {"_index": "%s", "_id": "absent"}}\n'
BULK_SCRIPT = '{"update": {"_index": "%s", "_id": "1"}}\n{"script": "ctx.op = \'delete\'"}\n'
SEARCH: dict[str, Any] = {"query": {"match_all": {}}}
NONE: dict[str, Any] = {"query": {"match_none": {}}}
SCRIPT = {"script": "ctx.op = 'delete'"}
FIELD = {"properties": {"kind": {"type": "keyword"}}}
MAY = [
    ("web", "GET", "/", None),
    ("web", "GET", "/_cluster/health", None),
    ("web", "GET", "/_cluster/health/research_assistant*?level=indices", None),
    ("web", "POST", f"{LIBRARY}/_search", SEARCH),
    ("web", "GET", f"{LIBRARY}/_doc/1", None),
    ("web", "GET", f"{LIBRARY}/_count", None),
    ("web", "GET", f"{LIBRARY}/_stats/store", None),
    ("web", "GET", f"{LIBRARY}/_mapping", None),
    ("web", "PUT", f"{LIBRARY}/_mapping", FIELD),
    ("web", "HEAD", LIBRARY, None),
    ("web", "PUT", USAGE, None),
    ("web", "POST", f"{USAGE}/_bulk", BULK % USAGE[1:]),
    ("web", "POST", f"{QUARANTINE}/_search", SEARCH),
    ("web", "PUT", f"{QUARANTINE}/_doc/1?refresh=true", DOCUMENT),
    ("web", "PUT", f"{QUARANTINE}/_mapping", FIELD),
    ("worker", "POST", "/_bulk", BULK % LIBRARY[1:]),
    ("worker", "POST", "/_bulk", BULK_DELETE % LIBRARY[1:]),
    ("worker", "POST", f"{LIBRARY}/_refresh", None),
    ("worker", "PUT", f"{LIBRARY}/_mapping", FIELD),
    ("worker", "DELETE", f"{LIBRARY}/_doc/absent", None),
    ("worker", "POST", f"{LIBRARY}/_search?scroll=1m", SEARCH),
    ("worker", "DELETE", "/_search/scroll", {"scroll_id": ["bm90aGluZw=="]}),
    ("worker", "POST", f"{QUARANTINE}/_delete_by_query", NONE),
    ("worker", "POST", f"{USAGE}/_mget", {"ids": ["1"]}),
    ("worker", "PUT", "/research_assistant-evaluation-1", None),
    ("worker", "DELETE", "/research_assistant-evaluation-1", None),
    ("accounts", "PUT", ACCOUNTS, None),
    ("accounts", "HEAD", ACCOUNTS, None),
    ("accounts", "PUT", f"{ACCOUNTS}/_create/{ONCE}?refresh=true", {"role": "reader"}),
    ("accounts", "PUT", f"{ACCOUNTS}/_doc/1", {"role": "admin"}),
    ("accounts", "GET", f"{ACCOUNTS}/_doc/1", None),
    ("accounts", "POST", f"{ACCOUNTS}/_search", SEARCH),
    ("monitoring", "GET", "/_cluster/health", None),
    ("monitoring", "GET", "/_nodes/stats", None),
    ("monitoring", "GET", "/_cat/indices", None),
    ("monitoring", "GET", "/research_assistant/_stats", None),
    ("backup", "GET", "/_snapshot", None),
    ("backup", "GET", "/_cluster/health", None),
    ("backup", "PUT", f"/_snapshot/research/{ONCE}?wait_for_completion=true", LIBRARY_ONLY),
    ("backup", "POST", f"/_snapshot/research/{ONCE}/_restore?wait_for_completion=true", BESIDE),
    ("logwriter", "POST", "/_bulk", BULK % "logs-2026.11"),
    ("admin", "GET", "/payroll/_search", None),
    ("admin", "GET", "/_plugins/_security/api/roles", None),
]
MAY_NOT = [
    # What faces readers deletes nothing, by no way that the server knows.
    *(
        ("web", method, f"{index}/{path}", body)
        for index in (LIBRARY, USAGE, QUARANTINE)
        for method, path, body in (
            ("DELETE", "_doc/1", None),
            ("POST", "_bulk", BULK_DELETE % index[1:]),
            ("POST", "_bulk", BULK_SCRIPT % index[1:]),
            ("POST", "_update/1", SCRIPT),
            ("POST", "_delete_by_query", NONE),
            ("POST", "_update_by_query", NONE),
            ("DELETE", "", None),
            ("POST", "_close", None),
            ("PUT", "_settings", {"index.blocks.read": True}),
        )
    ),
    ("web", "PUT", f"{LIBRARY}/_doc/2", DOCUMENT),
    ("web", "POST", f"{LIBRARY}/_bulk", BULK % LIBRARY[1:]),
    ("web", "GET", "/payroll/_search", None),
    ("web", "PUT", "/payroll/_doc/2", DOCUMENT),
    ("web", "PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": "true"}}),
    ("web", "GET", "/_plugins/_security/api/internalusers", None),
    ("web", "DELETE", "/.opendistro_security", None),
    ("web", "GET", "/.opendistro_security/_search", None),
    ("worker", "DELETE", LIBRARY, None),
    ("worker", "GET", "/payroll/_search", None),
    # The hashes of the passwords are for one user alone.
    *(
        (user, method, f"{ACCOUNTS}/{path}", body)
        for user in ("web", "worker", "monitoring", "backup", "logwriter")
        for method, path, body in (
            ("GET", "_doc/1", None),
            ("POST", "_search", SEARCH),
            ("PUT", "_doc/1", {"role": "admin"}),
        )
    ),
    ("accounts", "DELETE", f"{ACCOUNTS}/_doc/1", None),
    ("accounts", "POST", f"{ACCOUNTS}/_delete_by_query", NONE),
    ("accounts", "DELETE", ACCOUNTS, None),
    ("accounts", "POST", f"{LIBRARY}/_search", SEARCH),
    ("accounts", "GET", f"{LIBRARY}/_doc/1", None),
    ("monitoring", "GET", "/research_assistant/_search", None),
    ("monitoring", "PUT", "/research_assistant/_doc/3", DOCUMENT),
    ("monitoring", "PUT", "/_cluster/settings", {"persistent": {"search.max_buckets": 9}}),
    ("backup", "GET", "/research_assistant/_search", None),
    ("backup", "DELETE", "/research_assistant", None),
    ("backup", "DELETE", "/_snapshot/research", None),
    ("backup", "DELETE", "/_snapshot/research/some", None),
    ("backup", "PUT", "/_snapshot/research", {"type": "fs", "settings": {"location": "/tmp"}}),
    ("backup", "POST", f"/_snapshot/research/{ONCE}/_restore", LIBRARY_ONLY),
    ("logwriter", "GET", "/logs-2026.11/_search", None),
    ("logwriter", "PUT", "/research_assistant/_doc/4", DOCUMENT),
    ("logwriter", "DELETE", "/logs-2026.11", None),
    ("admin", "DELETE", "/.opendistro_security", None),
]


def outcome(answer: Any) -> int:
    """Return the status, that of the item for a bulk request."""
    if isinstance(answer.body, dict) and answer.body.get("items"):
        (item,) = answer.body["items"][0].values()
        return int(item["status"])
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
        ["opensearch", "600"],
        ["opensearch", "750"],
    ]
    assert "BEGIN PRIVATE KEY" in shell("cat /etc/opensearch/certs/host.pem.key")
    assert shell("grep -rl hash /etc/opensearch/opensearch-security/") == ""


def test_a_user_of_an_earlier_release_is_removed_with_what_it_might_do(ask: Any, four: Any) -> None:
    api = "/_plugins/_security/api"
    for kind, body in (
        ("roles", {"cluster_permissions": ["cluster_monitor"]}),
        ("internalusers", {"password": EARLIER}),
        ("rolesmapping", {"users": ["research_app"]}),
    ):
        assert ask("PUT", f"{api}/{kind}/research_app", "admin", body).status in (200, 201)
    before = ask("GET", "/", "research_app", password=EARLIER)
    assert before.status in (200, 403)
    assert four("opensearch_security", absent=["research_app"]) == [True, True, False, False]
    for kind in ("roles", "internalusers", "rolesmapping"):
        assert ask("GET", f"{api}/{kind}/research_app", "admin").status == 404
    after = ask("GET", "/", "research_app", password=EARLIER)
    assert after.status == 401
