"""What an audit looks at on a host: nothing is changed, and every look is bounded in time."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from calendar import timegm
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

# Where a secret is looked for, and the folders in there that hold programs or the service's data.
SECRET_ROOTS = ("/etc", "/opt", "/var", "/usr/local", "/home", "/root", "/run", "/srv", "/tmp")  # noqa: S108
NOT_SEARCHED = {"site-packages", "nodes", "journal", "apt"}
LARGEST_FILE = 50_000_000  # bytes
# File systems that are no disk of the host's.
VIRTUAL = "autofs bpf cgroup cgroup2 devpts devtmpfs fuse mqueue nfs nfs4 proc sysfs"
LISTS_MAX_AGE = 3  # days after which the package lists say nothing about today's updates
DAY = 86400.0

Run = Callable[[Sequence[str]], str]


class AuditError(Exception):
    """A part of a host cannot be looked at; the message says why."""


def listening(printed: str) -> list[dict[str, Any]]:
    """Return the TCP ports that another host could reach.

    :param printed: the output of C(ss -H -ltnp)
    :return: C(port) and C(process), each port once, in order
    """
    found: dict[int, str] = {}
    for line in printed.splitlines():
        fields = line.split()
        address, _, port = fields[3].rpartition(":")
        if address.startswith(("127.", "[::1]", "[::ffff:127.")) or "%lo" in address:
            continue
        process = re.search(r'"([^"]+)"', line)
        found.setdefault(int(port), process[1] if process else "")
    return [{"port": port, "process": found[port]} for port in sorted(found)]


def opened(rules: str) -> list[int]:
    """Return the single TCP ports that ufw lets through.

    :param rules: the content of ufw's C(user.rules)
    """
    tuples = re.findall(r"^### tuple ### allow (?:tcp|any) ([\d,]+) ", rules, re.MULTILINE)
    return sorted({int(port) for ports in tuples for port in ports.split(",")})


def exposures(printed: str, patterns: Iterable[str]) -> dict[str, float]:
    """Return the exposure of the services that match one of the patterns.

    :param printed: the output of C(systemd-analyze security --json=short)
    """
    wanted = list(patterns)
    return {
        row["unit"]: float(row["exposure"])
        for row in json.loads(printed)
        if any(fnmatch(row["unit"], pattern) for pattern in wanted)
    }


def days_left(printed: str, now: float) -> float:
    """Return for how many days a certificate is valid yet.

    :param printed: the output of C(openssl x509 -noout -enddate)
    :param now: seconds since 1970
    :raises AuditError: where there is no date in it
    """
    found = re.search(r"^notAfter=(.+)$", printed, re.MULTILINE)
    if not found:
        raise AuditError(f"openssl printed no date: {printed.strip()!r}")
    end = time.strptime(found[1].strip(), "%b %d %H:%M:%S %Y GMT")
    return round((timegm(end) - now) / DAY, 1)


def security_updates(printed: str) -> list[str]:
    """Return the packages that a security origin has a newer version of.

    :param printed: the output of C(apt-get --simulate dist-upgrade)
    """
    return [
        line.split()[1]
        for line in printed.splitlines()
        if line.startswith("Inst ") and "security" in line.lower()
    ]


class SecretSearch:
    """Looks for the values of secrets where somebody else than root could read them."""

    def __init__(self, secrets: Mapping[str, str], deadline: float) -> None:
        self._secrets = {name: value.encode() for name, value in secrets.items() if value}
        self._deadline = deadline
        self.found: set[str] = set()

    def look(self, where: str, content: bytes) -> None:
        """Note the secrets in a content."""
        self.found.update(
            f"{name} in {where}" for name, value in self._secrets.items() if value in content
        )

    def processes(self, folder: Path = Path("/proc")) -> None:
        """Look at the arguments and the environment of every process but this one."""
        for process in folder.glob("[0-9]*"):
            if process.name == str(os.getpid()):
                continue
            for part in ("cmdline", "environ"):
                try:
                    content = (process / part).read_bytes()
                    name = (process / "comm").read_text().strip()
                except OSError:
                    continue
                self.look(f"the {part} of {name}", content)

    def files(self, roots: Iterable[str] = SECRET_ROOTS) -> None:
        """Look at the files that everybody can reach and read, and at every log.

        :raises AuditError: where the time is over
        """
        for path in readable_files(roots):
            if time.monotonic() > self._deadline:
                raise AuditError(f"the time was over at {path}")
            try:
                self.look(str(path), path.read_bytes())
            except OSError:
                continue


def readable_files(roots: Iterable[str]) -> Iterator[Path]:
    """Yield the files that everybody can reach and read, and the logs whoever may read them."""
    for root in roots:
        for folder, folders, files in os.walk(root):
            logs = folder.startswith("/var/log")
            folders[:] = [name for name in folders if name not in NOT_SEARCHED]
            if not logs:
                folders[:] = [n for n in folders if _mode(Path(folder, n)) & stat.S_IXOTH]
            for name in files:
                path = Path(folder, name)
                mode = _mode(path)
                if not stat.S_ISREG(mode) or not (logs or mode & stat.S_IROTH):
                    continue
                if path.stat().st_size <= LARGEST_FILE:
                    yield path


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def world_writable(run: Run) -> list[str]:
    """Return the files, and the folders without the sticky bit, that everybody may write to."""
    virtual = [part for name in VIRTUAL.split() for part in ("-fstype", name, "-o")]
    printed = run(
        [
            *("find", "/", "(", *virtual, "-path", "/proc", ")", "-prune", "-o"),
            *("(", "-type", "f", "-perm", "-0002", "-o", "-type", "d", "-perm", "-0002"),
            *("!", "-perm", "-1000", ")", "-print"),
        ]
    )
    return sorted(printed.splitlines())


def certificates(folder: Path, run: Run, now: float) -> dict[str, float]:
    """Return the days that each certificate below a folder is valid yet."""
    return {
        str(path): days_left(run(["openssl", "x509", "-noout", "-enddate", "-in", str(path)]), now)
        for path in sorted(folder.rglob("*.pem"))
        if path.is_file() and b"BEGIN CERTIFICATE" in path.read_bytes()
    }


def pending_updates(run: Run, lists: Path, now: float) -> list[str]:
    """Return the packages with a security update that is not installed.

    :param lists: apt's folder of package lists, which are not fetched anew
    :raises AuditError: where the lists are missing or too old to tell
    """
    indices = [path for path in lists.glob("*Release") if "-security" in path.name]
    if not indices:
        raise AuditError("none of its package lists is of a security archive")
    age = (now - max(path.stat().st_mtime for path in indices)) / DAY
    if age > LISTS_MAX_AGE:
        raise AuditError(f"the package lists are {age:.0f} days old (apt-get update renews them)")
    simulate = ["apt-get", "--simulate", "-o", "Debug::NoLocking=1", "dist-upgrade"]
    return security_updates(run(simulate))


def each_part(parts: Mapping[str, Callable[[], Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what each part sees, and of those that see nothing, why.

    :param parts: name of a part, and what looks
    """
    seen: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, look in parts.items():
        try:
            seen[name] = look()
        except (AuditError, OSError, ValueError) as error:
            problems[name] = str(error)
    return seen, problems
