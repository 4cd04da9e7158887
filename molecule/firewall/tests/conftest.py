"""The hosts of the scenario, and ways to set the firewall of one of them again."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ansible
import pytest
import testinfra

SCENARIO = Path(__file__).resolve().parent.parent
PROJECT = SCENARIO.parent.parent
CHANGED_HOST = "firewall-cache"
CHANGED_ADDRESS = "10.78.0.13"
SSH_OPTIONS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
# What the inventory asks for on the host that the tests change, after the filter.
AS_IN_INVENTORY = {
    "admin_networks": ["10.78.0.1"],
    "rules": [
        {"name": "ssh", "port": "22", "source": "10.78.0.1"},
        {"name": "cache", "port": "6379", "source": "10.78.0.12"},
    ],
}
# Runs the module as Ansible would, without the seconds that Ansible takes to get it there.
RUNNER = """
import json, runpy, sys
sys.path.insert(0, "/opt/check")
from ansible.module_utils import basic
arguments = json.load(sys.stdin)
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
basic._ANSIBLE_PROFILE = "legacy"
runpy.run_path("/opt/check/ufw_ruleset.py", run_name="__main__")
"""

Result = dict[str, Any]


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


@pytest.fixture(scope="session")
def ruleset() -> Callable[..., Result]:
    """Return a way to run the module on the changed host: overriding options in, result out."""
    archive = io.BytesIO()
    package = Path(ansible.__file__).parent
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("__init__.py", "release.py", "_vendor", "module_utils"):
            tar.add(package / name, f"check/ansible/{name}")
        for path in (PROJECT / "module_utils").glob("*.py"):
            tar.add(path, f"check/ansible/module_utils/{path.name}")
        tar.add(PROJECT / "library/ufw_ruleset.py", "check/ufw_ruleset.py")
    unpack = ["podman", "exec", "-i", CHANGED_HOST, "tar", "-x", "-C", "/opt"]
    subprocess.run(unpack, input=archive.getvalue(), check=True)

    def run(check_mode: bool = False, refused: bool = False, **options: Any) -> Result:
        arguments = {**AS_IN_INVENTORY, **options, "_ansible_check_mode": check_mode}
        command = ["podman", "exec", "-i", CHANGED_HOST, "python3", "-c", RUNNER]
        done = subprocess.run(
            command, input=json.dumps(arguments), capture_output=True, text=True, check=False
        )
        assert done.stdout, done.stderr
        result: Result = json.loads(done.stdout)
        assert result.get("failed", False) == refused, result
        return result

    return run


@pytest.fixture
def restored(ruleset: Callable[..., Result]) -> Iterator[None]:
    """Afterwards, have the firewall as the inventory says, without rules of others."""
    yield
    ruleset(purge_foreign=True)


@pytest.fixture
def playbook() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a way to run the scenario's playbook on the changed host, with extra variables."""

    def run(*arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        command = [
            "ansible-playbook",
            f"--inventory={SCENARIO.parent}/shared/connection.yml",
            f"--inventory={SCENARIO}/inventory.yml",
            f"--limit={CHANGED_HOST}",
            f"--extra-vars={json.dumps(variables)}",
            *arguments,
            str(SCENARIO / "converge.yml"),
        ]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    return run


@pytest.fixture(scope="session")
def ssh_key(changed: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a key with which root of the changed host lets this machine in."""
    key = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text()
    changed.check_output("mkdir -p -m 0700 ~root/.ssh")
    changed.check_output("echo %s > ~root/.ssh/authorized_keys", public.strip())
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
