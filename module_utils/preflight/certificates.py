"""Certificates that the site provides: pairs, valid, with the right names and authority."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

from ansible.module_utils.preflight.model import Host, Inventory, Mistake
from ansible.module_utils.preflight.topology import ip
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

SOON = datetime.timedelta(days=7)
VAULT_HEADER = b"$ANSIBLE_VAULT"
CERTIFICATE = "pki_provided_certificate"
KEY = "pki_provided_key"
AUTHORITY = "pki_provided_ca"


class UnusableFileError(Exception):
    """A file that is not what its variable says."""

    def __init__(self, variable: str, path: str, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.said = (variable, path, problem, remedy)


def provided_certificates(inventory: Inventory) -> Iterator[Mistake]:
    """Check what each host is to be given."""
    for host in inventory.hosts.values():
        if not host.get(CERTIFICATE) and not host.get(KEY):
            continue
        try:
            yield from provided(host)
        except UnusableFileError as unusable:
            yield Mistake(host.name, *unusable.said)


def provided(host: Host) -> Iterator[Mistake]:
    """Check one host's certificate, key and authority."""
    path = str(host.get(CERTIFICATE, ""))
    chain = certificates(CERTIFICATE, path)
    leaf = chain[0]
    key = public_part_of_key(str(host.get(KEY, "")))
    public = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key and key != public:
        yield Mistake(
            host.name,
            KEY,
            str(host.get(KEY)),
            f"is not the key of {path}",
            "name the key that the certificate was requested with",
        )
    yield from validity(host, path, leaf)
    yield from names(host, path, leaf)
    if host.get(AUTHORITY):
        yield from authority(host, path, chain)


def read(variable: str, path: str) -> bytes:
    """Return the content of a file on the controller."""
    if not path:
        raise UnusableFileError(
            variable, '""', "is empty", "give certificate and key together, or neither"
        )
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        problem = f"cannot be read on this machine ({error.strerror})"
        raise UnusableFileError(
            variable, path, problem, "write the path of the file here"
        ) from error


def certificates(variable: str, path: str) -> list[x509.Certificate]:
    """Return the certificates in a file, the host's own first."""
    try:
        return x509.load_pem_x509_certificates(read(variable, path))
    except ValueError as error:
        remedy = "write the path of a PEM file that begins with the host's certificate"
        raise UnusableFileError(variable, path, "holds no certificate", remedy) from error


def public_part_of_key(path: str) -> bytes:
    """Return the public part of a key, or nothing where only the vault can open it."""
    content = read(KEY, path)
    if content.startswith(VAULT_HEADER):
        return b""
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        remedy = "decrypt it, and encrypt the file with ansible-vault instead"
        raise UnusableFileError(KEY, path, "is locked with a passphrase", remedy) from error
    except ValueError as error:
        remedy = "write the path of the private key in PEM"
        raise UnusableFileError(KEY, path, "holds no private key", remedy) from error
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def validity(host: Host, path: str, leaf: x509.Certificate) -> Iterator[Mistake]:
    """The certificate is valid now, and for a while."""
    now = datetime.datetime.now(datetime.UTC)
    until, since = leaf.not_valid_after_utc, leaf.not_valid_before_utc
    if until < now:
        problem = f"expired on {until:%Y-%m-%d}"
    elif until < now + SOON:
        problem = f"expires on {until:%Y-%m-%d}, within {SOON.days} days"
    elif since > now:
        problem = f"is not valid before {since:%Y-%m-%d}"
    else:
        return
    yield Mistake(host.name, CERTIFICATE, path, problem, "name a renewed certificate")


def names(host: Host, path: str, leaf: x509.Certificate) -> Iterator[Mistake]:
    """The certificate covers every name by which peers and readers call the host."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        covered: set[str] = set()
    else:
        covered = {name.lower() for name in extension.get_values_for_type(x509.DNSName)}
        covered |= {str(each) for each in extension.get_values_for_type(x509.IPAddress)}
    missing = [name for name in called(host) if not covers(covered, name)]
    if missing:
        yield Mistake(
            host.name,
            CERTIFICATE,
            path,
            f"does not cover {', '.join(missing)}",
            "name one whose subject alternative names hold all of them",
        )


def called(host: Host) -> list[str]:
    """Return the names by which a host is called."""
    wanted = [host.name, host.address]
    wanted += [str(name).partition(":")[2] for name in host.get("pki_extra_sans", [])]
    return list(dict.fromkeys(name for name in wanted if name))


def covers(covered: set[str], name: str) -> bool:
    """Tell whether a name or a wildcard above it is among a certificate's names."""
    parent = name.lower().partition(".")[2]
    return name.lower() in covered or (not ip(name) and bool(parent) and f"*.{parent}" in covered)


def authority(host: Host, path: str, chain: list[x509.Certificate]) -> Iterator[Mistake]:
    """The certificate comes from the authority that the hosts are to trust."""
    trusted = certificates(AUTHORITY, str(host.get(AUTHORITY)))
    current = chain[0]
    for parent in [*chain[1:], *trusted]:
        if not signed(current, parent):
            continue
        if parent in trusted:
            return
        current = parent
    yield Mistake(
        host.name,
        AUTHORITY,
        str(host.get(AUTHORITY)),
        f"did not issue {path}",
        "name the authority behind the certificate, and put the intermediates between them "
        "into the certificate's file",
    )


def signed(child: x509.Certificate, parent: x509.Certificate) -> bool:
    """Tell whether one certificate issued another."""
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
