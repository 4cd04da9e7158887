"""The hosts, a reader that trusts the scenario's authority only, and runs of the playbook."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import time
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
def caller(ephemeral: Path) -> Callable[[str], ssl.SSLContext]:
    """Return a function that makes a caller: one with a certificate of this name, or ("") none."""

    def make(name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(ephemeral / "pki" / "ca.pem"))
        if name:
            context.load_cert_chain(client_certificate(ephemeral, name))
        return context

    return make


def client_certificate(folder: Path, name: str) -> Path:
    """Return a key and its certificate of the scenario's authority in one file, made once."""
    made = folder / f"{name}.pem"
    if made.exists():
        return made
    key, request, names = (folder / f"{name}.{suffix}" for suffix in ("key", "csr", "ext"))
    names.write_text(f"subjectAltName=DNS:{name}\nextendedKeyUsage=clientAuth\n")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key)
    openssl("req", *new_key, "-subj", f"/CN={name}", "-out", request)
    authority = ("-CA", folder / "pki/ca.pem", "-CAkey", folder / "pki/ca.key")
    serial = ("-CAcreateserial", "-CAserial", folder / "clients.srl")
    signing = (*authority, "-passin", f"file:{folder / 'ca'}", *serial, "-days", "2")
    signed = openssl("x509", "-req", "-in", request, "-extfile", names, *signing)
    made.write_text(key.read_text() + signed)
    return made


def openssl(*arguments: object) -> str:
    """Run openssl, and return what it prints."""
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def get(caller: Callable[[str], ssl.SSLContext]) -> Get:
    """Return a function that asks a host over verified TLS: status, and the JSON or the text."""

    def ask(
        name: str,
        path: str,
        timeout: float = 10,
        shown: str = "ops-of-the-tests",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        connection = http.client.HTTPSConnection(
            ADDRESSES[name], 7860, context=caller(shown), timeout=timeout
        )
        try:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        is_json = "json" in (answer.getheader("content-type") or "")
        return answer.status, json.loads(body) if is_json else body

    return ask


def command(*arguments: str, **variables: Any) -> list[str]:
    """Compose a run of the product's playbook on the scenario's hosts.

    :param arguments: more of ansible-playbook's own
    :param variables: for its ``--extra-vars``
    """
    return [
        "ansible-playbook",
        f"--inventory={SCENARIO.parent / 'shared' / 'connection.yml'}",
        f"--inventory={SCENARIO / 'inventory.yml'}",
        *arguments,
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

    def run(*arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0"}
        deadline = time.monotonic() + 90
        while True:
            done = subprocess.run(
                command(*arguments, **variables),
                capture_output=True,
                text=True,
                check=False,
                env=environment,
            )
            # A run that a test killed has the lock of the site for another minute.
            if "on this site since" not in done.stdout or time.monotonic() > deadline:
                return done
            time.sleep(5)

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
