"""scripts/audit sees what somebody left on a host, names the host, and changes nothing."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import INVENTORY, ROOT, Lab

CHECKS = "exposure,firewall,secrets,certificates,writable,updates"
HOST = "app3"

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
PLANTED = {
    "secrets": "vault_cache_app_password in /etc/planted-secret",
    "writable": "/srv/planted-file",
    "firewall": "port 12345 (python3) is open though the inventory does not open it",
}
REMOVE = (
    "ufw delete allow 12345/tcp; systemctl stop planted; "
    "rm -f /etc/planted-secret /srv/planted-file; true"
)


@pytest.fixture(scope="module")
def audited(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return the findings of a run, (check, host) by name, while a host has three faults."""
    vault = INVENTORY / "group_vars" / "all" / "vault.yml"
    shown = subprocess.run(["ansible-vault", "view", str(vault)], capture_output=True, check=True)
    secret = yaml.safe_load(shown.stdout)["vault_cache_app_password"]
    host = lab[HOST]
    try:
        # The secret goes by a file's content, as people leave them, and not in an argument.
        host.check("install -m 0644 /dev/null /etc/planted-secret")
        host.check("touch /srv/planted-file && chmod 0666 /srv/planted-file")
        host.check("ufw allow 12345/tcp")
        listen = "python3 -m http.server 12345 --directory /usr/share/doc"
        host.check(f"systemd-run --unit=planted {listen}")
        host.write("/etc/planted-secret", f"password = {secret}\n")
        done = subprocess.run(
            [str(ROOT / "scripts" / "audit"), str(INVENTORY), "--only", CHECKS, "--json"],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    finally:
        host.run(REMOVE)
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    read = json.loads(done.stdout)
    assert read["met"] is False
    return {
        item["check"]: {finding["host"]: finding for finding in item["findings"]}
        for item in read["checks"]
    }


@pytest.mark.parametrize("check", PLANTED)
def test_it_names_the_host_and_what_was_left_there(
    audited: dict[str, dict[str, Any]], check: str
) -> None:
    found = audited[check][HOST]
    assert found["verdict"] == "below goal"
    assert any(detail.startswith(PLANTED[check]) for detail in found["details"]), found


@pytest.mark.parametrize("check", PLANTED)
def test_every_other_host_is_as_it_should_be(
    audited: dict[str, dict[str, Any]], check: str
) -> None:
    wrong = {name: found for name, found in audited[check].items() if found["verdict"] != "ok"}
    assert set(wrong) == {HOST}, wrong


@pytest.mark.parametrize("check", ["exposure", "certificates"])
def test_it_measures_every_host(audited: dict[str, dict[str, Any]], lab: Lab, check: str) -> None:
    assert set(audited[check]) == set(lab.hosts)
    assert all(found["measured"] for found in audited[check].values())


def test_nothing_of_it_stays_on_a_host(audited: dict[str, dict[str, Any]], lab: Lab) -> None:
    for host in lab.hosts.values():
        assert host.run("dpkg --status lynis").code != 0
        assert not host.check("find /tmp /run -maxdepth 1 -name 'lynis*'").strip()
