"""Inventories and playbooks as Ansible reads them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
PLAYBOOKS = sorted(str(path) for path in (PROJECT / "playbooks").glob("*.yml"))
FORMATS = {".yml", ".yaml", ".j2"}
SET_FILTERS = re.compile(r"\|\s*(union|difference|intersect|symmetric_difference)\b")
HOSTS = """\
all:
  children:
    cache: {hosts: {cache1: {ansible_host: 10.99.0.41}}}
"""


def ansible(*command: str) -> str:
    """Run one of Ansible's programs in the project, and return what it printed."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Return an inventory outside of the project with group_vars of its own."""
    (tmp_path / "hosts.yml").write_text(HOSTS)
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text("cache_replication_password: of the inventory\n")
    return tmp_path


def test_an_inventorys_own_values_win_over_the_shared_ones(inventory: Path) -> None:
    found = json.loads(ansible("ansible-inventory", "-i", str(inventory), "--host", "cache1"))
    assert found["cache_replication_password"] == "of the inventory"
    assert found["app_opensearch_user"] == "research_web"  # shared, and not overridden


def test_playbooks_see_the_same_values(inventory: Path) -> None:
    play = inventory / "playbooks/play.yml"
    play.parent.mkdir()
    (play.parent / "group_vars").symlink_to(PROJECT / "playbooks/group_vars")
    play.write_text(
        "- hosts: cache1\n  gather_facts: false\n  tasks:\n    - ansible.builtin.debug:\n"
        '        msg: "<{{ cache_replication_password }}> <{{ base_address }}>"\n'
    )
    said = ansible("ansible-playbook", "-i", str(inventory / "hosts.yml"), str(play))
    assert "<of the inventory> <10.99.0.41>" in said


def test_ad_hoc_commands_see_the_same_values(inventory: Path) -> None:
    message = '{"msg": "<{{ cache_replication_password }}> <{{ app_opensearch_user }}>"}'
    command = ("ansible", "-i", str(inventory), "cache1", "-m", "ansible.builtin.debug")
    assert "<of the inventory> <research_web>" in ansible(*command, "-a", message)


def test_playbooks_are_well_formed(inventory: Path) -> None:
    ansible("ansible-playbook", "-i", str(inventory), "--syntax-check", *PLAYBOOKS)


@pytest.mark.parametrize("script", ["document-inventory", "app-settings-table"])
def test_what_is_made_of_the_project_is_current(script: str) -> None:
    done = subprocess.run(
        [f"scripts/{script}", "--check"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_lists_keep_their_order() -> None:
    """What union, difference and intersect return comes in another order with each run."""
    folders = ("roles", "group_vars", "playbooks", "inventories")
    files = [p for folder in folders for p in (PROJECT / folder).rglob("*") if p.suffix in FORMATS]
    found = [
        f"{path.relative_to(PROJECT)}:{number}: {match[0]}"
        for path in sorted(files)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for match in SET_FILTERS.finditer(line)
    ]
    assert found == [], "write select('in', …), reject('in', …) or (a + b) | unique"
