"""The administrator's certificate: valid for days, made anew by itself, taken away when asked."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
CERTIFICATE = "/etc/research-pki/opensearch-admin.pem"
CURL = (
    "curl --silent --output /dev/null --write-out '%{http_code}' --cacert /etc/research-pki/ca.pem"
)
API = "https://opensearch-1:9200/_plugins/_security/api/internalusers"
Shell = Callable[[str], str]

pytestmark = pytest.mark.timeout(600)  # they run playbooks


def status(shell: Shell, certificate: str = CERTIFICATE) -> str:
    """Ask for something that the administrator alone may see; 000 is a handshake that failed."""
    return shell(f"{CURL} --cert {certificate} --key {certificate}.key {API}")


def outdated(pem: bytes) -> bytes:
    """The same certificate, as if it had been issued two weeks ago."""
    found = x509.load_pem_x509_certificate(pem)
    passphrase = (EPHEMERAL / "passphrase").read_text().strip().encode()
    key = serialization.load_pem_private_key((EPHEMERAL / "pki/ca.key").read_bytes(), passphrase)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(extensions=list(found.extensions))
        .subject_name(found.subject)
        .issuer_name(found.issuer)
        .public_key(found.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=14))
        .not_valid_after(now - datetime.timedelta(days=7))
    )
    made = builder.sign(key, hashes.SHA384())  # type: ignore[arg-type]
    return made.public_bytes(serialization.Encoding.PEM)


def test_it_is_valid_for_days(shell: Shell) -> None:
    assert status(shell) == "200"
    assert shell(f"openssl x509 -in {CERTIFICATE} -noout -checkend {8 * 86400} || echo soon")
    assert shell(f"openssl x509 -in {CERTIFICATE} -noout -checkend {3 * 86400} && echo later")


@pytest.mark.long
def test_one_that_has_expired_is_no_obstacle(playbook: Any, shell: Shell) -> None:
    """As on a site where nobody ran a playbook for months: OpenSearch cannot be asked with it."""
    pem = outdated(shell(f"cat {CERTIFICATE}").encode()).decode()
    shell(f"cat >{CERTIFICATE} <<'END'\n{pem}END")
    assert status(shell) != "200"
    playbook(playbook="../../playbooks/opensearch.yml")
    assert status(shell) == "200"


@pytest.fixture
def stolen(shell: Shell) -> str:
    """Return the path of a copy of key and certificate, as a thief has one."""
    shell(f"cp {CERTIFICATE} /run/stolen.pem; cp {CERTIFICATE}.key /run/stolen.pem.key")
    assert status(shell, "/run/stolen.pem") == "200"
    return "/run/stolen.pem"


@pytest.mark.long
def test_a_stolen_one_is_taken_away_without_a_restart(
    playbook: Any, shell: Shell, process: Callable[[], str], stolen: str
) -> None:
    before = process()
    playbook(playbook="../../playbooks/revoke_administrator.yml")
    assert status(shell, stolen) != "200"  # it is refused before it can ask for anything
    assert status(shell) == "200"
    assert process() == before
    # And it stays so.
    assert playbook() == {"opensearch-1": 0}
    assert status(shell, stolen) != "200"  # it is refused before it can ask for anything
