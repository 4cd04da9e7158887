"""The playbook itself: a broken inventory is refused with no connection to any host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

INVENTORY = """\
all:
  vars:
    base_admin_networks: [10.99.0.0/24]
    opensearch_verison: 3.5.0
    vault_edge_stats_password: changeme
  children:
    edge:
      hosts:
        edge1: {ansible_host: 10.99.0.11, edge_vip_address: 10.99.0.10}
        edge2: {ansible_host: 10.99.0.11}
    opensearch:
      children:
        opensearch_manager: {hosts: {os1: {ansible_host: 10.99.0.31, opensearch_heap: 40g}}}
        opensearch_hot: {hosts: {os1: {}}}
"""
# Every way out of this machine that Ansible has by itself; each would leave a line behind.
RECORDER = '#!/bin/sh\necho "$0 $*" >> "$CONNECTIONS"\nexit 255\n'
WAYS_OUT = ("ssh", "scp", "sftp", "sshpass", "podman", "docker")


def run(
    project: Path, folder: Path, inventory: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a playbook with recorders in place of all that connects."""
    hosts = folder / "hosts.yml"
    hosts.write_text(inventory)
    programs = folder / "bin"
    programs.mkdir()
    for name in WAYS_OUT:
        (programs / name).write_text(RECORDER)
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_SSH_EXECUTABLE": str(programs / "ssh"),
        "CONNECTIONS": str(folder / "connections"),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    command = ["ansible-playbook", "--inventory", str(hosts), *arguments]
    return subprocess.run(
        command, env=environment, cwd=project, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [(), ("--limit", "os1"), ("--check", "--tags", "edge")])
def test_a_broken_inventory_is_refused_with_no_connection(
    project: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = run(project, tmp_path, INVENTORY, "playbooks/preflight.yml", *arguments)
    assert done.returncode != 0
    for said in (
        "opensearch_verison = 3.5.0 is a variable that no role has; write opensearch_version",
        "edge1: edge_vip_address = 10.99.0.10 has no prefix length; write 10.99.0.10/24",
        "edge2: base_address = 10.99.0.11 is the address of edge1 too",
        "os1: opensearch_heap = 40g is over 31g",
        "vault_pki_ca_passphrase",
    ):
        assert said in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("edge_vip_address = 10.99.0.10 ") == 1
    assert "changeme" not in done.stdout + done.stderr
    assert "Check the hosts" not in done.stdout
    assert not (tmp_path / "connections").exists()


def test_the_recorders_record(project: Path, tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text("- {hosts: os1, gather_facts: false, tasks: [{ansible.builtin.ping: }]}\n")
    done = run(project, tmp_path, INVENTORY, str(play))
    assert done.returncode != 0
    assert "10.99.0.31" in (tmp_path / "connections").read_text()
