"""What a host and its units use while one looks, and what is reserved for them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

try:
    import psutil
except ImportError:  # The module says what to install.
    psutil = None

RunCommand = Callable[[list[str]], tuple[int, str, str]]
Units = Callable[[], Mapping[str, Sequence[int]]]

INFINITE = 2**63  # systemd shows no limit as a word, and older ones as the largest number
LIMITS = ("Id", "ActiveState", "MemoryHigh", "MemoryMax", "CPUQuotaPerSecUSec", "TasksMax")
SPANS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
# Nothing lies on these, or it lies in memory.
VIRTUAL = re.compile(
    r"autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs"
    r"|iso9660|mqueue|nsfs|proc|pstore|ramfs|rpc_pipefs|securityfs|squashfs|sysfs|tmpfs|tracefs"
)
HIDDEN = re.compile(r"^/(dev|proc|sys|run)(/|$)")
# What is counted on another device already.
LAYERS = re.compile(r"^(lo|loop\d*|ram\d+|dm-\d+|md\d+|sr\d+|fd\d+|zram\d+)$")
VIRTUAL_CARDS = re.compile(r"^(lo|veth.*|br.*|docker.*|bond\d+|team\d+|tun.*|wg.*|.*\..*)$")
PARTITION = re.compile(r"^((sd|vd|xvd|hd)[a-z]+\d+|(nvme\d+n\d+|mmcblk\d+)p\d+)$")


class UsageError(Exception):
    """A host cannot be looked at; the message says why."""


@dataclass(frozen=True)
class Filesystem:
    """A file system, in bytes."""

    mount: str
    kind: str
    device: int
    size: int
    free: int


@dataclass(frozen=True)
class Moment:
    """Counters of the host at one time: core-seconds and bytes since its start."""

    at: float
    busy: float
    memory: int
    disk: int
    network: int


@dataclass(frozen=True)
class Process:
    """What one process has used."""

    cpu: float
    memory: int
    shared: int
    disk: int


def has_psutil() -> bool:
    """Tell whether the library is there."""
    return psutil is not None


def measured(values: Iterable[float]) -> dict[str, float] | None:
    """Return what was used half of the time, in 95 % of it, at most, and on average."""
    ordered = sorted(values)
    if not ordered:
        return None

    def quantile(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return round(ordered[low] + (ordered[high] - ordered[low]) * (place - low), 3)

    mean = sum(ordered) / len(ordered)
    peak = round(ordered[-1], 3)
    return {"p50": quantile(0.5), "p95": quantile(0.95), "peak": peak, "mean": round(mean, 3)}


def unit_of(cgroup: str) -> str:
    """Return the service that a process belongs to, or nothing.

    :param cgroup: the content of C(/proc/PID/cgroup)
    """
    paths = dict(line.split(":", 2)[1:] for line in cgroup.splitlines() if line.count(":") >= 2)
    path = paths.get("name=systemd") or paths.get("", "")
    return next((part for part in path.split("/") if part.endswith(".service")), "")


def processes_of(units: Iterable[str], folder: Path = Path("/proc")) -> dict[str, list[int]]:
    """Return the processes of each unit."""
    found: dict[str, list[int]] = {unit: [] for unit in units}
    for entry in os.scandir(folder):
        if entry.name.isdigit():
            try:
                unit = unit_of((folder / entry.name / "cgroup").read_text(encoding="utf-8"))
            except OSError:
                continue
            if unit in found:
                found[unit].append(int(entry.name))
    return found


def moment() -> Moment:
    """Return the counters of the host."""
    times = psutil.cpu_times()
    memory = psutil.virtual_memory()
    disks = psutil.disk_io_counters(perdisk=True) or {}
    cards = psutil.net_io_counters(pernic=True) or {}
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Time of guests is in the time of users too.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return Moment(
        at=time.monotonic(),
        busy=sum(times) - idle - guests,
        memory=memory.total - memory.available,
        disk=sum(
            counters.read_bytes + counters.write_bytes
            for name, counters in disks.items()
            if not LAYERS.match(name) and not PARTITION.match(name)
        ),
        network=sum(
            counters.bytes_sent + counters.bytes_recv
            for name, counters in cards.items()
            if not VIRTUAL_CARDS.match(name)
        ),
    )


def process(pid: int) -> tuple[tuple[int, float], Process] | None:
    """Return what a process has used, by its number and its start; None where it has ended."""
    try:
        seen = psutil.Process(pid)
        with seen.oneshot():
            times = seen.cpu_times()
            memory = seen.memory_info()
            started = seen.create_time()
        try:
            counters = seen.io_counters()
            disk = counters.read_bytes + counters.write_bytes
        except psutil.AccessDenied:
            disk = 0
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    used = Process(times.user + times.system, memory.rss, memory.shared, disk)
    return (pid, started), used


def sample(seconds: float, units: Units, interval: float = 1.0) -> dict[str, Any]:
    """Return what the host and units use in the next seconds.

    CPU is percent of one core, as C(CPUQuota=) has it; memory is bytes, disk and network are bytes
    a second. What processes of a unit share counts once. The network of a unit is not to be had.

    :param seconds: for how long
    :param units: returns the processes of each unit
    :param interval: seconds between two looks
    """
    host: dict[str, list[float]] = {"cpu": [], "memory": [], "disk_io": [], "network": []}
    of_units: dict[str, dict[str, list[float]]] = {}
    began = before = moment()
    known = _look(units())
    while before.at - began.at < seconds:
        time.sleep(interval)
        now, seen = moment(), _look(units())
        took = now.at - before.at
        host["cpu"].append(max(0.0, now.busy - before.busy) / took * 100)
        host["memory"].append(now.memory)
        host["disk_io"].append(max(0, now.disk - before.disk) / took)
        host["network"].append(max(0, now.network - before.network) / took)
        for unit, processes in seen.items():
            if processes:
                used = of_units.setdefault(unit, {"cpu": [], "memory": [], "disk_io": []})
                for name, value in _used(known.get(unit, {}), processes, took).items():
                    used[name].append(value)
        before, known = now, seen
    return {
        "seconds": round(before.at - began.at, 1),
        "samples": len(host["cpu"]),
        "host": {name: measured(values) for name, values in host.items()},
        "units": {
            unit: {name: measured(values) for name, values in used.items()}
            for unit, used in of_units.items()
        },
    }


Seen = Mapping[tuple[int, float], Process]


def _look(units: Mapping[str, Sequence[int]]) -> dict[str, Seen]:
    return {
        unit: dict(filter(None, (process(pid) for pid in pids))) for unit, pids in units.items()
    }


def _used(before: Seen, now: Seen, took: float) -> dict[str, float]:
    # A process that is new has used since its start what it has; one that has ended tells no more.
    nothing = Process(0.0, 0, 0, 0)
    pairs = [(before.get(key, nothing if before else used), used) for key, used in now.items()]
    return {
        "cpu": sum(max(0.0, used.cpu - old.cpu) for old, used in pairs) / took * 100,
        "memory": sum(max(0, used.memory - used.shared) for used in now.values())
        + max(used.shared for used in now.values()),
        "disk_io": sum(max(0, used.disk - old.disk) for old, used in pairs) / took,
    }


def reserved(shown: str) -> dict[str, dict[str, Any]]:
    """Return the limits of units: bytes, percent of a core, numbers; None where there is none.

    :param shown: what C(systemctl show) prints of C(LIMITS)
    """
    found: dict[str, dict[str, Any]] = {}
    for block in shown.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if values.get("Id"):
            found[values["Id"]] = {
                "active": values.get("ActiveState") in ("active", "reloading"),
                "memory_max": _number(values.get("MemoryMax", "")),
                "memory_high": _number(values.get("MemoryHigh", "")),
                "cpu_quota": _percent(values.get("CPUQuotaPerSecUSec", "")),
                "tasks_max": _number(values.get("TasksMax", "")),
            }
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() and int(text) < INFINITE else None


def _percent(text: str) -> float | None:
    spans = re.findall(r"([\d.]+)(us|ms|s|min|h)\b", text)
    return round(sum(float(value) * SPANS[span] for value, span in spans) * 100, 1) or None


def limits(units: Sequence[str], run: RunCommand) -> dict[str, dict[str, Any]]:
    """Ask systemd for the limits of units.

    :raises UsageError: where it does not answer
    """
    if not units:
        return {}
    code, out, err = run(["systemctl", "show", f"--property={','.join(LIMITS)}", "--", *units])
    if code and not out:
        raise UsageError(f"systemctl: {err.strip()}")
    return reserved(out)


def heap_of(pids: Iterable[int]) -> int | None:
    """Return the largest heap that a Java process among these may take, in bytes."""
    for pid in pids:
        try:
            arguments = psutil.Process(pid).cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        for argument in reversed(arguments):
            if found := re.fullmatch(r"-xmx(\d+)([kmgt]?)", argument.lower()):
                return int(found[1]) * int(1024 ** " kmgt".index(found[2] or " "))
    return None


def distinct(found: Iterable[Filesystem]) -> list[Filesystem]:
    """Return the file systems that hold something, each once, at its shortest path."""
    kept: dict[int, Filesystem] = {}
    for each in found:
        if VIRTUAL.fullmatch(each.kind) or HIDDEN.match(each.mount) or not each.size:
            continue
        other = kept.get(each.device)
        if other is None or len(each.mount) < len(other.mount):
            kept[each.device] = each
    return sorted(kept.values(), key=lambda each: each.mount)


def filesystems() -> list[Filesystem]:
    """Return the file systems of this host."""
    found = []
    for mounted in psutil.disk_partitions(all=True):
        path = Path(mounted.mountpoint)
        if VIRTUAL.fullmatch(mounted.fstype) or HIDDEN.match(mounted.mountpoint):
            continue
        try:
            # A single file may be mounted too, in containers.
            if path.is_dir():
                usage = psutil.disk_usage(mounted.mountpoint)
                device = path.stat().st_dev
                found.append(Filesystem(str(path), mounted.fstype, device, usage.total, usage.free))
        except OSError:
            continue
    return distinct(found)


def host_reserved(units: Sequence[str], run: RunCommand) -> dict[str, Any]:
    """Return what the host has, and what of it its units may take."""
    processes = processes_of(units)
    known = limits(units, run)
    for unit, found in known.items():
        found["heap"] = heap_of(processes.get(unit, []))
    speeds = [
        card.speed
        for name, card in psutil.net_if_stats().items()
        if card.isup and not VIRTUAL_CARDS.match(name)
    ]
    return {
        "cores": psutil.cpu_count() or 1,
        "memory": psutil.virtual_memory().total,
        "network_megabits": sum(speeds) or None,
        "filesystems": [
            {name: value for name, value in asdict(each).items() if name != "device"}
            for each in filesystems()
        ],
        "units": known,
    }
