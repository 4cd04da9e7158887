"""The edges under test, and what their readers do."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import testinfra
import yaml

SERVICE = "research.test"
ALIAS = "library.test"
NODES = ("app1", "app2")
EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
CA = EPHEMERAL / "pki/ca.pem"


@dataclass
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the body, which is JSON."""
        return yaml.safe_load(self.body)


def context(*protocols: str) -> ssl.SSLContext:
    """Make a TLS context that trusts the test authority alone."""
    made = ssl.create_default_context(cafile=str(CA))
    made.set_alpn_protocols(list(protocols or ("http/1.1",)))
    return made


class Connection(http.client.HTTPSConnection):
    """HTTPS to an address, verified as the service's name."""

    def __init__(self, address: str, timeout: float = 10) -> None:
        super().__init__(SERVICE, timeout=timeout, context=context())
        self.address = address

    def connect(self) -> None:
        """Connect to the address instead of what the name resolves to."""
        plain = socket.create_connection((self.address, 443), self.timeout)
        self.sock = context().wrap_socket(plain, server_hostname=SERVICE)


def fetch(
    address: str,
    path: str = "/",
    method: str = "GET",
    *,
    headers: dict[str, str] | None = None,
    body: Any = None,
    timeout: float = 10,
) -> Answer:
    """Send one request over a connection of its own."""
    connection = Connection(address, timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        lowered = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, lowered, response.read())
    finally:
        connection.close()


def raw(address: str, head: str, *, tls: bool = True, sni: str | None = SERVICE) -> Answer:
    """Send a request as it is written.

    :param head: request line and headers, each with its line end
    :param tls: to the port of the service; else to the one that redirects
    :param sni: name of the TLS handshake, or none
    """
    unnamed = context()
    unnamed.check_hostname = False
    with contextlib.closing(socket.create_connection((address, 443 if tls else 80), 10)) as plain:
        connection = unnamed.wrap_socket(plain, server_hostname=sni) if tls else plain
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        lowered = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, lowered, response.read())


@dataclass
class Load:
    """Readers that send one GET after the other until told to stop."""

    address: str
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    timeout: float = 10
    failures: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    count: int = 0
    longest_gap: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _last: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Load:
        self._pool = ThreadPoolExecutor(3)
        self._running = [self._pool.submit(self._read) for _ in range(3)]
        time.sleep(0.3)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.3)
        self._stop.set()
        self._pool.shutdown()
        for reader in self._running:
            reader.result()
        self.longest_gap = max(self.longest_gap, time.monotonic() - self._last)
        print(f"{self.count} requests, {len(self.failures)} failed, gap {self.longest_gap:.2f} s")

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                answer = fetch(self.address, self.path, headers=self.headers, timeout=self.timeout)
                self.count += 1
                if answer.status == 200:
                    self.longest_gap = max(self.longest_gap, time.monotonic() - self._last)
                    self._last = time.monotonic()
                    self.nodes.append(answer.json()["node"])
                else:
                    self.failures.append(f"status {answer.status}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            time.sleep(0.02)


def eventually(condition: Callable[[], Any], seconds: float = 15) -> float:
    """Wait for a condition, and return how long that took; a broken connection is none yet."""
    start = time.monotonic()
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return time.monotonic() - start
        assert time.monotonic() - start < seconds, "it did not come true in time"
        time.sleep(0.1)


class Site:
    """The hosts of the scenario."""

    def __init__(self) -> None:
        inventory = yaml.safe_load(Path(os.environ["MOLECULE_INVENTORY"]).read_text())
        groups = inventory["all"]["children"]
        self.proxy: str = groups["edge"]["vars"]["edge_proxy"]
        self.vip: str = groups["edge"]["vars"]["edge_vip_address"].partition("/")[0]
        self.edges = {
            name: values["base_address"] for name, values in groups["edge"]["hosts"].items()
        }
        self.app_name, app = next(iter(groups["app"]["hosts"].items()))
        self.app_address: str = app["base_address"]
        self.hosts = {
            name: testinfra.get_host(f"podman://{name}") for name in (*self.edges, self.app_name)
        }
        self.edge_name, self.edge = next(iter(self.edges.items()))

    def run(self, command: str, host: str = "") -> Any:
        """Run a command on the first edge or on another host."""
        return self.hosts[host or self.edge_name].run(command)

    def on_app(self, command: str) -> Any:
        """Run a command where the nodes are, which is a reader's place as good as any."""
        return self.run(command, self.app_name)

    def curl(self, arguments: str) -> str:
        """Run curl there, against the first edge."""
        certificate = f"--cacert /etc/upstream/ca.pem --resolve {SERVICE}:443:{self.edge}"
        return str(self.on_app(f"curl -sS -m 20 {certificate} {arguments}").stdout)

    def asked_directly(self) -> list[dict[str, Any]]:
        """Return what each node says of itself, past the edges."""
        urls = [f"https://{self.app_address}:{port}/" for port in (7861, 7862)]
        shown = "--cert /etc/upstream/app1.pem --key /etc/upstream/app1.pem.key"
        return [yaml.safe_load(self.on_app(f"curl -sSk {shown} {url}").stdout) for url in urls]

    def serving(self) -> set[str]:
        """Return the nodes that answer new readers of the first edge, or statuses of failures."""
        found = set()
        for _ in range(16):
            try:
                answer = fetch(self.edge)
            except (OSError, http.client.HTTPException) as error:
                return {repr(error)}
            found.add(answer.json()["node"] if answer.status == 200 else str(answer.status))
        return found

    def holders(self) -> list[str]:
        """Return the edges that have the service's address."""
        wanted = f" {self.vip}/"
        return [name for name in self.edges if wanted in self.run("ip -4 -o addr", name).stdout]

    def became_holder(self, name: str) -> float:
        """Return when an edge last took the service's address, by its own journal."""
        journal = self.run("journalctl -u keepalived -o short-unix -g MASTER", name).stdout
        return float(journal.split("\n")[-2].split()[0])

    def restore(self) -> None:
        """Start whatever a test has stopped; on a busy machine that takes its time."""
        self.on_app(
            "rm -f /run/upstream-*.draining; "
            "systemctl start upstream@app1 upstream@app2 upstream@impostor"
        )
        for name in self.edges:
            # The tests of hangs together are more than the watchdog takes within an hour.
            self.run("rm -f /run/research-watchdog/restarts.json", name)
            self.run(f"systemctl start {self.proxy} keepalived", name)
            self.run("systemctl restart research-watchdog", name)
        eventually(lambda: self.serving() == set(NODES), 60)
