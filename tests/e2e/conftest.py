"""The running lab, as its readers and its sysadmins see it."""

from __future__ import annotations

import functools
import http.client
import json
import os
import shlex
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.controller import measured_lines, once_a_dead_run_is_forgotten
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories" / "lab"
ARTIFACTS = ROOT / "tests" / "artifacts"
SERVICE_NAME = "research.lab.test"
VIP = "10.77.0.10"
# For curl on a host that asks an application host past the edges: whom it trusts, and who it is.
AS_THIS_HOST = (
    "--cacert /etc/research-pki/ca.pem "
    "--cert /etc/research-pki/host.pem --key /etc/research-pki/host.pem.key"
)
# A search node asks its own tier.
AS_ADMINISTRATOR = (
    "curl -s -m 20 --cacert /etc/research-pki/ca.pem --cert /etc/research-pki/opensearch-admin.pem"
    " --key /etc/research-pki/opensearch-admin.pem.key"
)


@dataclass(frozen=True)
class Done:
    """How a command on a host ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Host:
    """One host of the lab."""

    name: str
    address: str
    groups: frozenset[str]

    def run(self, command: str, timeout: float = 60) -> Done:
        """Run a shell command as root, over ssh as the sysadmin would.

        :param command: text for the host's shell
        :param timeout: seconds
        """
        ssh = self._ssh(command)
        done = subprocess.run(ssh, capture_output=True, text=True, timeout=timeout, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def write(self, path: str, content: str) -> None:
        """Write a file, by standard input: for root alone, if it was not there before."""
        ssh = self._ssh(f"umask 077; cat > {shlex.quote(path)}")
        subprocess.run(ssh, input=content, text=True, check=True, capture_output=True)

    def _ssh(self, command: str) -> list[str]:
        return [
            *("ssh", "-i", str(INVENTORY / ".ssh" / "id_ed25519")),
            *("-o", f"UserKnownHostsFile={INVENTORY / '.ssh' / 'known_hosts'}"),
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=5"),
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=60"),
            *("-o", "ControlPath=/tmp/research-e2e-%C"),
            f"deploy@{self.address}",
            f"sudo -n sh -c {shlex.quote(command)}",
        ]

    def check(self, command: str, timeout: float = 60) -> str:
        """Run a command that must succeed and return what it printed."""
        done = self.run(command, timeout)
        assert done.code == 0, f"{self.name}: {command}\n{done.out}{done.err}"
        return done.out


class Lab:
    """All hosts, by name and by group."""

    def __init__(self, hosts: list[Host]) -> None:
        self.hosts = {host.name: host for host in hosts}

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def group(self, name: str) -> list[Host]:
        """Return the hosts of a group, in the order of the inventory."""
        return [host for host in self.hosts.values() if name in host.groups]


@pytest.fixture(scope="session")
def lab() -> Lab:
    """Return the hosts that inventories/lab names."""
    command = ["ansible-inventory", "-i", str(INVENTORY), "--list"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    variables = listed["_meta"]["hostvars"]

    def members(group: str) -> set[str]:
        own = listed.get(group, {})
        return set(own.get("hosts", [])).union(*(members(kid) for kid in own.get("children", [])))

    groups = {name: members(name) for name in listed if name != "_meta"}
    return Lab(
        [
            Host(
                name=name,
                address=variables[name]["ansible_host"],
                groups=frozenset(group for group, names in groups.items() if name in names),
            )
            for name in variables
        ]
    )


@pytest.fixture(scope="session")
def authority() -> Path:
    """Return the certificate of the lab's CA."""
    return INVENTORY / "pki" / "ca.pem"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Reader:
    """A reader: trusts the lab's CA, asks for the service by name at an address."""

    def __init__(self, authority: Path, address: str = VIP, timeout: float = 10) -> None:
        self._context = ssl.create_default_context(cafile=str(authority))
        self._address = address
        self._timeout = timeout

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> Answer:
        """Fetch a page on a connection of its own.

        :param path: path on the service
        :param headers: more request headers
        :raises OSError: where no answer arrives
        """
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        return self.ask("GET", target, headers=headers)

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send any request, on a connection of its own.

        :param target: path and query, sent as they are
        :raises OSError: where no answer arrives
        """
        connection = _NamedConnection(
            SERVICE_NAME, self._address, timeout=self._timeout, context=self._context
        )
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            lowered = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, lowered, answer.read())
        finally:
            connection.close()

    def search(self, text: str, **query: Any) -> Any:
        """Search through the API; the answer must be 200."""
        answer = self.get("/api/search", q=text, **query)
        assert answer.status == 200, f"{answer.status}: {answer.body[:300]!r}"
        return answer.json()


class _NamedConnection(http.client.HTTPSConnection):
    """Connects to an address, but asks for and verifies the name."""

    def __init__(self, name: str, address: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._address = address

    def connect(self) -> None:
        import socket

        plain = socket.create_connection((self._address, 443), self.timeout)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


@pytest.fixture(scope="session")
def reader(authority: Path) -> Reader:
    """Return a reader who comes through the VIP."""
    return Reader(authority)


@dataclass
class Traffic:
    """What searches that ran all the time met with."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    longest_gap: float = 0.0

    def summary(self, event: str) -> str:
        """Return one line for people."""
        return (
            f"{event}: {self.requests} searches, {len(self.failures)} failed, "
            f"longest gap {self.longest_gap:.2f} s"
        )


