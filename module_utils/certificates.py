"""What a host's certificates and trusted authorities are, against what they should be.

The questions are answered by functions without input or output; reading files is apart from them.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    from cryptography.x509.oid import ExtendedKeyUsageOID
except ImportError:  # the caller finds out, and has it installed
    pass

TRUST_DIRECTORY = Path("/usr/local/share/ca-certificates")
TRUST_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
TRUST_PREFIX = "research-pki-"
END = "-----END CERTIFICATE-----"
ROUNDING = 3600  # seconds by which a validity may differ from what was asked for


class CertificateError(Exception):
    """A certificate, or the request for one, that cannot be used."""


@dataclass(frozen=True)
class Wanted:
    """A certificate as the inventory asks for it."""

    name: str
    common_name: str
    organization: str
    sans: frozenset[str]
    purposes: frozenset[str]
    provided: str = ""
    renew_seconds: int = 2592000
    valid_seconds: int = 0


@dataclass(frozen=True)
class Found:
    """A certificate as it lies on the host; key_matches is None where there is no key."""

    pem: str
    common_name: str
    organization: str
    sans: frozenset[str]
    purposes: frozenset[str]
    not_before: datetime.datetime
    not_after: datetime.datetime
    signed_by_authority: bool
    key_matches: bool | None
    key_mode: int


def normal_san(san: str) -> str:
    """One spelling for each name: DNS in lower case, IP addresses compressed."""
    kind, _, value = san.partition(":")
    if kind.upper() == "IP":
        return f"IP:{ipaddress.ip_address(value)}"
    if kind.upper() == "DNS" and value:
        return f"DNS:{value.lower()}"
    raise CertificateError(f"{san!r} is not a name for a certificate: write DNS:NAME or IP:ADDRESS")


def pem_blocks(text: str) -> list[str]:
    """The certificates of a PEM file, each ending in one newline."""
    return [
        block[block.index("-----BEGIN") :] + END + "\n"
        for block in text.split(END)
        if "-----BEGIN" in block
    ]


def reasons_to_issue(
    found: Found | None, wanted: Wanted, now: datetime.datetime, revoked: list[str]
) -> list[str]:
    """Why this certificate has to be issued or installed; empty when it is right."""
    if found is None:
        return ["there is none"]
    reasons = []
    if found.key_matches is None:
        reasons.append("its key is missing")
    elif not found.key_matches:
        reasons.append("its key is another one")
    elif found.key_mode & 0o077:
        reasons.append(f"its key has mode {found.key_mode:04o}")
    if wanted.provided:
        if pem_blocks(found.pem) != pem_blocks(wanted.provided):
            reasons.append("the site provides another one")
        return reasons
    if pem_blocks(found.pem)[:1] in [pem_blocks(text)[:1] for text in revoked]:
        reasons.append("it is revoked")
    return reasons + _reasons_of_age(found, wanted, now) + _reasons_of_content(found, wanted)


def _reasons_of_age(found: Found, wanted: Wanted, now: datetime.datetime) -> list[str]:
    longest = wanted.valid_seconds + ROUNDING if wanted.valid_seconds else float("inf")
    if (found.not_after - now).total_seconds() < wanted.renew_seconds:
        return [f"it ends {found.not_after:%Y-%m-%d}"]
    if (found.not_after - found.not_before).total_seconds() > longest:
        return [f"it is valid too long, until {found.not_after:%Y-%m-%d}"]
    return []


def _reasons_of_content(found: Found, wanted: Wanted) -> list[str]:
    reasons = []
    if not found.signed_by_authority:
        reasons.append("another authority signed it")
    if (found.common_name, found.organization) != (wanted.common_name, wanted.organization):
        reasons.append(f"its subject is CN={found.common_name},O={found.organization}")
    if found.sans != wanted.sans:
        reasons.append("its names are " + (" ".join(sorted(found.sans)) or "none"))
    if found.purposes != wanted.purposes:
        reasons.append("its purposes are " + (" ".join(sorted(found.purposes)) or "none"))
    return reasons


def trust_files(authorities: list[str]) -> dict[str, str]:
    """The files of the system's trust directory that hold these authorities, one in each."""
    blocks = [block for text in authorities for block in pem_blocks(text)]
    return {
        f"{TRUST_PREFIX}{hashlib.sha256(block.encode()).hexdigest()[:12]}.crt": block
        for block in blocks
    }


