"""What one host tells of itself, read from /proc and /etc alone: a bare host has no tools yet."""

from __future__ import annotations

import os
import platform
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LISTEN = "0A"
COMPLETE = 0x2
LOCAL_ADDRESS = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
UNIT = re.compile(r"/([^/\n]+\.service)(?=/|$)", re.MULTILINE)
ANSWER_SECONDS = 0.4
DISCARD_PORT = 9


def gather(
    paths: list[str], addresses: list[str], authorities: str = "", proc: Path = Path("/proc")
) -> dict[str, Any]:
    """Return all that the checks of a host ask for.

    :param paths: where the host's services will put their files
    :param addresses: addresses that nobody should answer at yet
    :param authorities: the file with the authorities that the host trusts
    """
    own = sorted(set(LOCAL_ADDRESS.findall(read(proc / "net/fib_trie"))))
    return {
        "time": time.time(),
        "root": os.geteuid() == 0,
        "init": read(proc / "1/comm").strip(),
        "python": [int(part) for part in platform.python_version_tuple()[:2]],
        "architecture": platform.machine(),
        "system": parse_os_release(read(Path("/etc/os-release"))),
        "memory": parse_memory(read(proc / "meminfo")),
        "cpus": len(os.sched_getaffinity(0)),
        "max_map_count": int(read(proc / "sys/vm/max_map_count") or 0),
        "sysctl_writable": os.access(proc / "sys/vm/max_map_count", os.W_OK),
        "addresses": own,
        "paths": {path: describe_path(path, read(proc / "self/mounts")) for path in paths},
        "listeners": list(listeners(proc)),
        "units": sorted({unit_of(process) for process in processes(proc)} - {""}),
        "authorities": read(Path(authorities)) if authorities else "",
        "answered": {
            address: "" if address in own else neighbour(address, proc) for address in addresses
        },
    }


def read(path: Path) -> str:
    """Return a file's text, or nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def parse_os_release(text: str) -> dict[str, str]:
    """Return what /etc/os-release says."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.lower(): value.strip("\"'") for key, value in pairs if key in ("ID", "VERSION_ID")}


def parse_memory(text: str) -> int:
    """Return the memory in bytes from /proc/meminfo."""
    match = re.search(r"MemTotal:\s+(\d+) kB", text)
    return int(match[1]) * 1024 if match else 0


def describe_path(path: str, mounts: str) -> dict[str, Any]:
    """Return what holds a path, which may not exist yet: its mount, options and free bytes."""
    existing = Path(path)
    while not existing.exists():
        existing = existing.parent
    point, options = mount_of(str(existing.resolve()), mounts)
    status = os.statvfs(existing)
    return {
        "exists": str(existing) == str(Path(path)),
        "mount": point,
        "options": options,
        "free": status.f_bavail * status.f_frsize,
    }


def mount_of(path: str, mounts: str) -> tuple[str, list[str]]:
    """Return the mount point that holds a path, and its options; the last mount there counts."""
    found = ("/", list[str]())
    for line in mounts.splitlines():
        fields = line.split()
        point = fields[1].replace("\\040", " ") if len(fields) > 3 else ""
        inside = point and (path == point or path.startswith(point.rstrip("/") + "/"))
        if inside and len(point) >= len(found[0]):
            found = (point, fields[3].split(","))
    return found


def listeners(proc: Path) -> Iterator[dict[str, Any]]:
    """Return each TCP port that is listened on, with the process and the unit behind it."""
    sockets = {
        inode: (address, port)
        for name in ("tcp", "tcp6")
        for address, port, inode in parse_sockets(read(proc / "net" / name))
    }
    owners = socket_owners(proc, set(sockets))
    for inode, (address, port) in sorted(sockets.items(), key=lambda each: each[1][1]):
        process, unit = owners.get(inode, ("", ""))
        yield {"port": port, "address": address, "process": process, "unit": unit}


def parse_sockets(text: str) -> Iterator[tuple[str, int, str]]:
    """Return address, port and inode of the listening sockets in /proc/net/tcp or tcp6."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTEN:
            address, port = fields[1].split(":")
            yield readable(address), int(port, 16), fields[9]


def readable(address: str) -> str:
    """Return an address as people write it; the kernel writes words of the host's byte order."""
    words = [bytes.fromhex(address[start : start + 8])[::-1] for start in range(0, len(address), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, b"".join(words))


def socket_owners(proc: Path, inodes: set[str]) -> dict[str, tuple[str, str]]:
    """Return the name and the systemd unit of the process that holds each socket."""
    owners: dict[str, tuple[str, str]] = {}
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    for process in processes(proc):
        try:
            links = [str(handle.readlink()) for handle in (process / "fd").iterdir()]
        except OSError:  # gone in the meantime, or another user's in a container
            continue
        for link in links:
            if link in wanted and wanted[link] not in owners:
                owners[wanted[link]] = (read(process / "comm").strip(), unit_of(process))
    return owners


def processes(proc: Path) -> list[Path]:
    """Return the folder of each process."""
    return [process for process in proc.iterdir() if process.name.isdigit()]


def unit_of(process: Path) -> str:
    """Return the systemd unit that a process belongs to, or nothing."""
    units = UNIT.findall(read(process / "cgroup"))
    return units[-1] if units else ""


def neighbour(address: str, proc: Path) -> str:
    """Return the hardware address that answers for an address in this host's network, if any."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, DISCARD_PORT))
            probe.send(b"")
    except OSError:
        return ""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        found = parse_neighbours(read(proc / "net/arp")).get(address)
        if found:
            return found
        time.sleep(0.05)
    return ""


def parse_neighbours(text: str) -> dict[str, str]:
    """Return the complete entries of /proc/net/arp."""
    entries = [line.split() for line in text.splitlines()[1:]]
    return {
        fields[0]: fields[3]
        for fields in entries
        if len(fields) > 3 and int(fields[2], 16) & COMPLETE and fields[3] != "00:00:00:00:00:00"
    }
