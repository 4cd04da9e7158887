"""The hosts of the scenario, and ways to run its playbook again with other variables."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra

SCENARIO = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Run:
    """What a run of the playbook did."""

    output: str
    status: int
    changes: dict[str, int]


Playbook = Callable[..., Run]


@pytest.fixture(scope="session")
def hosts() -> dict[str, Any]:
    """Return the hosts by name."""
    return {name: testinfra.get_host(f"podman://{name}") for name in ("pki-1", "pki-2", "pki-site")}


@pytest.fixture(scope="session")
def secrets() -> Path:
    """Return the directory of the scenario's secrets on the controller."""
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


@pytest.fixture(scope="session")
def playbook() -> Playbook:
    """Return a function that runs converge.yml again."""

    def run(*arguments: str, status: int = 0, **variables: Any) -> Run:
        command = [
            "ansible-playbook",
            f"--inventory={SCENARIO.parent}/shared/connection.yml",
            f"--inventory={SCENARIO}/inventory.yml",
            f"--extra-vars={json.dumps(variables)}",
            *arguments,
            str(SCENARIO / "converge.yml"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        assert bool(done.returncode) == bool(status), output
        found = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)
        return Run(output, done.returncode, {host: int(count) for host, count in found})

    return run
