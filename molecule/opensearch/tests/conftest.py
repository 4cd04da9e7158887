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
