"""The hosts, a reader that trusts the scenario's authority only, and runs of the playbook."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra

SCENARIO = Path(__file__).resolve().parent.parent
PROJECT = SCENARIO.parent.parent
ADDRESSES = {"app-1": "10.78.0.77", "app-2": "10.78.0.78"}

Get = Callable[..., tuple[int, Any]]
Playbook = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def ephemeral() -> Path:
    """Return the folder with what the scenario made on the controller."""
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


@pytest.fixture(scope="session")
def hosts() -> dict[str, Any]:
    """Return the hosts by name."""
    return {name: testinfra.get_host(f"podman://{name}") for name in ADDRESSES}


@pytest.fixture(scope="session")
def get(ephemeral: Path) -> Get:
    """Return a function that asks a host over verified TLS: status, and the JSON or the text."""
    trusted = ssl.create_default_context(cafile=str(ephemeral / "pki" / "ca.pem"))

    def ask(name: str, path: str, timeout: float = 10) -> tuple[int, Any]:
        connection = http.client.HTTPSConnection(
            ADDRESSES[name], 7860, context=trusted, timeout=timeout
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        is_json = "json" in (answer.getheader("content-type") or "")
        return answer.status, json.loads(body) if is_json else body

    return ask


def command(**variables: Any) -> list[str]:
    """Compose a run of the product's playbook on the scenario's hosts.

    :param variables: for its ``--extra-vars``
    """
    return [
        "ansible-playbook",
        f"--inventory={SCENARIO.parent / 'shared' / 'connection.yml'}",
        f"--inventory={SCENARIO / 'inventory.yml'}",
        f"--extra-vars={json.dumps(variables)}",
        str(PROJECT / "playbooks" / "app.yml"),
    ]


@pytest.fixture(scope="session")
def start_playbook() -> Callable[..., subprocess.Popen[bytes]]:
    """Return a function that starts the playbook, in a process group that can be killed."""

    def start(**variables: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command(**variables), stdout=subprocess.DEVNULL, start_new_session=True
        )

    return start


@pytest.fixture(scope="session")
def playbook() -> Playbook:
    """Return a function that runs the playbook to its end."""

    def run(**variables: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0"}
        return subprocess.run(
            command(**variables), capture_output=True, text=True, check=False, env=environment
        )

    return run


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Path]:
    """Return a copy of the application's sources that a test may change."""
    copy = tmp_path / "app"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests")
    shutil.copytree(PROJECT / "app", copy, ignore=ignored)
    yield copy
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="session")
def main_pid(hosts: dict[str, Any]) -> Callable[[str], str]:
    """Return a function that names the process of a host's service."""

    def ask(name: str) -> str:
        show = "systemctl show research-app --property=MainPID --value"
        return str(hosts[name].check_output(show))

    return ask
