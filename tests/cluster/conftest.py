"""The search tier alone, worked on by a sysadmin while a writer and a reader go on all the time."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from opensearchpy import OpenSearch, Urllib3HttpConnection
from opensearchpy import exceptions as errors

from tests.controller import kill_tree, measured_lines, once_a_dead_run_is_forgotten

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories" / "cluster"
ARTIFACTS = ROOT / "tests" / "artifacts"
INDEX = "research_assistant_numbers"
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)


@dataclass(frozen=True)
class Run:
    """How a playbook ended."""

    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> dict[str, int]:
        """Return how many tasks changed each host, without those that none changed."""
        recap = {name: int(count) for name, _, count, _, _ in RECAP.findall(self.output)}
        assert recap, self.output[-3000:]
        return {name: count for name, count in recap.items() if count}

    def succeeded(self) -> Run:
        """Return it; the test ends with the output where it failed."""
        assert self.code == 0, self.output[-5000:]
        return self

    def refused(self) -> str:
        """Return what it said, which must be a failure."""
        assert self.code != 0, f"it was to fail:\n{self.output[-3000:]}"
        return self.output


@dataclass(frozen=True)
class Host:
    """One host, reached as the sysadmin reaches it."""

    name: str
    address: str

    def command(self, text: str) -> list[str]:
        """Return the command line that runs a shell command as root."""
        keys = INVENTORY / ".ssh"
        root = f"sudo -n sh -c {shlex.quote(text)}"
        return [
            *("ssh", "-i", str(keys / "id_ed25519"), "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={keys / 'known_hosts'}", "-o", "ConnectTimeout=5"),
            *(
                "-o",
                "LogLevel=ERROR",
                f"deploy@{self.address}",
                root,
            ),
        ]

    def check(self, text: str, timeout: float = 120) -> str:
        """Run a command that must succeed and return what it printed."""
        done = subprocess.run(
            self.command(text), capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, f"{self.name}: {text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def started(self) -> str:
        """Return when the service was last started."""
        return self.check("systemctl show opensearch --property=ExecMainStartTimestampMonotonic")


class CountingConnection(Urllib3HttpConnection):
    """Counts the requests that the client has to send to another host."""

    retries = 0

    def perform_request(self, *arguments: Any, **options: Any) -> Any:
        """Send one request to one host."""
        try:
            return super().perform_request(*arguments, **options)
        except (errors.ConnectionError, errors.TransportError) as error:
            if not isinstance(error.status_code, int) or error.status_code in (500, 502, 503, 504):
                type(self).retries += 1
            raise


@dataclass
class Cluster:
    """The hosts, their inventory and the way to the API."""

    inventory: Path
    hosts: dict[str, Host]
    password: str = field(repr=False)
    admin_password: str = field(repr=False)

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def client(self, user: str = "research_worker", **options: Any) -> OpenSearch:
        """Return a client as an application has one: it asks the next host where one fails."""
        password = self.password if user == "research_worker" else self.admin_password
        return OpenSearch(
            hosts=[f"https://{host.address}:9200" for host in self.hosts.values()],
            http_auth=(user, password),
            use_ssl=True,
            verify_certs=True,
            ca_certs=str(self.inventory / "pki" / "ca.pem"),
            connection_class=CountingConnection,
            max_retries=len(self.hosts) + 1,
            retry_on_timeout=True,
            # 500 is what a node that stops says to the searches that it has not finished.
            retry_on_status=(500, 502, 503, 504),
            timeout=10,
            **options,
        )

    def request(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """Send one request as the administrator."""
        client = self.client("research_admin")
        try:
            return client.transport.perform_request(method, path, body=body, params=params)
        finally:
            client.close()

    def start(self, playbook: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a playbook and return its process."""
        command = [
            "ansible-playbook",
            "-i",
            str(self.inventory),
            str(ROOT / "playbooks" / playbook),
        ]
        # Told to show skipped hosts, Ansible names a task as it starts, not as it ends.
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true",
            "ANSIBLE_NOCOLOR": "1",
            "PROFILE_TASKS_TASK_OUTPUT_LIMIT": "all",
        }
        return subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def play(self, playbook: str, *arguments: str, timeout: float = 1500) -> Run:
        """Run a playbook to its end."""

        def once() -> Run:
            started = time.monotonic()
            process = self.start(playbook, *arguments)
            output, _ = process.communicate(timeout=timeout)
            return Run(process.returncode, output, time.monotonic() - started)

        return once_a_dead_run_is_forgotten(once, lambda run: run.output)

    def kill_at(self, banner: str, playbook: str, *arguments: str, times: int = 1) -> str:
        """Start a playbook and kill its controller when it names a task or step so many times.

        :return: what it said until then
        """
        process = self.start(playbook, *arguments)
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            times -= banner in line
            if times == 0:
                break
        kill_tree(process.pid)
        process.wait()
        return "".join(said)

    def allocation(self) -> dict[str, Any]:
        """Return the allocation settings that are not the tuned ones."""
        settings = self.request("GET", "/_cluster/settings", flat_settings="true")
        return {
            name: value
            for level in ("persistent", "transient")
            for name, value in settings[level].items()
            if ".allocation.enable" in name or ".allocation.exclude" in name or "metadata" in name
        }

    def wait_for_green(self, seconds: float = 180) -> None:
        """Wait until every copy is started."""
        self.request(
            "GET",
            "/_cluster/health",
            wait_for_status="green",
            timeout=f"{seconds:.0f}s",
            request_timeout=seconds + 10,
        )

    def versions(self) -> set[str]:
        """Return the versions that the members run."""
        nodes = self.request("GET", "/_nodes/_all/info", filter_path="nodes.*.version")
        return {node["version"] for node in nodes["nodes"].values()}


