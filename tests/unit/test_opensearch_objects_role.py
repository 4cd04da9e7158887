"""Users, templates and settings of the cluster while one of its nodes is dead."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
SECRETS = set(re.findall(r"vault_\w+", (PROJECT / "group_vars/all/wiring.yml").read_text()))
MODULES = (
    "opensearch_health",
    "opensearch_allocation",
    "opensearch_cluster_settings",
    "opensearch_security",
    "opensearch_index_template",
    "opensearch_snapshot_repository",
)
# Notes what it is asked. Of the cluster's three nodes two are members.
STUB = """\
#!/usr/bin/python
# WANT_JSON
import json, sys
asked = json.load(open(sys.argv[1]))
name = "{name}"
with open("{folder}/asked", "a") as file:
    file.write(json.dumps([name, asked]) + "\\n")
if name == "opensearch_health" and int(asked["nodes"]) > 2:
    print(json.dumps(dict(failed=True, msg="2 nodes are members, and 3 are wanted")))
else:
    print(json.dumps(dict(changed=False, allocation_held=False)))
"""
PLAY = """\
- hosts: opensearch
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
- hosts: opensearch
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: opensearch, tasks_from: objects}
      run_once: true
"""


@pytest.mark.slow
def test_a_dead_node_does_not_keep_users_and_templates_from_the_others(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    for name in MODULES:
        (library / f"{name}.py").write_text(STUB.format(name=name, folder=tmp_path))
    dead = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    names = ("os1", "os2", "os3")
    inventory = {
        "all": {
            "vars": {
                **dict.fromkeys(SECRETS, "NoSecretAtAll1"),
                "ansible_connection": "local",
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                "opensearch_python": "{{ ansible_playbook_python }}",
                "opensearch_running": {"active": True},
                "base_admin_networks": ["10.99.0.0/24"],
            },
            "children": {
                "opensearch": {
                    "children": {
                        "opensearch_manager": {
                            "hosts": {**{name: {} for name in names}, "os1": dead}
                        },
                        "opensearch_hot": {"hosts": {name: {} for name in names}},
                    }
                }
            },
        }
    }
    (tmp_path / "hosts.yml").write_text(json.dumps(inventory))
    play = tmp_path / "playbooks/play.yml"
    play.parent.mkdir()
    play.write_text(PLAY)
    (play.parent / "group_vars").symlink_to(PROJECT / "playbooks/group_vars")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LIBRARY": f"{library}:{PROJECT}/library",
        "ANSIBLE_ACTION_PLUGINS": str(tmp_path / "none"),
    }
    command = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), str(play)]
    done = subprocess.run(
        command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert {"opensearch_security", "opensearch_index_template"} <= {name for name, _ in asked}, (
        done.stdout + done.stderr
    )
    for _, arguments in asked:
        assert arguments["connection"]["urls"] == ["https://os2:9200", "https://os3:9200"]
    assert "os2                        : ok=" in done.stdout
    assert done.returncode == 4  # the run says that a host could not be reached
