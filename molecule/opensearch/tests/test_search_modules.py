"""Each module that talks to the server, asked four times, and with every connection that is wrong.

All of it goes through two runs of Ansible, since one run for each question would take minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Fifty questions in one run of Ansible take minutes on a busy machine.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]
HOST = "opensearch-1"
PROJECT = Path(__file__).resolve().parents[3]
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
# Not the project's own settings, which print for people.
PLAIN = {
    **os.environ,
    "ANSIBLE_CONFIG": str(EPHEMERAL / "plain.cfg"),
    "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_LIBRARY": str(PROJECT / "library"),
    "ANSIBLE_MODULE_UTILS": str(PROJECT / "module_utils"),
}
RIGHT = {
    "urls": [f"https://{HOST}:9200"],
    "ca": "/etc/research-pki/ca.pem",
    "client_certificate": "/etc/research-pki/opensearch-admin.pem",
    "client_key": "/etc/research-pki/opensearch-admin.pem.key",
}
WRONG_PASSWORD = "/run/probe-password"
STRANGER = {
    "urls": RIGHT["urls"],
    "ca": RIGHT["ca"],
    "user": "research_web",
    "password_file": WRONG_PASSWORD,
}
USER = {"name": "probe", "password": "Kx9-vmQ27-tRw48-hLp", "roles": ["probe"]}
OTHER = {**USER, "password": "Zb4-wnT61-yGd93-cFs"}
ROLE = {"probe": {"cluster_permissions": ["cluster_monitor"]}}
TEMPLATE = {"probe": {"index_patterns": ["probe*"], "settings": {"number_of_shards": 1}}}
FOLLOWED = {
    "probe": {
        "index_patterns": ["probe*", "not_there_yet"],
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
    }
}
# In this order: each undoes what the one before it did, or leaves the probe to the clean-up.
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "settings are set": (
        "opensearch_cluster_settings",
        {"settings": {"cluster.max_shards_per_node": 900}},
    ),
    "settings are reset": (
        "opensearch_cluster_settings",
        {"settings": {"cluster.max_shards_per_node": None}},
    ),
    "allocation is held": ("opensearch_allocation", {"state": "held"}),
    "allocation is restored": ("opensearch_allocation", {"state": "restored"}),
    "a node is excluded": ("opensearch_allocation", {"state": "excluded", "nodes": ["nobody"]}),
    "a node is included": ("opensearch_allocation", {"state": "included", "nodes": ["nobody"]}),
    "a vote is taken": (
        "opensearch_voting_exclusion",
        {"state": "excluded", "nodes": ["nobody"]},
    ),
    "a vote is given back": (
        "opensearch_voting_exclusion",
        {"state": "cleared", "nodes": ["nobody"]},
    ),
    "a template is made": ("opensearch_index_template", {"templates": TEMPLATE}),
    "an index follows its template": (
        "opensearch_index_template",
        {"templates": FOLLOWED, "existing": ["number_of_replicas"]},
    ),
    "a template is removed": ("opensearch_index_template", {"absent": ["probe"]}),
    "a user is made": ("opensearch_security", {"users": [USER], "roles": ROLE}),
    "a password is changed": ("opensearch_security", {"users": [OTHER], "roles": ROLE}),
    "a node may join": ("opensearch_security", {"nodes": {"probe": ["CN=probe"]}}),
}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "bad credentials": (STRANGER, "HTTP 401"),
    "another CA": ({**RIGHT, "ca": "/etc/ssl/certs/ISRG_Root_X1.pem"}, "TLS with https://"),
    "unreachable": ({**RIGHT, "urls": [f"https://{HOST}:9201"]}, "does not answer"),
    "a missing file": ({**RIGHT, "ca": "/nowhere/ca.pem"}, "ca /nowhere/ca.pem is missing"),
}
GATE = ("opensearch_health", {"question": "may_stop", "node": HOST})
REFUSED = {**CHANGES, "the gate is asked": GATE}


def run(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run tasks on the host in one play and return the result of each, failed or not."""
    (EPHEMERAL / "plain.cfg").write_text("[defaults]\n")
    play = {
        "hosts": HOST,
        "connection": "containers.podman.podman",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "/opt/research-ops/current/bin/python"},
        "tasks": [{"name": str(n), "ignore_errors": True, **t} for n, t in enumerate(tasks)],
    }
    path = EPHEMERAL / "modules.yml"
    path.write_text(json.dumps([play]))
    done = subprocess.run(
        ["ansible-playbook", f"--inventory={HOST},", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=PLAIN,
    )
    assert "{" in done.stdout, done.stdout + done.stderr
    said = json.loads(done.stdout[done.stdout.index("{") :])
    results = [task["hosts"][HOST] for task in said["plays"][0]["tasks"]]
    assert len(results) == len(tasks), done.stdout + done.stderr
    return results


@pytest.fixture(scope="module")
def asked_four_times(ask: Any) -> Any:
    """Return, for each change, the results of check, apply, check, apply."""
    tasks = [
        {module: {"connection": RIGHT, **options}, "check_mode": check}
        for module, options in CHANGES.values()
        for check in (True, False, True, False)
    ]
    assert ask("PUT", "/probe-1", "admin").status == 200
    results = run(tasks)
    yield {name: results[4 * n : 4 * n + 4] for n, name in enumerate(CHANGES)}
    assert ask("DELETE", "/probe-1", "admin").status == 200
    for kind in ("internalusers", "rolesmapping", "roles"):
        assert ask("DELETE", f"/_plugins/_security/api/{kind}/probe", "admin").status == 200


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_made_once(asked_four_times: Any, name: str) -> None:
    results = asked_four_times[name]
    assert not [result["msg"] for result in results if result.get("failed")]
    assert [result["changed"] for result in results] == [True, True, False, False]
    said = json.dumps([{**result, "invocation": None} for result in results])
    assert USER["password"] not in said
    assert OTHER["password"] not in said


@pytest.mark.usefixtures("asked_four_times")
def test_an_index_that_was_there_has_the_replicas_of_its_template(ask: Any) -> None:
    answer = ask("GET", "/probe-1/_settings?flat_settings", "admin").body
    assert answer["probe-1"]["settings"]["index.number_of_replicas"] == "0"


@pytest.fixture(scope="module")
def refused(shell: Callable[[str], str], ask: Any) -> Any:
    """Return the result of each module with each wrong connection; nothing may have changed."""
    shell(f"printf 'not the password' >{WRONG_PASSWORD}")
    before = ask("GET", "/_cluster/settings?flat_settings", "admin").body
    tasks = [
        {module: {**options, "connection": connection}}
        for module, options in REFUSED.values()
        for connection, _ in WRONG.values()
    ]
    results = iter(run(tasks))
    shell(f"rm {WRONG_PASSWORD}")
    assert ask("GET", "/_cluster/settings?flat_settings", "admin").body == before
    assert ask("GET", "/_index_template/probe", "admin").status == 404
    return {(name, how): next(results) for name in REFUSED for how in WRONG}


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_connection_is_one_clear_error(refused: Any, name: str, how: str) -> None:
    result = refused[name, how]
    assert result["failed"]
    assert WRONG[how][1] in result["msg"]
    assert "\n" not in result["msg"].strip()
    assert "Traceback" not in json.dumps(result)


def gate(question: str, node: str, **options: Any) -> dict[str, Any]:
    """Ask the gate."""
    asked = {"connection": RIGHT, "question": question, "node": node, "fail": False, **options}
    return run([{"opensearch_health": asked}])[0]


def codes(reasons: list[dict[str, Any]]) -> list[str]:
    return sorted({reason["code"] for reason in reasons})


def test_the_gate_says_what_stopping_the_only_node_means() -> None:
    said = gate("may_stop", HOST)
    assert said["ok"]
    assert codes(said["notes"]) == ["unavoidable_outage"]


def test_the_only_node_cannot_be_removed() -> None:
    said = gate("may_drain", HOST)
    assert {"manager_quorum", "replicas_do_not_fit"} <= set(codes(said["reasons"]))
    said = gate("may_remove", HOST)
    assert {"not_drained", "shard_without_other_copy", "still_elected", "still_votes"} <= set(
        codes(said["reasons"])
    )


def test_a_node_that_is_not_there() -> None:
    assert codes(gate("has_joined", "nobody")["reasons"]) == ["node_absent"]
    assert codes(gate("may_remove", "nobody")["notes"]) == ["node_absent"]
    assert gate("has_left", "nobody")["ok"]


def test_a_drain_of_the_only_node_says_why_nothing_moves(ask: Any) -> None:
    exclude = {"connection": RIGHT, "nodes": [HOST]}
    results = run(
        [
            {"opensearch_allocation": {**exclude, "state": "excluded"}},
            {
                "opensearch_allocation": {
                    **exclude,
                    "state": "drained",
                    "timeout": 60,
                    "interval": 1,
                    "stall": 3,
                }
            },
            {"opensearch_allocation": {**exclude, "state": "included"}},
        ]
    )
    assert [result.get("failed", False) for result in results] == [False, True, False]
    assert results[1]["shards_left"] > 0
    assert "does not move: there is no other data node" in results[1]["msg"]
    settings = ask("GET", "/_cluster/settings?flat_settings", "admin").body["persistent"]
    assert not [name for name in settings if "exclude" in name or "research_stack" in name]
