"""No secret of the vault shows where another user, a log or a backup could see it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import INVENTORY, ROOT, Lab

# Runs on a host as root with the secrets on standard input, and prints the places where one is
# found: the search of scripts/audit.
SCAN = (
    (ROOT / "module_utils" / "host_audit.py").read_text()
    + """
import subprocess, sys
search = SecretSearch(json.load(sys.stdin), time.monotonic() + 240)
search.processes()
for command in ("systemctl show *.service", "journalctl --output=cat --no-pager"):
    search.look(command, subprocess.run(command.split(), capture_output=True).stdout)
search.files()
print("\\n".join(sorted(search.found)))
"""
)


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    """Return the generated values of the vault."""
    vault = INVENTORY / "group_vars" / "all" / "vault.yml"
    shown = subprocess.run(
        ["ansible-vault", "view", str(vault)], capture_output=True, check=True, text=True
    ).stdout
    values = yaml.safe_load(shown)
    assert len(values) >= 10, "the vault holds fewer secrets than the stack uses"
    return {name: str(value) for name, value in values.items() if len(str(value)) >= 8}


def test_no_secret_in_argv_environment_units_logs_or_readable_files(
    lab: Lab, secrets: dict[str, str]
) -> None:
    leaks = []
    for host in lab.hosts.values():
        # The secrets travel as a file of root's alone, not in the argv that the scan looks at.
        host.check("install -d -m 0700 /run/scan")
        host.write("/run/scan/scan.py", SCAN)
        host.write("/run/scan/secrets", json.dumps(secrets))
        try:
            out = host.check("python3 /run/scan/scan.py < /run/scan/secrets", timeout=300)
        finally:
            host.check("rm -rf /run/scan")
        leaks += [f"{host.name}: {line}" for line in out.splitlines() if line]
    assert not leaks, "\n".join(leaks)


def test_private_keys_are_for_root_or_their_service_alone(lab: Lab) -> None:
    for host in lab.hosts.values():
        listed = host.check(
            "find /etc -name '*.key' -o -name '*key.pem' | xargs -r stat -c '%a %n'"
        )
        wrong = [line for line in listed.splitlines() if line.split()[0][-1] != "0"]
        assert not wrong, f"{host.name}: {wrong}"
        keys = [line for line in listed.splitlines() if "research-pki" in line]
        assert keys and all(line.startswith("600 ") for line in keys), f"{host.name}: {keys}"


def test_the_checkout_holds_no_key_of_a_host(lab: Lab) -> None:
    kept = [path for path in Path(INVENTORY, "pki").rglob("*") if path.is_file()]
    unencrypted = [path.name for path in kept if b"BEGIN PRIVATE KEY" in path.read_bytes()]
    assert not unencrypted
