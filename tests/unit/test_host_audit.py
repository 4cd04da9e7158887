"""What an audit reads from a host, on recorded output of the programs that it asks."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible.module_utils.host_audit import (
    AuditError,
    SecretSearch,
    certificates,
    days_left,
    each_part,
    exposures,
    listening,
    opened,
    pending_updates,
    security_updates,
    world_writable,
)

SOCKETS = """\
LISTEN 0      128                0.0.0.0:22   0.0.0.0:* users:(("sshd",pid=72,fd=6))
LISTEN 0      4096    [::ffff:127.0.0.1]:9300       *:*
LISTEN 0      128                   [::]:22      [::]:* users:(("sshd",pid=72,fd=7))
LISTEN 0      4096   [::ffff:10.77.0.31]:9200       *:*
LISTEN 0      4096                 [::1]:9200    [::]:*
LISTEN 0      5                127.0.0.1:25   0.0.0.0:* users:(("master",pid=80,fd=3))
LISTEN 0      4096         127.0.0.53%lo:53   0.0.0.0:* users:(("systemd-resolve",pid=9,fd=1))
"""


def test_what_listens_on_loopback_alone_is_left_out() -> None:
    assert listening(SOCKETS) == [{"port": 22, "process": "sshd"}, {"port": 9200, "process": ""}]


def test_the_ports_of_the_firewall_are_read_whoever_made_the_rule() -> None:
    rules = (
        "### tuple ### allow tcp 22 0.0.0.0/0 any 10.77.0.1 in comment=72657365617263683a737368\n"
        "-A ufw-user-input -p tcp --dport 22 -s 10.77.0.1 -j ACCEPT\n"
        "### tuple ### allow any 12345 0.0.0.0/0 any 0.0.0.0/0 in\n"
        "### tuple ### allow tcp 80,443 0.0.0.0/0 any 0.0.0.0/0 in\n"
        "### tuple ### deny tcp 23 0.0.0.0/0 any 0.0.0.0/0 in\n"
        "### tuple ### allow vrrp any 0.0.0.0/0 any 10.77.0.12 in\n"
    )
    assert opened(rules) == [22, 80, 443, 12345]


def test_the_exposure_of_the_wanted_services_alone_is_read() -> None:
    printed = (
        '[{"unit":"chrony.service","exposure":"3.5","predicate":"OK","happy":"🙂"},'
        '{"unit":"dbus.service","exposure":"9.3","predicate":"UNSAFE","happy":"😨"},'
        '{"unit":"research-app.service","exposure":"1.2","predicate":"OK","happy":"🙂"}]'
    )
    assert exposures(printed, ["research-*.service", "chrony.service"]) == {
        "chrony.service": 3.5,
        "research-app.service": 1.2,
    }


def test_the_days_of_a_certificate_are_counted_from_today() -> None:
    noon = 1795867200.0  # 2026-11-28 12:00 UTC
    assert days_left("notAfter=Dec  8 12:00:00 2026 GMT\n", noon) == 10
    with pytest.raises(AuditError, match="no date"):
        days_left("unable to load certificate", noon)


def test_keys_and_other_files_are_no_certificates(tmp_path: Path) -> None:
    (tmp_path / "host.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "other.pem").write_text("-----BEGIN PUBLIC KEY-----\n")
    (tmp_path / "host.pem.key").write_text("-----BEGIN PRIVATE KEY-----\n")
    found = certificates(tmp_path, lambda _: "notAfter=Jan  2 00:00:00 1970 GMT", now=0.0)
    assert found == {str(tmp_path / "host.pem"): 1.0}


UPGRADES = """\
Inst base-files [13.8+deb13u1] (13.8+deb13u2 Debian:13.2/stable [amd64])
Inst libssl3t64 [3.5.1-1] (3.5.1-1+deb13u1 Debian:13.2/stable, Debian-Security:13/stable-security [amd64])
Inst openssl [3.5.1-1] (3.5.1-1+deb13u1 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64]) []
Conf openssl (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])
"""  # noqa: E501


def test_updates_of_a_security_archive_are_told_from_others() -> None:
    assert security_updates(UPGRADES) == ["libssl3t64", "openssl"]


@pytest.mark.parametrize(
    ("lists", "age_days", "why"),
    [
        ([], 0, "none of its package lists is of a security archive"),
        (["deb.debian.org_debian_dists_trixie_InRelease"], 0, "is of a security archive"),
        (["deb.debian.org_debian-security_dists_trixie-security_InRelease"], 9, "9 days old"),
    ],
)
def test_without_fresh_lists_nothing_is_said_of_updates(
    tmp_path: Path, lists: list[str], age_days: int, why: str
) -> None:
    now = time.time()
    for name in lists:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (now - age_days * 86400,) * 2)
    with pytest.raises(AuditError, match=why):
        pending_updates(lambda _: UPGRADES, tmp_path, now)


def test_a_secret_is_found_where_others_can_read_it_and_nowhere_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    places = {
        "readable": (0o644, 0o755),
        "private": (0o600, 0o755),
        "behind-a-closed-folder": (0o644, 0o700),
    }
    for name, (mode, folder_mode) in places.items():
        folder = tmp_path / f"in-{name}"
        folder.mkdir()
        (folder / name).write_text("password = kept-by-root")
        (folder / name).chmod(mode)
        folder.chmod(folder_mode)
    search = SecretSearch({"vault_a": "kept-by-root", "vault_b": ""}, time.monotonic() + 60)
    search.files([str(tmp_path)])
    assert search.found == {f"vault_a in {tmp_path}/in-readable/readable"}


def test_a_secret_is_found_in_arguments_and_environments(tmp_path: Path) -> None:
    for process, part in (("12", "cmdline"), ("13", "environ")):
        (tmp_path / process).mkdir()
        for name in ("cmdline", "environ"):
            content = b"x\0kept-by-root\0" if name == part else b"x\0"
            (tmp_path / process / name).write_bytes(content)
        (tmp_path / process / "comm").write_text(f"daemon{process}\n")
    search = SecretSearch({"vault_a": "kept-by-root"}, time.monotonic() + 60)
    search.processes(tmp_path)
    assert search.found == {
        "vault_a in the cmdline of daemon12",
        "vault_a in the environ of daemon13",
    }


def test_a_search_that_takes_too_long_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o644)
    with pytest.raises(AuditError, match="the time was over"):
        SecretSearch({}, deadline=time.monotonic() - 1).files([str(tmp_path)])


def test_find_is_asked_for_files_and_folders_without_the_sticky_bit() -> None:
    asked: list[str] = []

    def run(command: Sequence[str]) -> str:
        asked.extend(command)
        return "/srv/b\n/etc/a\n"

    assert world_writable(run) == ["/etc/a", "/srv/b"]
    assert asked[0] == "find" and "-delete" not in asked and "-exec" not in asked


def test_a_part_that_fails_leaves_the_others() -> None:
    def broken() -> str:
        raise AuditError("it cannot be read")

    seen, problems = each_part({"good": lambda: 1, "bad": broken})
    assert (seen, problems) == ({"good": 1}, {"bad": "it cannot be read"})
