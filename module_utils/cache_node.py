"""Ask a Valkey or Redis server and its Sentinel, and judge the answers.

The judgements are functions without input or output: answers in, reasons out.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

TITLE = "{title} {listen-addr} {server-mode}"
CONFIG_KEY = "config="
AUTHORITIES_KEY = "authorities="
ACL_KEY = "acl-"


class CacheError(Exception):
    """A server or Sentinel that cannot be asked, or refuses what it is asked for."""


@dataclass(frozen=True)
class Access:
    """How to sign in to every server and Sentinel of the installation."""

    ca: str
    username: str
    password: str = field(repr=False)
    timeout: float = 3.0


class Connection:
    """A verified TLS connection that speaks RESP2 and is signed in."""

    def __init__(self, host: str, port: int, access: Access) -> None:
        self._name = f"{host}:{port}"
        try:
            context = ssl.create_default_context(cafile=access.ca)
            plain = socket.create_connection((host, port), timeout=access.timeout)
            self._socket = context.wrap_socket(plain, server_hostname=host)
        except (OSError, ValueError) as error:
            raise CacheError(f"{self._name} does not answer: {error}") from error
        self._file = self._socket.makefile("rb")
        try:
            self.call("AUTH", access.username, access.password)
        except CacheError:
            self.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def certificate(self) -> bytes:
        """Return the certificate that the server shows, as DER."""
        return self._socket.getpeercert(binary_form=True) or b""

    def call(self, *words: str) -> Any:
        """Send one command and return its answer.

        :raises CacheError: where the server answers with an error or not at all
        """
        parts = [word.encode() for word in words]
        message = b"*%d\r\n" % len(parts)
        message += b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        try:
            self._socket.sendall(message)
            return self._read()
        except (OSError, ValueError) as error:
            raise CacheError(f"{self._name} stopped answering: {error}") from error

    def _read(self) -> Any:
        line = self._file.readline()
        kind, text = line[:1], line[1:].strip()
        if kind == b"+":
            return text.decode()
        if kind == b"-":
            raise CacheError(f"{self._name} answers: {text.decode(errors='replace')}")
        if kind == b":":
            return int(text)
        if kind == b"$":
            size = int(text)
            return None if size < 0 else self._file.read(size + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return None if int(text) < 0 else [self._read() for _ in range(int(text))]
        raise CacheError(f"{self._name} closed the connection")

    def info(self, section: str) -> dict[str, str]:
        """Return one section of INFO."""
        return parse_info(self.call("INFO", section))


def parse_info(text: str) -> dict[str, str]:
    """Read the answer to INFO.

    :param text: lines of ``key:value``
    :return: value by key
    """
    lines = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {key: value for key, colon, value in lines if colon}


def pairs(answer: Sequence[str]) -> dict[str, str]:
    """Read a flat list of names and values, as Sentinel answers."""
    return dict(zip(answer[::2], answer[1::2], strict=False))


def title_value(title: str, key: str) -> str:
    """Return what a process title says after a key, empty where it says nothing."""
    words = [word for word in title.split() if word.startswith(key)]
    return words[-1].removeprefix(key) if words else ""


def title_template(config: str, authorities: str) -> str:
    """Return the template of a title that says what the server runs with."""
    return f"{TITLE} {CONFIG_KEY}{config} {AUTHORITIES_KEY}{authorities}"


def acl_fingerprint(users: Sequence[str]) -> str:
    """Return the fingerprint of the loaded ACL file, which is the name of a disabled user."""
    marks = [user for user in users if user.startswith(ACL_KEY)]
    return marks[0].removeprefix(ACL_KEY) if len(marks) == 1 else ""


@dataclass(frozen=True)
class Process:
    """A running server or Sentinel: its title, and when it started (Unix time)."""

    title: str
    started: int


@dataclass(frozen=True)
class File:
    """A file that a process reads only when it starts or is told to."""

    fingerprint: str
    modified: int


def reasons_to_restart(process: Process, fingerprint: str, installed: int) -> list[str]:
    """Say why a running process has to be started anew.

    :param process: what runs
    :param fingerprint: of the configuration it should have started with
    :param installed: when its program was installed (Unix time)
    """
    reasons = []
    running = title_value(process.title, CONFIG_KEY)
    if running != fingerprint:
        reasons.append(f"it runs with configuration {running or 'of the package'}")
    if installed > process.started:
        reasons.append("its program was upgraded")
    return reasons


def knows_authorities(process: Process, authorities: File) -> bool:
    """Whether a process has read this file of authorities.

    A server that was told to read it since its start says so in its title.

    :param process: what runs
    :param authorities: the file as it is now
    """
    read = title_value(process.title, AUTHORITIES_KEY)
    return read == authorities.fingerprint if read else authorities.modified <= process.started


def reasons_not_ready(replication: Mapping[str, str], persistence: Mapping[str, str]) -> list[str]:
    """Say why a server cannot do its part yet.

    :param replication: INFO replication
    :param persistence: INFO persistence
    """
    if "role" not in replication or "loading" not in persistence:
        return ["the server does not say what it is doing"]
    reasons = []
    if persistence["loading"] != "0":
        reasons.append("the server loads its data")
    if replication["role"] == "slave":
        if replication.get("master_link_status") != "up":
            reasons.append(f"its link to {replication.get('master_host', 'the primary')} is down")
        if replication.get("master_sync_in_progress") != "0":
            reasons.append("it copies the primary's data")
    return reasons


def reasons_no_standby(replication: Mapping[str, str], exact: bool = False) -> list[str]:
    """Say why no replica could take over from this primary.

    :param replication: INFO replication of the primary
    :param exact: whether every replica must have all that the primary wrote
    """
    replicas = [
        pairs(value.replace("=", ",").split(","))
        for key, value in replication.items()
        if key.startswith("slave") and key[5:].isdigit()
    ]
    online = [replica for replica in replicas if replica.get("state") == "online"]
    if not replicas:
        return ["it has no replica"]
    if not any(int(replica.get("lag", "99")) <= 2 for replica in online):
        return ["none of its replicas is up to date"]
    written = replication.get("master_repl_offset")
    if exact and any(replica.get("offset") != written for replica in online):
        return ["its replicas have not everything yet"]
    return []


def leaf_der(pem_path: Path) -> bytes:
    """Return the first certificate of a PEM file as DER, empty where there is none."""
    try:
        text = pem_path.read_text()
        end = "-----END CERTIFICATE-----"
        return ssl.PEM_cert_to_DER_cert(
            text[text.index("-----BEGIN CERTIFICATE-----") : text.index(end)] + end + "\n"
        )
    except (FileNotFoundError, ValueError):
        return b""


def read_file(path: Path) -> File:
    """Return fingerprint and time of a file, of an empty one where there is none."""
    if not path.exists():
        return File("", 0)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return File(digest[:12], int(path.stat().st_mtime))


def find_primary(service: str, sentinels: Sequence[tuple[str, int]], access: Access) -> str:
    """Ask the Sentinels one after another who is primary.

    :return: its name or address, empty where no Sentinel knows
    """
    for host, port in sentinels:
        try:
            with Connection(host, port, access) as sentinel:
                answer = sentinel.call("SENTINEL", "get-master-addr-by-name", service)
        except CacheError:
            continue
        if answer:
            return str(answer[0])
    return ""


def wait_for(question: Callable[[], list[str]], seconds: float, pause: float = 0.5) -> None:
    """Ask until there is no reason left.

    :param question: returns the reasons to wait on; a CacheError of it counts as one
    :raises CacheError: with the last reasons, when the time is over
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            reasons = question()
        except CacheError as error:
            reasons = [str(error)]
        if not reasons:
            return
        if time.monotonic() > deadline:
            raise CacheError(f"after {seconds:.0f} s: {'; '.join(reasons)}")
        time.sleep(pause)
