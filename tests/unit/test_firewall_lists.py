"""The lists of every host of the lab, as the role firewall makes them from its inventory."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
PLAY = """\
- hosts: all
  gather_facts: false
  vars:
    here: "{{ inventory_hostname }}"
    opens: "{{ firewall_outgoing_rules | firewall_rules(groups, firewall_peers, here, true) }}"
    lets_in: "{{ firewall_rules | firewall_rules(groups, firewall_peers, here) }}"
    all_lists: "{{ groups.all | map('extract', hostvars, 'lists') }}"
  tasks:
    - ansible.builtin.import_role: {name: firewall, tasks_from: peers}
    - ansible.builtin.set_fact:
        lists:
          said: {name: "{{ here }}", address: "{{ base_address }}", rules: "{{ firewall_rules }}"}
          read: "{{ firewall_peers }}"
          opens: "{{ opens }}"
          lets_in: "{{ lets_in }}"
          units: "{{ firewall_unit_addresses }}"
    - ansible.builtin.debug: {msg: "{{ dict(groups.all | zip(all_lists)) | to_json }}"}
      run_once: true
"""
ADMIN = "10.77.0.1/32"
EDGES = ["10.77.0.11", "10.77.0.12"]
APPS = ["10.77.0.21", "10.77.0.22", "10.77.0.23"]
NODES = ["10.77.0.31", "10.77.0.32", "10.77.0.33"]
CACHES = ["10.77.0.41", "10.77.0.42", "10.77.0.43"]
OPS = "10.77.0.51"

Lists = dict[str, dict[str, Any]]


def lists_of(folder: Path, seed: str) -> Lists:
    """Return the lists of a run, in which sets have an order of their own."""
    # Beside the playbook, the group_vars that all inventories share.
    (folder / "group_vars").symlink_to(PROJECT / "playbooks/group_vars")
    (folder / "play.yml").write_text(PLAY)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "PYTHONHASHSEED": seed,
    }
    command = ["ansible-playbook", "-i", str(PROJECT / "inventories/lab/hosts.yml"), "play.yml"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout[done.stdout.index("=> {") + 3 :]
    found: Lists = json.loads(json.JSONDecoder().raw_decode(shown)[0]["msg"])
    return found


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Lists:
    return lists_of(tmp_path_factory.mktemp("lists"), "1")


def short(rules: list[dict[str, str]], end: str) -> list[str]:
    return [f"{rule['name']} {rule['port']} {rule[end]}" for rule in rules]


def test_what_is_read_once_is_what_every_host_says_of_itself(lists: Lists) -> None:
    assert len(lists) == 12
    for host, found in lists.items():
        assert found["read"] == [each["said"] for each in lists.values()], host


def test_a_host_lets_in_whom_its_services_name(lists: Lists) -> None:
    assert short(lists["os1"]["lets_in"], "source") == [
        f"ssh 22 {ADMIN}",
        *(f"opensearch-http 9200 {address}" for address in [*APPS, *NODES[1:], OPS]),
        *(f"opensearch-transport 9300 {address}" for address in NODES[1:]),
        f"node-exporter 9100 {OPS}",
        f"opensearch-exporter 9114 {OPS}",
    ]
    assert short(lists["app2"]["lets_in"], "source") == [
        f"ssh 22 {ADMIN}",
        *(f"research-app 7860 {address}" for address in [*EDGES, OPS]),
        f"node-exporter 9100 {OPS}",
    ]


def test_a_host_opens_what_the_others_let_in(lists: Lists) -> None:
    opens = short(lists["edge2"]["opens"], "destination")
    assert [rule for rule in opens if rule.split()[-1] != "any"] == [
        "edge-http 80 10.77.0.11",
        "edge-https 443 10.77.0.11",
        "edge-vrrp  10.77.0.11",
        *(f"research-app 7860 {address}" for address in APPS),
        f"log-intake 9481 {OPS}",
    ]


def test_a_unit_has_those_that_it_works_with(lists: Lists) -> None:
    assert lists["edge1"]["units"] == {
        "keepalived.service": ["localhost", EDGES[0], EDGES[1], "224.0.0.18"],
        "prometheus-node-exporter.service": ["localhost", EDGES[0], OPS],
    }
    assert lists["app3"]["units"]["research-app.service"] == [
        *["localhost", APPS[2], *EDGES, OPS, *CACHES, *NODES],
    ]
    node = ["localhost", NODES[0]]
    assert lists["os1"]["units"] == {
        "opensearch.service": [*node, *APPS, *NODES[1:], OPS],
        "opensearch-keeper.service": node,
        "prometheus-node-exporter.service": [*node, OPS],
        "prometheus-elasticsearch-exporter.service": [*node, OPS],
    }


def test_lists_come_in_the_same_order_with_every_run(lists: Lists, tmp_path: Path) -> None:
    assert json.dumps(lists_of(tmp_path, "2")) == json.dumps(lists)
