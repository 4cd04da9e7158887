"""The host of the scenario, requests to its server, and ways to run the playbook again."""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCENARIO = Path(__file__).resolve().parent.parent
HOST = "opensearch-1"
ADDRESS = "10.78.0.96"
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
PROJECT = SCENARIO.parents[1]
NO_SETTINGS = EPHEMERAL / "plain.cfg"
# The project's own settings print more than the result.
PLAIN = {
    **os.environ,
    "ANSIBLE_CONFIG": str(NO_SETTINGS),
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_LIBRARY": str(PROJECT / "library"),
    "ANSIBLE_MODULE_UTILS": str(PROJECT / "module_utils"),
}


@dataclass
class Answer:
    """A server's answer."""

    status: int
    body: Any


Ask = Callable[..., Answer]
Playbook = Callable[..., dict[str, int]]


def trust() -> ssl.SSLContext:
    """Return a context that trusts the scenario's CA and nothing else."""
    return ssl.create_default_context(cafile=str(EPHEMERAL / "pki/ca.pem"))


@pytest.fixture(scope="session")
def ask() -> Ask:
    """Return a function that sends a request as a user (or as nobody)."""

    def send(
        method: str, path: str, user: str = "", body: Any = None, password: str | None = None
    ) -> Answer:
        request = urllib.request.Request(f"https://{ADDRESS}:9200{path}", method=method)
        request.add_header("Content-Type", "application/json")
        if user:
            secret = password or (EPHEMERAL / user).read_text().strip()
            name = user if password else f"research_{user}"
            token = base64.b64encode(f"{name}:{secret}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        data = None if body is None else (body if isinstance(body, str) else json.dumps(body))
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, data and data.encode(), context=trust(), timeout=60
            ) as answer:
                text = answer.read().decode()
                status = answer.status
        except urllib.error.HTTPError as error:
            text, status = error.read().decode(), error.code
        try:
            return Answer(status, json.loads(text))
        except ValueError:
            return Answer(status, text)

    return send


@pytest.fixture(scope="session")
def playbook() -> Playbook:
    """Return a function that runs a playbook again: the number of changed tasks by host."""

    def run(*arguments: str, playbook: str = "converge.yml", **variables: Any) -> dict[str, int]:
        done = subprocess.run(
            [
                "ansible-playbook",
                f"--inventory={SCENARIO.parent}/shared/connection.yml",
                f"--inventory={SCENARIO}/inventory.yml",
                f"--extra-vars={json.dumps(variables)}",
                *arguments,
                str(SCENARIO / playbook),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)
        return {host: int(count) for host, count in found}

    return run


def shell(command: str) -> str:
    """Run a command on the host and return what it prints."""
    done = subprocess.run(
        ["podman", "exec", HOST, "sh", "-c", command], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


@pytest.fixture(scope="session")
def process() -> Callable[[], str]:
    """Return a function that identifies the running process."""
    return lambda: shell("systemctl show opensearch --property=MainPID,NRestarts,InvocationID")


@pytest.fixture(scope="session", name="shell")
def shell_fixture() -> Callable[[str], str]:
    """Return the function that runs a command on the host."""
    return shell


def run_module(name: str, /, check: bool = False, **options: Any) -> dict[str, Any]:
    """Run one of the modules on the host."""
    connection = {
        "urls": ["https://opensearch-1:9200"],
        "ca": "/etc/research-pki/ca.pem",
        "client_certificate": "/etc/research-pki/opensearch-admin.pem",
        "client_key": "/etc/research-pki/opensearch-admin.pem.key",
        **options.pop("connection", {}),
    }
    NO_SETTINGS.write_text("[defaults]\n")
    given = {key: value for key, value in connection.items() if value is not None}
    arguments = json.dumps({"connection": given, **options})
    done = subprocess.run(
        [
            "ansible",
            HOST,
            f"--inventory={HOST},",
            "--connection=containers.podman.podman",
            f"--module-name={name}",
            f"--args={arguments}",
            "--extra-vars=ansible_python_interpreter=/opt/research-ops/current/bin/python",
            *(["--check"] if check else []),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=PLAIN,
    )
    assert " => " in done.stdout, done.stdout + done.stderr
    verdict, text = done.stdout.split(" => ", 1)
    return {**json.loads(text), "failed": "FAILED" in verdict}


def run_four(name: str, /, **options: Any) -> list[bool]:
    """Check, apply, check, apply, and say which of the four changed something."""
    results = [run_module(name, check, **options) for check in (True, False, True, False)]
    assert not [result["msg"] for result in results if result["failed"]]
    return [result["changed"] for result in results]


@pytest.fixture(scope="session")
def module() -> Callable[..., dict[str, Any]]:
    """Return the function that runs a module."""
    return run_module


@pytest.fixture(scope="session")
def four() -> Callable[..., list[bool]]:
    """Return the function that runs a module four times."""
    return run_four
