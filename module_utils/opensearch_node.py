#!/usr/bin/python3
"""What a host knows about its OpenSearch node: release, data, process, and whether they agree.

The module ``opensearch_node`` reports it. The role also installs this file as the program that the
unit runs before each start (``prepare``), so that what a process started with and what is on disk
now are computed by the same lines.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import pwd
import re
import shutil
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

UNIT = "opensearch.service"
RELEASE_RECORD = ".release.json"
# Files of a release that the server reads from its configuration directory.
RELEASE_CONFIG = ("jvm.options", "log4j2.properties", "fips_java.security")
RELOAD_SECONDS = 20.0
_VERSION_KEY = b"last_accepted_version"


@dataclass(frozen=True)
class Layout:
    """Where the parts of a node lie."""

    root: Path = Path("/opt/opensearch")
    config: Path = Path("/etc/opensearch")
    data: Path = Path("/var/lib/opensearch")
    units: Path = Path("/etc/systemd/system")
    running: Path = Path("/run/opensearch/fingerprint.json")
    bootstrap: Path = Path("/run/opensearch.bootstrap")


@dataclass
class NodeReport:
    """What was found on the host."""

    release: dict[str, Any] = field(default_factory=dict)
    home: str = ""
    user: bool = False
    unit: bool = False
    active: bool = False
    enabled: bool = False
    needs_reload: bool = False
    data: str = "blank"
    bootstrap_pending: bool = False
    started_with_bootstrap: bool = False
    restart_reasons: list[str] = field(default_factory=list)
    memory_mb: int = 0
    processors: int = 1
    java_home: str = ""


def digest(*paths: Path) -> str:
    """Hash the content of files; a missing one counts as such."""
    total = hashlib.sha256()
    for path in paths:
        content = path.read_bytes() if path.is_file() else b"\0missing"
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()


def text_digest(text: str) -> str:
    """Hash a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def restart_config(path: Path) -> str:
    """Return what of opensearch.yml takes effect at a start alone.

    The list of nodes that may join is the file's only at a start; a running node learns it through
    the security API, so that a node can come and go without a restart of the others.
    """
    config = path.read_text() if path.is_file() else "\0missing"
    return re.sub(
        r"^plugins\.security\.nodes_dn:\n(?:[ \t]+-.*\n)*", "", config, flags=re.MULTILINE
    )


def unit_files(layout: Layout) -> list[Path]:
    """Return the unit and its drop-ins."""
    drop_ins = sorted((layout.units / f"{UNIT}.d").glob("*.conf"))
    return [layout.units / UNIT, *drop_ins]


def unit_value(layout: Layout, pattern: str) -> str:
    """Return what a pattern captures in the unit, or nothing."""
    unit = layout.units / UNIT
    found = re.search(pattern, unit.read_text(), re.MULTILINE) if unit.is_file() else None
    return found.group(1) if found else ""


def unit_home(layout: Layout) -> Path:
    """Return the release that the unit starts."""
    return Path(unit_value(layout, r"^ExecStart=(\S+)/bin/opensearch") or layout.root / "current")


def fingerprint(layout: Layout) -> dict[str, str]:
    """Hash each part of what a process takes over only when it starts."""
    home = unit_home(layout)
    java = Path(unit_value(layout, r"OPENSEARCH_JAVA_HOME=(\S+)") or home / "jdk")
    return {
        "release": digest(home / RELEASE_RECORD),
        "java": digest(java / "release"),
        "unit": digest(*unit_files(layout)),
        "config": text_digest(restart_config(layout.config / "opensearch.yml")),
        "jvm": digest(*sorted((layout.config / "jvm.options.d").glob("*.options"))),
        "keystore": digest(layout.config / "opensearch.keystore"),
        "ca": digest(layout.config / "certs" / "ca.pem"),
        "audit": digest(layout.config / "audit" / "log4j2.properties"),
    }


def differences(running: dict[str, str] | None, disk: dict[str, str]) -> list[str]:
    """Name the parts in which the running process differs from the disk."""
    if running is None:
        return ["unknown"]
    return sorted(part for part, value in disk.items() if running.get(part) != value)


def data_state(data: Path) -> str:
    """Say whether a data directory is blank, unformed (never in a cluster), formed or unreadable.

    The server keeps its cluster state in a Lucene index whose commit names the version of the state
    last accepted; it is 0 until the node has been in a cluster.
    """
    node = data / "nodes" / "0"
    try:
        if not node.is_dir() or not any(node.iterdir()):
            return "blank"
        if (node / "indices").is_dir() and any((node / "indices").iterdir()):
            return "formed"
        commits = sorted(
            (node / "_state").glob("segments_*"),
            key=lambda path: int(path.name.removeprefix("segments_"), 36),
        )
        if not commits:
            return "unformed"
        return commit_state(commits[-1].read_bytes())
    except (OSError, ValueError):
        return "unreadable"


def commit_state(commit: bytes) -> str:
    """Read the cluster state's version out of a Lucene commit file."""
    at = commit.find(_VERSION_KEY)
    if at < 0 or at + len(_VERSION_KEY) >= len(commit):
        return "unreadable"
    start = at + len(_VERSION_KEY)
    length = commit[start]
    digits = commit[start + 1 : start + 1 + length]
    if not digits.isdigit():
        return "unreadable"
    return "formed" if int(digits) > 0 else "unformed"


