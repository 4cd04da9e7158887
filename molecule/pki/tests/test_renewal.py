"""What later runs do. The tests build on one another."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)

PKI = "/etc/research-pki"

Playbook = Callable[..., Any]


def serials(hosts: dict[str, Any], file: str = "host.pem") -> dict[str, str]:
    """Return the serial number of the certificate by host."""
    show = f"openssl x509 -noout -serial -in {PKI}/{file}"
    return {name: host.check_output(show) for name, host in hosts.items()}


def keys(hosts: dict[str, Any]) -> dict[str, str]:
    """Return the key by host."""
    return {name: host.file(f"{PKI}/host.pem.key").content_string for name, host in hosts.items()}


def differing(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Return the hosts that are not as before."""
    return {name for name in before if before[name] != after[name]}


def test_near_the_end_it_is_renewed(hosts: dict[str, Any], playbook: Playbook) -> None:
    """With the same key; check mode says so before and changes nothing."""
    before, old_keys = serials(hosts), keys(hosts)
    dry = playbook("--check", "--diff", pki_renew_before="366d")
    # The site renews its own certificate; the one that this host shows to others is ours.
    assert dry.changes == {"pki-1": 1, "pki-2": 1, "pki-site": 1}
    assert "-host.pem: it ends 20" in dry.output
    assert serials(hosts) == before
    playbook(pki_renew_before="366d")
    assert differing(before, serials(hosts)) == {"pki-1", "pki-2"}
    assert keys(hosts) == old_keys
    assert set(playbook().changes.values()) == {0}


def test_a_new_name_reissues_that_host_only(hosts: dict[str, Any], playbook: Playbook) -> None:
    """The others keep theirs."""
    before = serials(hosts)
    playbook("--limit=pki-2", pki_extra_sans=["DNS:new.example.org"])
    assert differing(before, serials(hosts)) == {"pki-2"}
    playbook()
    text = hosts["pki-2"].check_output(f"openssl x509 -in {PKI}/host.pem -noout -text")
    assert "new.example.org" not in text


def test_no_key_is_ever_shown(hosts: dict[str, Any], playbook: Playbook, secrets: Path) -> None:
    """Not with --diff and all details, while new keys are made and installed."""
    old = keys(hosts)
    hosts["pki-site"].check_output(f"rm {PKI}/host.pem.key")
    shown = playbook("--diff", "-vvv", pki_renew_before="366d", pki_renew_keys=True).output
    new = keys(hosts)
    assert differing(old, new) == {"pki-1", "pki-2"}
    for text in (*old.values(), *new.values(), (secrets / "pki/ca.key").read_text()):
        for line in text.splitlines()[1:-1]:
            assert line not in shown
    assert (secrets / "passphrase").read_text().strip() not in shown


@pytest.mark.long
@pytest.mark.parametrize("lost", ["host.pem", "host.pem.key", "ca.pem"])
def test_a_lost_file_comes_back(hosts: dict[str, Any], playbook: Playbook, lost: str) -> None:
    """Whatever an interrupted run or an accident left out."""
    hosts["pki-2"].check_output(f"rm {PKI}/{lost}")
    assert playbook().changes["pki-2"] > 0
    verify = f"openssl verify -CAfile {PKI}/ca.pem {PKI}/host.pem"
    assert hosts["pki-2"].run(verify).rc == 0
    pair = "openssl {0} -in " + PKI + "/host.pem{1} -noout -pubkey"
    certificate = hosts["pki-2"].check_output(pair.format("x509", ""))
    assert (
        hosts["pki-2"].check_output(f"openssl pkey -in {PKI}/host.pem.key -pubout") == certificate
    )


def test_a_certificate_of_another_host_is_refused(playbook: Playbook, secrets: Path) -> None:
    """A provided certificate must belong to its host and its key, or nothing is touched."""
    site = secrets / "site"
    wrong = playbook(
        "--limit=pki-2",
        status=1,
        pki_provided_certificate=str(site / "host.pem"),
        pki_provided_key=str(site / "host.key"),
    )
    assert "cannot serve pki-2" in wrong.output
    wrong = playbook("--limit=pki-site", status=1, pki_provided_key=str(site / "authority.key"))
    assert "cannot serve pki-site" in wrong.output
    wrong = playbook("--limit=pki-site", status=1, pki_provided_certificate=str(site / "leaf.pem"))
    assert "pki-site" in wrong.output
    assert wrong.changes["pki-site"] == 0


@pytest.mark.long
def test_the_authority_is_replaced_in_three_runs(
    hosts: dict[str, Any], playbook: Playbook, secrets: Path
) -> None:
    """Trust the next, issue by it, forget the old: at each point everyone trusts everyone."""
    pki, following = secrets / "pki", secrets / "next"
    trusted = pki / "trusted"
    trusted.mkdir()
    before = serials(hosts)

    make_authority(following, (secrets / "passphrase").read_text().strip())
    shutil.copy(following / "ca.pem", trusted / "next.pem")
    playbook()
    assert serials(hosts) == before
    assert bundle_size(hosts) == {3}

    (pki / "ca.pem").rename(trusted / "old.pem")
    (trusted / "next.pem").unlink()
    for name in ("ca.pem", "ca.key"):
        shutil.copy(following / name, pki / name)
    playbook()
    assert differing(before, serials(hosts)) == {"pki-1", "pki-2"}
    assert bundle_size(hosts) == {3}

    (trusted / "old.pem").unlink()
    playbook()
    assert bundle_size(hosts) == {2}
    stored = hosts["pki-1"].check_output("ls /usr/local/share/ca-certificates").split()
    assert len(stored) == 2
    assert hosts["pki-1"].run(f"openssl verify -CAfile {PKI}/ca.pem {PKI}/host.pem").rc == 0
    assert set(playbook().changes.values()) == {0}


def bundle_size(hosts: dict[str, Any]) -> set[int]:
    """Return how many authorities the hosts trust."""
    return {
        host.file(f"{PKI}/ca.pem").content_string.count("BEGIN CERTIFICATE")
        for host in hosts.values()
    }


def make_authority(directory: Path, passphrase: str) -> None:
    """Make an authority as an administrator would."""
    directory.mkdir(mode=0o700)
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-384",
            "-days",
            "3650",
            "-subj",
            "/O=research-stack/CN=research-stack second CA",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
            "-passout",
            "stdin",
            "-keyout",
            str(directory / "ca.key"),
            "-out",
            str(directory / "ca.pem"),
        ],
        input=passphrase,
        text=True,
        check=True,
        capture_output=True,
    )
