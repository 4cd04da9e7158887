"""When a certificate has to be issued."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from ansible.module_utils.certificates import (
    CertificateError,
    Found,
    Wanted,
    bundle_text,
    normal_san,
    reasons_to_issue,
    trust_files,
)

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
DAY = 86400
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
OTHER = PEM.replace("AAAA", "BBBB")
WANTED = Wanted(
    name="host",
    common_name="app1",
    organization="research-stack",
    sans=frozenset({"DNS:app1", "IP:192.0.2.1"}),
    purposes=frozenset({"serverAuth", "clientAuth"}),
)
FOUND = Found(
    pem=PEM,
    common_name="app1",
    organization="research-stack",
    sans=WANTED.sans,
    purposes=WANTED.purposes,
    not_before=NOW - datetime.timedelta(days=265),
    not_after=NOW + datetime.timedelta(days=100),
    signed_by_authority=True,
    key_matches=True,
    key_mode=0o600,
)


def test_a_right_certificate_stays() -> None:
    assert reasons_to_issue(FOUND, WANTED, NOW, []) == []


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, "there is none"),
        (replace(FOUND, key_matches=None), "its key is missing"),
        (replace(FOUND, key_matches=False), "its key is another one"),
        (replace(FOUND, key_mode=0o640), "its key has mode 0640"),
        (replace(FOUND, not_after=NOW + datetime.timedelta(days=29)), "it ends 2026-06-30"),
        (replace(FOUND, not_after=NOW - datetime.timedelta(days=1)), "it ends 2026-05-31"),
        (replace(FOUND, signed_by_authority=False), "another authority signed it"),
        (replace(FOUND, common_name="app2"), "its subject is CN=app2,O=research-stack"),
        (replace(FOUND, organization="old"), "its subject is CN=app1,O=old"),
        (replace(FOUND, sans=frozenset({"DNS:app1"})), "its names are DNS:app1"),
        (replace(FOUND, sans=frozenset()), "its names are none"),
        (replace(FOUND, purposes=frozenset({"serverAuth"})), "its purposes are serverAuth"),
    ],
)
def test_one_thing_wrong_is_one_reason(found: Found | None, reason: str) -> None:
    assert reasons_to_issue(found, WANTED, NOW, []) == [reason]


@pytest.mark.parametrize(
    ("days", "valid_seconds", "reasons"),
    [
        (7, 7 * DAY, []),
        (8, 7 * DAY, ["it is valid too long, until 2026-06-08"]),
        (2, 7 * DAY, ["it ends 2026-06-03"]),
        (365, 0, []),
    ],
)
def test_a_certificate_of_days(days: int, valid_seconds: int, reasons: list[str]) -> None:
    end = NOW + datetime.timedelta(days=min(days, 7))
    found = replace(FOUND, not_before=end - datetime.timedelta(days=days), not_after=end)
    wanted = replace(WANTED, renew_seconds=3 * DAY, valid_seconds=valid_seconds)
    assert reasons_to_issue(found, wanted, NOW, []) == reasons


def test_a_revoked_certificate_is_made_anew() -> None:
    assert reasons_to_issue(FOUND, WANTED, NOW, [OTHER]) == []
    assert reasons_to_issue(FOUND, WANTED, NOW, [OTHER, PEM + OTHER]) == ["it is revoked"]


def test_a_provided_certificate_is_judged_by_its_content_alone() -> None:
    """Whoever signed it, whatever it says: the site answers for it."""
    foreign = replace(FOUND, signed_by_authority=False, common_name="*.example.org")
    assert reasons_to_issue(foreign, replace(WANTED, provided=PEM), NOW, []) == []
    assert reasons_to_issue(foreign, replace(WANTED, provided=OTHER), NOW, []) == [
        "the site provides another one"
    ]
    keyless = replace(foreign, key_matches=None)
    assert reasons_to_issue(keyless, replace(WANTED, provided=PEM), NOW, []) == [
        "its key is missing"
    ]


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("DNS:App1.Example.org", "DNS:app1.example.org"),
        ("dns:app1", "DNS:app1"),
        ("IP:2001:0db8:0:0::1", "IP:2001:db8::1"),
    ],
)
def test_names_have_one_spelling(given: str, normal: str) -> None:
    assert normal_san(given) == normal


@pytest.mark.parametrize("given", ["app1", "DNS:", "email:a@b", ""])
def test_a_name_without_its_kind_is_refused(given: str) -> None:
    with pytest.raises(CertificateError, match="write DNS:NAME or IP:ADDRESS"):
        normal_san(given)


def test_each_authority_is_trusted_once_in_a_file_of_its_own() -> None:
    """A file may hold several, with words between them."""
    files = trust_files([f"comment\n{PEM}more\n{OTHER}", PEM])
    assert list(files.values()) == [PEM, OTHER]
    assert all(name.startswith("research-pki-") and name.endswith(".crt") for name in files)
    assert bundle_text([PEM, OTHER, PEM]) == PEM + OTHER
