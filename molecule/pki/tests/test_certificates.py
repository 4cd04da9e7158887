"""The certificates as a first run leaves them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAMES = ("pki-1", "pki-2", "pki-site")
PKI = "/etc/research-pki"


@pytest.mark.parametrize("name", NAMES)
def test_the_chain_leads_to_a_trusted_authority(hosts: dict[str, Any], name: str) -> None:
    """By the bundle of the services, and by the trust store of the system."""
    for other in NAMES:  # every host accepts every other one
        pem = hosts[other].file(f"{PKI}/host.pem").content_string
        hosts[name].check_output(f"cat >/tmp/{other}.pem <<'END'\n{pem}END")
        verify = f"openssl verify -purpose sslserver -untrusted /tmp/{other}.pem"
        assert hosts[name].run(f"{verify} -CAfile {PKI}/ca.pem /tmp/{other}.pem").rc == 0
        assert hosts[name].run(f"{verify} /tmp/{other}.pem").rc == 0


def test_another_authority_is_refused(hosts: dict[str, Any]) -> None:
    """The certificate is not accepted by whoever trusts someone else only."""
    hosts["pki-2"].check_output(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj '/O=research-stack/CN=research-stack "
        "internal CA' -keyout /dev/null -out /tmp/other.pem"
    )
    refused = hosts["pki-2"].run(
        f"openssl verify -no-CApath -no-CAstore -CAfile /tmp/other.pem {PKI}/host.pem"
    )
    assert refused.rc != 0


@pytest.mark.parametrize(
    ("path", "subject", "names", "purposes"),
    [
        (
            "pki-1:host",
            "CN=pki-1, O=research-stack",
            {
                "DNS:pki-1",
                "DNS:localhost",
                "IP Address:127.0.0.1",
                "IP Address:10.78.0.21",
                "DNS:library.example.org",
                "IP Address:10.78.0.20",
            },
            "TLS Web Server Authentication, TLS Web Client Authentication",
        ),
        (
            "pki-1:administrator",
            "CN=opensearch-admin, O=research-stack",
            set(),
            "TLS Web Client Authentication",
        ),
        (
            "pki-2:host",
            "CN=pki-2, O=research-stack",
            {"DNS:pki-2", "DNS:localhost", "IP Address:127.0.0.1", "IP Address:10.78.0.22"},
            "TLS Web Server Authentication, TLS Web Client Authentication",
        ),
    ],
)
def test_it_says_what_it_should(
    hosts: dict[str, Any], path: str, subject: str, names: set[str], purposes: str
) -> None:
    """Subject, names and purposes."""
    name, file = path.split(":")
    show = f"openssl x509 -in {PKI}/{file}.pem -noout"
    host = hosts[name]
    shown = host.check_output(f"{show} -subject -nameopt RFC2253").removeprefix("subject=")
    assert set(shown.split(",")) == set(subject.split(", "))
    text = host.check_output(f"{show} -ext subjectAltName,extendedKeyUsage,basicConstraints")
    assert "CA:FALSE" in text
    assert purposes in text
    found = {word.strip() for line in text.splitlines() for word in line.split(",") if ":" in word}
    assert {word for word in found if word.startswith(("DNS:", "IP Address:"))} == names


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_roots_alone(hosts: dict[str, Any], name: str) -> None:
    """Modes and owners, and a key in the format that Java reads too."""
    host = hosts[name]
    for key in host.check_output(f"ls {PKI}/*.key").split():
        file = host.file(key)
        assert (file.mode, file.user, file.group) == (0o600, "root", "root")
        assert file.content_string.startswith("-----BEGIN PRIVATE KEY-----")
    for public in ("ca.pem", "host.pem"):
        assert host.file(f"{PKI}/{public}").mode == 0o644


def test_the_controller_holds_no_key_of_a_host(hosts: dict[str, Any], secrets: Path) -> None:
    """Its own key is encrypted, and that is the only one; beside it stands whom it has revoked."""
    authority = secrets / "pki"
    assert authority.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in authority.iterdir()} == {"ca.key", "ca.pem", "crl.pem"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in authority.iterdir())
    assert (authority / "ca.key").read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    for name in ("pki-1", "pki-2"):
        body = hosts[name].file(f"{PKI}/host.pem.key").content_string.splitlines()[1]
        assert subprocess.run(["grep", "-rlF", body, str(secrets)], check=False).returncode == 1


def test_the_provided_certificate_is_used(hosts: dict[str, Any], secrets: Path) -> None:
    """With its intermediate authority and its key."""
    site: Callable[[str], str] = lambda name: (secrets / "site" / name).read_text()  # noqa: E731
    host = hosts["pki-site"]
    assert host.file(f"{PKI}/host.pem").content_string == site("host.pem")
    assert host.file(f"{PKI}/host.pem.key").content_string == site("host.key")


def test_a_host_with_a_provided_certificate_has_another_to_prove_who_it_is(
    hosts: dict[str, Any],
) -> None:
    """A site's certificate may be for servers only, or for all hosts of a domain."""
    shown = "openssl x509 -noout -subject -ext subjectAltName,extendedKeyUsage"
    client = hosts["pki-site"].check_output(f"{shown} -in {PKI}/client.pem")
    assert "DNS:pki-site" in client and "TLS Web Client Authentication" in client
    assert "localhost" not in client and "Server Authentication" not in client
    verify = f"openssl verify -purpose sslclient -CAfile {PKI}/ca.pem {PKI}/client.pem"
    assert hosts["pki-site"].run(verify).rc == 0
    key = hosts["pki-site"].file(f"{PKI}/client.pem.key")
    assert (key.user, key.group, key.mode) == ("root", "root", 0o600)
    assert not hosts["pki-1"].file(f"{PKI}/client.pem").exists