def running_record(layout: Layout) -> dict[str, Any] | None:
    """Return what the running process recorded at its start."""
    try:
        record = json.loads(layout.running.read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def certificate_served(layout: Layout, timeout: float = 5.0) -> str | None:
    """Return the certificate that the node presents on its HTTP port, or None."""
    config = layout.config / "opensearch.yml"
    found = re.search(r"^http\.port:\s*(\d+)", config.read_text(), re.MULTILINE)
    port = int(found.group(1)) if found else 9200
    try:
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=timeout)
    except (TimeoutError, OSError, ssl.SSLError):
        return None


def certificate_reloaded(layout: Layout, wait: float = RELOAD_SECONDS) -> bool:
    """Say whether the node presents the certificate on disk, giving it time to notice a new one."""
    certificate = layout.config / "certs" / "host.pem"
    if not certificate.is_file():
        return True
    wanted = leaf(certificate.read_text())
    deadline = time.monotonic() + wait
    while True:
        served = certificate_served(layout)
        # No answer is no proof of an old certificate: the health gate judges silence.
        if served is None or leaf(served) == wanted:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(1)


def leaf(certificates: str) -> str:
    """Return the base64 text of the first certificate in a PEM file."""
    found = re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END", certificates, re.DOTALL)
    return "".join(found.group(1).split()) if found else ""


def unit_properties() -> dict[str, str]:
    """Return what systemd says about the unit, property -> value."""
    names = ("ActiveState", "UnitFileState", "NeedDaemonReload")
    command = ["systemctl", "show", UNIT, *(f"--property={name}" for name in names)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return dict(line.partition("=")[::2] for line in answer.stdout.splitlines())


def has_user(name: str = "opensearch") -> bool:
    """Say whether the host has the user that the service runs as."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def java_home() -> str:
    """Return where Debian and Ubuntu put the Java runtime of this machine's architecture."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "amd64")
    return f"/usr/lib/jvm/java-21-openjdk-{architecture}"


def read_release(home: Path) -> dict[str, Any]:
    """Return the record that the installer left in a release."""
    try:
        record = json.loads((home / RELEASE_RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def report(layout: Layout) -> NodeReport:
    """Collect everything there is to know without asking the server."""
    current = layout.root / "current"
    systemd = unit_properties()
    found = NodeReport(
        release=read_release(current),
        home=str(current.resolve()) if current.exists() else "",
        user=has_user(),
        unit=(layout.units / UNIT).is_file(),
        active=systemd.get("ActiveState") == "active",
        enabled=systemd.get("UnitFileState") == "enabled",
        needs_reload=systemd.get("NeedDaemonReload") == "yes",
        data=data_state(layout.data),
        bootstrap_pending=layout.bootstrap.is_file(),
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        processors=len(os.sched_getaffinity(0)),
        java_home=java_home(),
    )
    if found.active:
        record = running_record(layout)
        found.started_with_bootstrap = bool(record and record.get("bootstrap"))
        found.restart_reasons = differences(record and record.get("parts"), fingerprint(layout))
        if not found.restart_reasons and not certificate_reloaded(layout):
            found.restart_reasons = ["certificate"]
    return found


def prepare(layout: Layout) -> None:
    """Lay out what the process is about to start with, and record it.

    :raises OSError: where the configuration directory cannot be written
    :raises subprocess.CalledProcessError: where the keystore cannot be made
    """
    home = unit_home(layout)
    for name in RELEASE_CONFIG:
        if (home / "config" / name).is_file():
            content = (home / "config" / name).read_text()
            _install(log_paths(content, layout), layout.config / name)
    keystore = layout.config / "opensearch.keystore"
    if not keystore.exists():
        subprocess.run([str(home / "bin" / "opensearch-keystore"), "create"], check=True)
        _own(keystore, 0o640)
    record = {
        "parts": fingerprint(layout),
        "version": read_release(home).get("version"),
        "bootstrap": layout.bootstrap.is_file(),
    }
    partial = layout.running.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1))
    partial.replace(layout.running)


def log_paths(options: str, layout: Layout) -> str:
    """Send what a release would log below its own directory, which is not writable, to the logs."""
    config = (layout.config / "opensearch.yml").read_text()
    found = re.search(r"^path\.logs:\s*(\S+)", config, re.MULTILINE)
    return options.replace("=logs/", f"={found.group(1) if found else '/var/log/opensearch'}/")


def _install(content: str, target: Path) -> None:
    """Write a file of the release, readable by the service."""
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(content)
    _own(partial, 0o640)
    partial.replace(target)


def _own(path: Path, mode: int) -> None:
    shutil.chown(path, "root", "opensearch")
    path.chmod(mode)


def main(arguments: list[str]) -> int:
    """Run as the unit's ExecStartPre (prepare), or print the report (report)."""
    layout = Layout()
    if arguments == ["prepare"]:
        prepare(layout)
        return 0
    if arguments == ["report"]:
        print(json.dumps(report(layout).__dict__, indent=1))
        return 0
    print("usage: opensearch-node prepare|report", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
