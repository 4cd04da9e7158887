"""The authority that hosts carry against the one that this controller would sign with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.preflight.model import Host
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)


def carried(pem: str) -> frozenset[bytes]:
    """Return the keys of the authorities in a bundle; what cannot be read is none.

    Keys and not certificates: an authority whose certificate was renewed is the same one.
    """
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
        return frozenset(public_part(certificate.public_key()) for certificate in found)
    except ValueError:
        return frozenset()


def public_part(key: PublicKeyTypes) -> bytes:
    """Return what tells a key from others."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def folder(host: Host) -> Path | None:
    """Return the controller's folder of the authority for a host."""
    path = host.get("pki_ca_dir")
    return Path(str(path)).expanduser() if path else None


def signing(host: Host) -> frozenset[bytes]:
    """Return the key of the authority that would sign for a host: none where a run makes one."""
    here = folder(host)
    if here is None:
        return frozenset()
    if (here / "ca.pem").is_file():
        return carried((here / "ca.pem").read_text())
    try:  # its certificate is made from the key
        passphrase = str(host.get("pki_ca_passphrase", "")).encode() or None
        key = load_pem_private_key((here / "ca.key").read_bytes(), passphrase)
    except (OSError, ValueError, TypeError):
        return frozenset()
    return frozenset({public_part(key.public_key())})


def trusted(host: Host) -> frozenset[bytes]:
    """Return the keys of the authorities that a rotation phases in or out."""
    here = folder(host)
    return together(sorted((here / "trusted").glob("*.pem")) if here else [])


def provided(host: Host) -> frozenset[bytes]:
    """Return the key of the authority behind certificates that the site provides."""
    path = host.get("pki_provided_ca")
    return together([Path(str(path)).expanduser()] if path else [])


def together(files: Iterable[Path]) -> frozenset[bytes]:
    """Return the keys of the authorities in some files."""
    return frozenset(
        key for file in files if file.is_file() for key in carried(file.read_text(errors="replace"))
    )
