"""No secret of the vault shows where another user, a log or a backup could see it."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import INVENTORY, Lab

# Runs on a host as root with the secrets on standard input: names the places where one is found.
SCAN = r"""
import json, os, stat, subprocess, sys
secrets = {name: value.encode() for name, value in json.load(sys.stdin).items()}
found = []
def look(where, data):
    found.extend(f"{name} in {where}" for name, value in secrets.items() if value in data)
for pid in filter(str.isdigit, os.listdir("/proc")):
    if int(pid) == os.getpid():
        continue
    for part in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{part}", "rb") as file:
                look(f"/proc/{pid}/{part}", file.read())
        except OSError:
            pass
units = subprocess.run(["systemctl", "show", "*.service"], capture_output=True).stdout
look("systemctl show", units)
journal = subprocess.run(["journalctl", "-o", "cat", "--no-pager"], capture_output=True).stdout
look("the journal", journal)
for top in ("/etc", "/opt", "/var", "/usr/local", "/home", "/root", "/run", "/tmp"):
    for folder, folders, files in os.walk(top):
        folders[:] = [d for d in folders if d not in ("site-packages", "nodes", "journal", "apt")]
        for name in files:
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
                if not stat.S_ISREG(status.st_mode) or status.st_size > 50_000_000:
                    continue
                readable = status.st_mode & stat.S_IROTH
                log = path.startswith("/var/log")
                if readable or log:
                    with open(path, "rb") as file:
                        look(path, file.read())
            except OSError:
                pass
print("\n".join(found))
"""


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
    import json

    program = base64.b64encode(SCAN.encode()).decode()
    asked = base64.b64encode(json.dumps(secrets).encode()).decode()
    leaks = []
    for host in lab.hosts.values():
        # The secrets travel as a file of root's alone, not in the argv that the scan looks at.
        host.check("install -d -m 0700 /run/scan")
        _write(host.address, "/run/scan/program", program)
        _write(host.address, "/run/scan/secrets", asked)
        out = host.check(
            "base64 -d /run/scan/program > /run/scan/scan.py && base64 -d /run/scan/secrets | "
            "python3 /run/scan/scan.py; rm -rf /run/scan",
            timeout=300,
        )
        leaks += [f"{host.name}: {line}" for line in out.splitlines() if line]
    assert not leaks, "\n".join(leaks)


def _write(address: str, path: str, content: str) -> None:
    ssh = [
        *("ssh", "-i", str(INVENTORY / ".ssh" / "id_ed25519")),
        *("-o", f"UserKnownHostsFile={INVENTORY / '.ssh' / 'known_hosts'}", "-o", "BatchMode=yes"),
        *(f"deploy@{address}", f"sudo -n sh -c 'umask 077; cat > {path}'"),
    ]
    subprocess.run(ssh, input=content, text=True, check=True, capture_output=True)


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