class SearchTraffic:
    """Readers who search all the time until stopped, hardly ever for the same.

    There are several, so that one who waits for a dead host does not hide that it was replaced: the
    gap is the time in which nobody had an answer.
    """

    WORDS = ("translation", "parsing", "summarization", "dialogue", "embedding", "speech", "corpus")

    def __init__(
        self, authority: Path, readers: int = 4, pause: float = 0.5, patience: float = 2.5
    ) -> None:
        self._reader = Reader(authority, timeout=patience)
        self._pause = pause
        self._stop = Event()
        self._lock = Lock()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(readers)]
        self._answered = 0.0
        self.traffic = Traffic()

    def __enter__(self) -> Traffic:
        self._answered = time.monotonic()
        for thread in self._threads:
            thread.start()
            time.sleep(self._pause / len(self._threads))
        time.sleep(1)
        return self.traffic

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                number = self.traffic.requests
                self.traffic.requests += 1
            failure = self._search(f"{self.WORDS[number % len(self.WORDS)]} {number % 50 + 1975}")
            with self._lock:
                self._note(failure)
            self._stop.wait(self._pause)

    def _search(self, text: str) -> str:
        """Search once; return what went wrong, or nothing."""
        try:
            answer = self._reader.get("/api/search", q=text)
        except OSError as error:
            return f"{type(error).__name__}: {error}"
        return "" if answer.status == 200 else f"HTTP {answer.status}"

    def _note(self, failure: str) -> None:
        now = time.monotonic()
        if failure:
            self.traffic.failures.append(failure)
        else:
            self.traffic.longest_gap = max(self.traffic.longest_gap, now - self._answered)
            self._answered = now


@pytest.fixture
def searching(authority: Path) -> Callable[..., SearchTraffic]:
    """Return a context manager under which searches run all the time."""
    return functools.partial(SearchTraffic, authority)


@pytest.fixture(scope="session")
def record(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Return a function that prints a measured line and keeps it in tests/artifacts/."""
    yield from measured_lines(request, ARTIFACTS / "measured.txt")


def ready(host: Host) -> bool:
    """Say whether the application on a host serves."""
    probe = f"curl -s -o /dev/null -w '%{{http_code}}' {AS_THIS_HOST}"
    return host.run(f"{probe} https://{host.name}:7860/ready").out == "200"


def main_process(host: Host, unit: str) -> str:
    """Return the number of a unit's main process; 0 where none runs."""
    return host.check(f"systemctl show --property=MainPID --value {unit}").strip()


def ask_opensearch(lab: Lab, path: str, past: str = "") -> str:
    """Ask a search node, another one than `past`; empty where none answers."""
    for host in lab.group("opensearch"):
        if host.name != past and (
            answer := host.run(f"{AS_ADMINISTRATOR} https://{host.name}:9200{path}").out
        ):
            return answer
    return ""


def search_tier_health(lab: Lab) -> dict[str, int]:
    """What the cluster says of itself; as if nothing were assigned where it says nothing."""
    try:
        found: dict[str, int] = json.loads(ask_opensearch(lab, "/_cluster/health"))
    except ValueError:
        return {"unassigned_shards": -1}
    return {"unassigned_shards": -1} | found


@pytest.fixture
def everything_up(lab: Lab, reader: Reader) -> Iterator[None]:
    """Leave a test with all parts of the lab working."""
    yield
    for host in lab.group("app"):
        wait_until(lambda host=host: ready(host), 90, f"{host.name} ready again")  # type: ignore[misc]
    wait_until(
        lambda: search_tier_health(lab)["unassigned_shards"] == 0, 240, "every copy assigned again"
    )
    wait_until(lambda: reader.get("/ready").status == 200, 60, "the service ready again")


def run_site(*arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run site.yml against the lab and return how it ended."""
    return run_playbook("site.yml", *arguments, timeout=timeout)


def run_playbook(
    name: str, *arguments: str, timeout: float = 900
) -> subprocess.CompletedProcess[str]:
    """Run a playbook against the lab and return how it ended."""
    command = ["ansible-playbook", "-i", str(INVENTORY), str(ROOT / "playbooks" / name)]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    return once_a_dead_run_is_forgotten(
        lambda: subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        ),
        lambda done: done.stdout,
    )
