"""role_exports: what a role tells about its hosts, with each host's own variables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

INVENTORY = """
all:
  vars: {ansible_connection: local}
  hosts:
    one: {base_address: 192.0.2.1}
    two: {base_address: 192.0.2.2, app_port: 8443}
"""


@pytest.fixture
def ask(tmp_path: Path, project: Path) -> Callable[..., str]:
    """Return a function that evaluates an expression on host one with the real ansible."""
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(INVENTORY)
    ansible = shutil.which("ansible")
    assert ansible, "ansible is not on PATH: run scripts/test unit"
    environment = {**os.environ, "ANSIBLE_CONFIG": str(project / "ansible.cfg")}
    environment["ANSIBLE_CALLBACK_RESULT_FORMAT"] = "json"

    def evaluate(expression: str, **variables: object) -> str:
        task = f"msg={{{{ {expression} | to_json }}}}"
        command = [ansible, "-i", str(inventory), "one", "-m", "ansible.builtin.debug", "-a", task]
        command += ["-e", json.dumps(variables)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return evaluate


def values(output: str) -> Any:
    """Return what the expression evaluated to."""
    shown = json.loads(output[output.index("{") : output.rindex("}") + 1])
    return shown["msg"] if not isinstance(shown["msg"], str) else json.loads(shown["msg"])


def test_each_host_answers_with_its_own_variables_over_the_defaults(
    ask: Callable[[str], str],
) -> None:
    found = values(ask("query('role_exports', 'one', 'two', role='app', key='upstream')"))
    assert found == [
        {"name": "one", "address": "192.0.2.1", "port": 7860},
        {"name": "two", "address": "192.0.2.2", "port": 8443},
    ]


def test_a_role_without_the_key_contributes_nothing(ask: Callable[[str], str]) -> None:
    found = values(ask("query('role_exports', 'one', role=['pki', 'app'], key='upstream')"))
    assert [entry["name"] for entry in found] == ["one"]


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("query('role_exports', 'three', role='app', key='upstream')", "'three' is not a host"),
        ("query('role_exports', 'one', role='apq', key='upstream')", "there is no role 'apq'"),
    ],
)
def test_what_does_not_exist_is_named(
    ask: Callable[[str], str], expression: str, sentence: str
) -> None:
    assert sentence in " ".join(ask(expression).split())


@pytest.mark.parametrize(
    ("endpoint", "port", "to", "lock"),
    [
        ("", 443, [], "requirements.txt"),
        ("http://127.0.0.1:4318", 4318, [], "requirements-traces.txt"),
        ("https://collector.example.org:4318", 4318, ["any"], "requirements-traces.txt"),
        ("https://collector.example.org", 443, ["any"], "requirements-traces.txt"),
    ],
)
def test_traces_leave_where_they_are_wanted_alone(
    ask: Callable[..., str], project: Path, endpoint: str, port: int, to: list[str], lock: str
) -> None:
    wanted = yaml.safe_load((project / "roles/app/vars/main.yml").read_text())["app_requirements"]
    variables = {"app_media_extras": False, "app_meaning": False, "wanted": wanted}
    asked = (
        "{'rules': query('role_exports', 'one', role='app', key='outgoing_rules'), 'lock': wanted}"
    )
    found = values(ask(asked, app_traces_endpoint=endpoint, **variables))
    (rule,) = (each for each in found["rules"][0] if each["name"] == "traces")
    assert (int(rule["port"]), rule["to"], found["lock"]) == (port, to, lock)
    assert (project / "app" / lock).is_file()