def _vault() -> dict[str, str]:
    password = subprocess.run(
        [str(ROOT / "scripts" / "vault-password")], capture_output=True, check=True
    ).stdout
    vault = VaultLib([("default", VaultSecret(password.strip()))])
    text = vault.decrypt((INVENTORY / "group_vars" / "all" / "vault.yml").read_text())
    secrets: dict[str, str] = yaml.safe_load(text)
    return secrets


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Return the lab's search tier, deployed, with an inventory that the tests may edit."""
    inventory = tmp_path_factory.mktemp("site") / "cluster"
    shutil.copytree(INVENTORY, inventory, symlinks=True)
    command = ["ansible-inventory", "-i", str(inventory), "--list"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    members = listed["opensearch_manager"]["hosts"]
    variables = listed["_meta"]["hostvars"]
    hosts = {name: Host(name, variables[name]["ansible_host"]) for name in members}
    secrets = _vault()
    found = Cluster(
        inventory=inventory,
        hosts=hosts,
        password=secrets["vault_opensearch_worker_password"],
        admin_password=secrets["vault_opensearch_admin_password"],
    )
    found.play("site.yml").succeeded()
    found.wait_for_green()
    return found


@dataclass
class Seen:
    """What the writer and the reader met with while something was done to the cluster."""

    acknowledged: list[int] = field(default_factory=list)
    refused_writes: list[str] = field(default_factory=list)
    searches: int = 0
    failed_searches: list[str] = field(default_factory=list)
    retries: int = 0
    longest_gap: float = 0.0

    def summary(self) -> str:
        """Return one line for people."""
        return (
            f"{len(self.acknowledged)} documents acknowledged, {len(self.refused_writes)} writes "
            f"refused, {self.searches} searches, {len(self.failed_searches)} failed, "
            f"{self.retries} requests retried, longest wait {self.longest_gap:.1f} s"
        )


class Traffic:
    """A writer of numbered documents and a reader, until they are stopped."""

    numbers = iter(range(10**9))

    def __init__(self, cluster: Cluster, pause: float = 0.05) -> None:
        self._cluster = cluster
        self._pause = pause
        self._stop = Event()
        self._threads = [Thread(target=self._write), Thread(target=self._read)]
        self.seen = Seen()

    def __enter__(self) -> Seen:
        CountingConnection.retries = 0
        body = {"settings": {"number_of_shards": 3, "number_of_replicas": 1}}
        self._cluster.client().indices.create(index=INDEX, body=body, ignore=400)
        self._cluster.wait_for_green()
        for thread in self._threads:
            thread.start()
        time.sleep(2)
        return self.seen

    def __exit__(self, *_: object) -> None:
        time.sleep(2)
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
        self.seen.retries = CountingConnection.retries

    def _write(self) -> None:
        client = self._cluster.client()
        while not self._stop.is_set():
            number = next(self.numbers)
            started = time.monotonic()
            try:
                client.index(index=INDEX, id=str(number), body={"number": number})
                self.seen.acknowledged.append(number)
            except errors.OpenSearchException as error:
                self.seen.refused_writes.append(f"{type(error).__name__}: {error}"[:300])
            self._note(started)
            self._stop.wait(self._pause)

    def _read(self) -> None:
        client = self._cluster.client()
        while not self._stop.is_set():
            started = time.monotonic()
            self.seen.searches += 1
            try:
                # Without a shard it is no answer: the client asks the next node for a whole one.
                found = client.search(
                    index=INDEX,
                    body={"size": 5, "query": {"match_all": {}}},
                    params={"allow_partial_search_results": "false"},
                )
                if found["timed_out"] or found["_shards"]["failed"]:
                    self.seen.failed_searches.append(f"partial: {found['_shards']}")
            except errors.OpenSearchException as error:
                self.seen.failed_searches.append(f"{type(error).__name__}: {error}"[:300])
            self._note(started)
            self._stop.wait(self._pause)

    def _note(self, started: float) -> None:
        self.seen.longest_gap = max(self.seen.longest_gap, time.monotonic() - started)


def missing(cluster: Cluster, acknowledged: list[int]) -> list[int]:
    """Return the acknowledged documents that the cluster does not have."""
    client = cluster.client()
    lost: list[int] = []
    for start in range(0, len(acknowledged), 500):
        ids = [str(number) for number in acknowledged[start : start + 500]]
        found = client.mget(index=INDEX, body={"ids": ids}, _source=False)
        lost += [int(doc["_id"]) for doc in found["docs"] if not doc.get("found")]
    return lost


def nothing_lost(cluster: Cluster, seen: Seen, record: Callable[[str], None], what: str) -> None:
    """Assert that every search was answered and every acknowledged document is there."""
    record(f"{what}: {seen.summary()}")
    assert len(seen.acknowledged) > 20, "the writer hardly wrote"
    assert seen.failed_searches == []
    assert seen.refused_writes == []
    assert missing(cluster, seen.acknowledged) == []
    assert cluster.allocation() == {}


@pytest.fixture
def traffic(cluster: Cluster) -> Callable[[], Traffic]:
    """Return a context manager under which documents are written and searched all the time."""
    return lambda: Traffic(cluster)


@pytest.fixture(scope="session")
def record(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Return a function that prints a measured line and keeps it in tests/artifacts/cluster.txt."""
    yield from measured_lines(request, ARTIFACTS / "cluster.txt")