def bundle_text(authorities: list[str]) -> str:
    """All authorities in one file, each once."""
    return "".join(trust_files(authorities).values())


def read_text(path: Path) -> str | None:
    """Content of a file, or None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def read_trust() -> dict[str, str]:
    """Our files in the system's trust directory."""
    paths = sorted(TRUST_DIRECTORY.glob(f"{TRUST_PREFIX}*"))
    return {path.name: read_text(path) or "" for path in paths}


def reasons_to_trust(authorities: list[str], bundle_path: Path) -> list[str]:
    """Why the host's trusted authorities have to be written; empty when they are right."""
    wanted = trust_files(authorities)
    reasons = []
    if read_text(bundle_path) != bundle_text(authorities):
        reasons.append(f"{bundle_path} differs")
    if read_trust() != wanted:
        reasons.append(f"{TRUST_DIRECTORY} differs")
    system = read_text(TRUST_BUNDLE) or ""
    if any(block not in system for block in wanted.values()):
        reasons.append(f"{TRUST_BUNDLE} lacks an authority")
    return reasons


def stranger(bundle: str, authorities: list[str], site: list[str]) -> bool:
    """Whether a host trusts an internal authority, and none that the controller has.

    An authority is known by its key: its certificate may have been renewed. The site's own do not
    count, since they stay when the internal one is another.
    """
    own = {key for text in site for key in _authority_keys(text)}
    there = _authority_keys(bundle) - own
    return bool(there) and not there & {
        key for text in authorities for key in _authority_keys(text)
    }


def _authority_keys(text: str) -> set[bytes]:
    try:
        return {
            certificate.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            for certificate in x509.load_pem_x509_certificates(text.encode())
        }
    except ValueError:  # none, or one that is damaged and will be written anew
        return set()


def read_certificate(directory: Path, name: str, authority: str) -> Found | None:
    """The certificate and key NAME of a directory; needs the cryptography library."""
    path = directory / f"{name}.pem"
    pem = read_text(path)
    if pem is None or END not in pem:
        return None
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return None
    matches, mode = _read_key(directory / f"{name}.pem.key", certificate)
    return Found(
        pem=pem,
        common_name=_subject(certificate, x509.NameOID.COMMON_NAME),
        organization=_subject(certificate, x509.NameOID.ORGANIZATION_NAME),
        sans=_names(certificate),
        purposes=_purposes(certificate),
        not_before=_utc(certificate, "not_valid_before"),
        not_after=_utc(certificate, "not_valid_after"),
        signed_by_authority=bool(authority) and _signed_by(certificate, authority),
        key_matches=matches,
        key_mode=mode,
    )


def _subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    values = certificate.subject.get_attributes_for_oid(oid)
    return str(values[0].value) if values else ""


def _utc(certificate: x509.Certificate, name: str) -> datetime.datetime:
    """Return a date, which older versions of the library give without its zone."""
    if hasattr(certificate, f"{name}_utc"):
        aware: datetime.datetime = getattr(certificate, f"{name}_utc")
        return aware
    naive: datetime.datetime = getattr(certificate, name)
    return naive.replace(tzinfo=datetime.UTC)


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(
        [normal_san(f"DNS:{name}") for name in names.get_values_for_type(x509.DNSName)]
        + [f"IP:{address}" for address in names.get_values_for_type(x509.IPAddress)]
    )


def _purposes(certificate: x509.Certificate) -> frozenset[str]:
    known = {
        ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
        ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    }
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(known.get(usage, usage.dotted_string) for usage in usages)


def _signed_by(certificate: x509.Certificate, authority_pem: str) -> bool:
    authority = x509.load_pem_x509_certificate(authority_pem.encode())
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or certificate.issuer != authority.subject:
        return False
    signed = (certificate.signature, certificate.tbs_certificate_bytes)
    key: Any = authority.public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(*signed, ec.ECDSA(algorithm))
        else:
            key.verify(*signed, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


def _read_key(path: Path, certificate: x509.Certificate) -> tuple[bool | None, int]:
    text = read_text(path)
    if text is None:
        return None, 0
    mode = path.stat().st_mode & 0o7777
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        key = serialization.load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):
        return False, mode
    mine = key.public_key().public_bytes(*form)
    return mine == certificate.public_key().public_bytes(*form), mode
