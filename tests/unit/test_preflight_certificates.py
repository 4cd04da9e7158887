"""Certificates that a site provides: each way in which they may not fit."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.preflight.certificates import provided_certificates
from ansible.module_utils.preflight.report import sentences
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.preflight_site import build

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
# The names and the address by which edge1 is called.
NAMES = ("edge1", "library.example.org", "10.0.0.10")


class Authority:
    """Issues certificates for a test."""

    def __init__(self, name: str, parent: Authority | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = parent or self
        self.certificate = (
            self.builder(self.name, self.key, issuer.name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(issuer.key, hashes.SHA256())
        )

    @staticmethod
    def builder(
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Name,
        since: datetime.datetime = NOW - DAY,
        until: datetime.datetime = NOW + 90 * DAY,
    ) -> x509.CertificateBuilder:
        """Return a certificate that is not signed yet."""
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
        )

    def issue(
        self,
        key: ec.EllipticCurvePrivateKey,
        names: tuple[str, ...] = NAMES,
        since: datetime.datetime = NOW - DAY,
        until: datetime.datetime = NOW + 90 * DAY,
    ) -> x509.Certificate:
        """Return a host's certificate."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge1")])
        alternatives: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
            for name in names
        ]
        return (
            self.builder(subject, key, self.name, since, until)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def pem(*certificates: x509.Certificate) -> bytes:
    """Return certificates as a file has them."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def pem_key(key: ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    """Return a key as a file has it."""
    locked: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority("root")


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def mistakes(tmp_path: Path) -> Callable[[bytes, bytes, bytes], list[str]]:
    """Return what is said of a certificate, a key and an authority."""

    def check(certificate: bytes, private: bytes, authority: bytes) -> list[str]:
        for name, content in (("host", certificate), ("key", private), ("ca", authority)):
            (tmp_path / f"{name}.pem").write_bytes(content)
        inventory = build(f"""
            edge1:
              pki_provided_certificate: {tmp_path}/host.pem
              pki_provided_key: {tmp_path}/key.pem
              pki_provided_ca: {tmp_path}/ca.pem
              pki_extra_sans: ["DNS:library.example.org"]
        """)
        return sentences(provided_certificates(inventory), inventory.groups)

    return check


Mistakes = Callable[[bytes, bytes, bytes], list[str]]
Key = ec.EllipticCurvePrivateKey


def test_a_fitting_set_passes(mistakes: Mistakes, root: Authority, key: Key) -> None:
    assert mistakes(pem(root.issue(key)), pem_key(key), pem(root.certificate)) == []


def test_intermediates_lead_to_the_authority(mistakes: Mistakes, root: Authority, key: Key) -> None:
    middle = Authority("middle", root)
    leaf = middle.issue(key)
    chain = pem(leaf, middle.certificate)
    assert mistakes(chain, pem_key(key), pem(root.certificate)) == []
    (line,) = mistakes(pem(leaf), pem_key(key), pem(root.certificate))
    assert "put the intermediates between them" in line


def test_a_wildcard_covers_a_name(mistakes: Mistakes, root: Authority, key: Key) -> None:
    leaf = root.issue(key, ("edge1", "*.example.org", "10.0.0.10"))
    assert mistakes(pem(leaf), pem_key(key), pem(root.certificate)) == []


def test_a_key_in_the_vault_is_left_to_the_vault(
    mistakes: Mistakes, root: Authority, key: Key
) -> None:
    vaulted = b"$ANSIBLE_VAULT;1.1;AES256\n6162\n"
    assert mistakes(pem(root.issue(key)), vaulted, pem(root.certificate)) == []


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        (NOW - 9 * DAY, NOW - DAY, "expired on"),
        (NOW - 9 * DAY, NOW + 2 * DAY, "within 7 days"),
        (NOW + DAY, NOW + 90 * DAY, "is not valid before"),
    ],
)
def test_a_certificate_out_of_its_time(
    mistakes: Mistakes,
    root: Authority,
    key: Key,
    since: datetime.datetime,
    until: datetime.datetime,
    said: str,
) -> None:
    leaf = root.issue(key, since=since, until=until)
    (line,) = mistakes(pem(leaf), pem_key(key), pem(root.certificate))
    assert "edge1: pki_provided_certificate = /" in line
    assert said in line
    assert "name a renewed certificate" in line


def test_another_hosts_names(mistakes: Mistakes, root: Authority, key: Key) -> None:
    leaf = root.issue(key, ("edge2", "10.0.0.10"))
    (line,) = mistakes(pem(leaf), pem_key(key), pem(root.certificate))
    assert "does not cover edge1, library.example.org" in line
    assert "subject alternative names" in line


def test_another_certificates_key(mistakes: Mistakes, root: Authority, key: Key) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    (line,) = mistakes(pem(root.issue(key)), pem_key(other), pem(root.certificate))
    assert "pki_provided_key = /" in line
    assert "is not the key of /" in line


def test_another_authority(mistakes: Mistakes, root: Authority, key: Key) -> None:
    (line,) = mistakes(pem(root.issue(key)), pem_key(key), pem(Authority("root").certificate))
    assert "pki_provided_ca = /" in line
    assert "did not issue /" in line


def test_files_that_hold_something_else(mistakes: Mistakes, root: Authority, key: Key) -> None:
    certificate, private, ca = pem(root.issue(key)), pem_key(key), pem(root.certificate)
    assert "holds no certificate" in mistakes(private, private, ca)[0]
    assert "holds no private key" in mistakes(certificate, certificate, ca)[0]
    locked = pem_key(key, b"a passphrase")
    assert "decrypt it" in mistakes(certificate, locked, ca)[0]
    assert "pki_provided_ca" in mistakes(certificate, private, b"nothing")[0]
