"""What the wiring makes of an inventory: without a group that may be missing, and of one value."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent.parent
WIRING = PROJECT / "group_vars/all/wiring.yml"
WIRED = sorted(yaml.safe_load(WIRING.read_text()))
SECRETS = sorted(set(re.findall(r"vault_\w+", WIRING.read_text())))
OPTIONAL = ("ops", "storage", "opensearch_warm")
HOSTS: dict[str, Any] = {
    "all": {
        "children": {
            "edge": {"hosts": {"edge1": {"ansible_host": "10.99.0.11"}}},
            "app": {"hosts": {"app1": {"ansible_host": "10.99.0.21"}}},
            "opensearch": {
                "children": {
                    "opensearch_manager": {"hosts": {"os1": {"ansible_host": "10.99.0.31"}}},
                    "opensearch_hot": {"hosts": {"os1": {}}},
                }
            },
            "cache": {"hosts": {"cache1": {"ansible_host": "10.99.0.41"}}},
        }
    }
}
PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ lookup('ansible.builtin.vars', item) }}"
      loop: "{{ names }}"
      ignore_errors: true
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: firewall, tasks_from: peers}
    - ansible.builtin.debug:
        msg: "{{ firewall_rules | firewall_rules(groups, firewall_peers, inventory_hostname) }}"
    - ansible.builtin.debug:
        msg: >-
          {{ firewall_outgoing_rules
             | firewall_rules(groups, firewall_peers, inventory_hostname, outgoing=true) }}
    - ansible.builtin.debug:
        msg: "{{ firewall_units | unit_addresses(groups, firewall_peers, inventory_hostname) }}"
"""


def told(folder: Path, missing: bool, **given: str) -> tuple[int, dict[str, Any], str]:
    """Return what a play says of every host: its result, host -> name -> value, and all of it."""
    hosts = json.loads(json.dumps(HOSTS))
    groups = hosts["all"]["children"]
    if not missing:
        groups.update({name: {} for name in OPTIONAL if name != "opensearch_warm"})
        groups["opensearch"]["children"]["opensearch_warm"] = {}
    hosts["all"]["vars"] = {
        **dict.fromkeys(SECRETS, "NoSecretAtAll1"),
        "base_admin_networks": ["10.99.0.0/24"],
        "edge_service_name": "library.example.org",
        "edge_vip_address": "10.99.0.10/24",
        "opensearch_version": "3.5.0",
        **given,
    }
    (folder / "hosts.yml").write_text(json.dumps(hosts))
    play = folder / "playbooks/play.yml"
    play.parent.mkdir()
    play.write_text(PLAY)
    (play.parent / "group_vars").symlink_to(PROJECT / "playbooks/group_vars")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }
    names = [name for name in WIRED if not name.endswith(("password", "passwords"))]
    command = ["ansible-playbook", "-i", str(folder / "hosts.yml"), str(play)]
    command += ["-e", json.dumps({"names": names})]
    done = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert "{" in done.stdout, done.stdout + done.stderr
    said, _ = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{") :])
    values: dict[str, Any] = {}
    for play_said in said["plays"]:
        for number, task in enumerate(play_said["tasks"]):
            for host, result in task["hosts"].items():
                of_host = values.setdefault(host, {})
                for each in result.get("results", [result]):
                    name = each.get("item", f"{task['task']['name']} {number}")
                    # What does not concern a host may fail; it has to fail with the group as well.
                    of_host[str(name)] = "failed" if each.get("failed") else each.get("msg")
    return done.returncode, values, done.stdout + done.stderr


def folder(path: Path, name: str) -> Path:
    """Return a new folder."""
    (path / name).mkdir()
    return path / name


@pytest.mark.slow
def test_a_group_that_is_missing_is_a_group_without_hosts(tmp_path: Path) -> None:
    code, empty, said = told(folder(tmp_path, "empty"), missing=False)
    assert code == 0, said
    assert empty["os1"]["opensearch_nodes"][0]["name"] == "os1"
    code, missing, said = told(folder(tmp_path, "missing"), missing=True)
    assert code == 0, said
    assert missing == empty


def test_no_file_takes_a_group_for_granted_that_may_be_missing() -> None:
    taken = re.compile(r"groups(?:\.|\[['\"])(?:" + "|".join(OPTIONAL) + r")\b['\"]?\]?")
    defaulted = re.compile(r"\s*\|\s*default\(")
    bare = [
        f"{path.relative_to(PROJECT)}: {line.strip()}"
        for place in ("group_vars", "playbooks", "roles")
        for path in sorted((PROJECT / place).rglob("*"))
        if path.suffix in {".yml", ".j2"} and path.is_file()
        for line in path.read_text().splitlines()
        for found in taken.finditer(line)
        if not defaulted.match(line, found.end())
    ]
    assert not bare


def test_nodes_are_known_by_the_organization_of_their_certificates(tmp_path: Path) -> None:
    _, values, said = told(tmp_path, missing=True, pki_organization="University of Examples")
    assert values["os1"]["opensearch_tls_organization"] == "University of Examples", said
