"""The hosts of the scenario, and ways to run its playbook again with other variables."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra

SCENARIO = Path(__file__).resolve().parent.parent
CHANGED_HOST = "firewall-cache"
CHANGED_ADDRESS = "10.78.0.13"
SSH_OPTIONS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"

Playbook = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def hosts() -> dict[str, Any]:
    """Return the hosts by their short names."""
    return {
        name: testinfra.get_host(f"podman://firewall-{name}") for name in ("edge", "app", "cache")
    }


@pytest.fixture(scope="session")
def changed(hosts: dict[str, Any]) -> Any:
    """Return the host that the tests change."""
    return hosts["cache"]


def run_playbook(*arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run the converge playbook against the host that the tests change.

    :param arguments: for ansible-playbook
    :param variables: extra variables
    """
    command = [
        "ansible-playbook",
        f"--inventory={SCENARIO.parent}/shared/connection.yml",
        f"--inventory={SCENARIO}/inventory.yml",
        f"--limit={CHANGED_HOST}",
        f"--extra-vars={json.dumps(variables)}",
        *arguments,
        str(SCENARIO / "converge.yml"),
    ]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def playbook() -> Iterator[Playbook]:
    """Yield a way to run the playbook; afterwards it is run as the inventory says."""
    yield run_playbook
    result = run_playbook(firewall_purge_foreign=True)
    assert result.returncode == 0, result.stdout


@pytest.fixture(scope="session")
def ssh_key(changed: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a key with which root of the changed host lets this machine in."""
    key = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text()
    changed.check_output("mkdir -p -m 0700 /root/.ssh")
    changed.check_output("echo %s > /root/.ssh/authorized_keys", public.strip())
    return key


@pytest.fixture
def login(ssh_key: Path) -> list[str]:
    """Return the ssh command that logs in to the changed host."""
    return ["ssh", *SSH_OPTIONS.split(), "-i", str(ssh_key), f"root@{CHANGED_ADDRESS}"]


@pytest.fixture
def by_ssh(ssh_key: Path) -> dict[str, Any]:
    """Return the variables with which Ansible reaches the changed host by ssh."""
    return {
        "ansible_connection": "ssh",
        "ansible_host": CHANGED_ADDRESS,
        "ansible_ssh_private_key_file": str(ssh_key),
        "ansible_ssh_common_args": f"{SSH_OPTIONS} -o ControlPath=none",
    }
