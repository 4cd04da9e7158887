"""The hosts of the scenario, a client that runs on them, and ways to run the playbook again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import testinfra

SCENARIO = Path(__file__).resolve().parent.parent
PROJECT = SCENARIO.parent.parent
NODES = ("cache-1", "cache-2", "cache-3")
PROBE = "/opt/probe"
USERS = {
    "replica": "replication",
    "sentinel": "sentinel",
    "monitoring": "monitoring",
    "research_app": "app",
}
ASK = f"""
import json, sys
sys.path.insert(0, "{PROBE}")
from cache_node import Access, CacheError, Connection
order = json.load(sys.stdin)
try:
    access = Access("/etc/research-pki/ca.pem", order["user"], order["password"])
    with Connection(order["host"], order["port"], access) as connection:
        answers = [connection.call(*words) for words in order["calls"]]
    print(json.dumps(answers[-1]))
except CacheError as error:
    print(json.dumps({{"error": str(error)}}))
"""

Ask = Callable[..., Any]
Playbook = Callable[..., dict[str, int]]


def secret(name: str) -> str:
    """Return a password that the inventory generated."""
    return (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / name).read_text().strip()


def run_on(host: str, script: str, order: Any) -> str:
    """Run a Python script on a host, its order on standard input."""
    done = subprocess.run(
        ["podman", "exec", "--interactive", host, "python3", "-c", script],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session", autouse=True)
def _probe() -> None:
    for host in (*NODES, "cache-single"):
        subprocess.run(["podman", "exec", host, "mkdir", "-p", PROBE], check=True)
        for source in (PROJECT / "module_utils/cache_node.py", SCENARIO / "tests/writer.py"):
            subprocess.run(["podman", "cp", str(source), f"{host}:{PROBE}/"], check=True)


@pytest.fixture(scope="session")
def hosts() -> dict[str, Any]:
    """Return the hosts by name."""
    return {name: testinfra.get_host(f"podman://{name}") for name in (*NODES, "cache-single")}


@pytest.fixture(scope="session")
def ask() -> Ask:
    """Return a function that sends commands to a server and returns the last answer."""

    def call(
        host: str, *calls: str, user: str = "research_app", password: str = "", port: int = 6379
    ) -> Any:
        order = {
            "host": host,
            "port": port,
            "user": user,
            "password": password or secret(USERS[user]),
            "calls": [words.split(" ") for words in calls],
        }
        return json.loads(run_on(host, ASK, order))

    return call


@pytest.fixture(scope="session")
def primary(ask: Ask) -> Callable[[], str]:
    """Return a function that asks the Sentinels, who must agree, for the primary."""

    def find(*nodes: str) -> str:
        question = "SENTINEL get-master-addr-by-name research"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            answers = [ask(node, question, port=26379) for node in nodes or NODES]
            names = {answer[0] for answer in answers if isinstance(answer, list)}
            if len(names) == 1 and all(isinstance(answer, list) for answer in answers):
                return str(names.pop())
            time.sleep(0.5)
        raise AssertionError(f"the Sentinels do not agree: {answers}")

    return find


def playbook_command(*arguments: str, **variables: Any) -> list[str]:
    """Return the command that runs converge.yml again with other variables."""
    return [
        "ansible-playbook",
        f"--inventory={SCENARIO.parent}/shared/connection.yml",
        f"--inventory={SCENARIO}/inventory.yml",
        f"--extra-vars={json.dumps(variables)}",
        *arguments,
        str(SCENARIO / "converge.yml"),
    ]


@pytest.fixture(scope="session", name="playbook_command")
def playbook_command_fixture() -> Callable[..., list[str]]:
    """Return the function that makes the command."""
    return playbook_command


@pytest.fixture(scope="session", name="secret")
def secret_fixture() -> Callable[[str], str]:
    """Return the function that returns a user's password."""
    return lambda user: secret(USERS[user])


@pytest.fixture(scope="session")
def playbook() -> Playbook:
    """Return a function that runs converge.yml again: the number of changed tasks by host."""

    def run(*arguments: str, **variables: Any) -> dict[str, int]:
        done = subprocess.run(
            playbook_command(*arguments, **variables), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)
        return {host: int(count) for host, count in found}

    return run


class Writer:
    """Writes a growing number through the Sentinels, as an application would."""

    def __init__(self, host: str) -> None:
        self._process = subprocess.Popen(
            ["podman", "exec", "--interactive", host, "python3", f"{PROBE}/writer.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin
        order = {"nodes": NODES, "user": "research_app", "password": secret("app")}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def stop(self) -> dict[str, Any]:
        """Stop writing and return the tally."""
        output, _ = self._process.communicate(input="stop\n", timeout=60)
        tally: dict[str, Any] = json.loads(output)
        print(f"\nwriter: {tally}")
        return tally


@pytest.fixture
def writer() -> Callable[[str], Writer]:
    """Return a function that starts a writer on a host."""
    return Writer
