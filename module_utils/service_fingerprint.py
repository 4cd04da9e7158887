"""Tell whether a running service was started with the files that are on disk now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

RunCommand = Callable[[list[str]], tuple[int, str, str]]


class FingerprintError(Exception):
    """The state of the service cannot be read; the message says why."""


@dataclass(frozen=True)
class UnitState:
    """What systemd knows about a unit."""

    running: bool
    enabled: bool
    needs_reload: bool


def parse_unit(text: str) -> UnitState:
    """Read the output of C(systemctl show).

    :param text: lines of C(NAME=VALUE)
    :raises FingerprintError: where it is not what systemctl prints
    """
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if "ActiveState" not in values:
        raise FingerprintError("systemctl does not tell the state of the unit")
    return UnitState(
        running=values["ActiveState"] in {"active", "reloading"},
        enabled=values.get("UnitFileState") == "enabled",
        needs_reload=values.get("NeedDaemonReload") == "yes",
    )


def parse_record(text: str) -> dict[str, str]:
    """Read what C(sha256sum) wrote when the service started.

    :param text: lines of a hash, two characters, and a path
    """
    pairs = (line.split(maxsplit=1) for line in text.splitlines())
    return {pair[1].lstrip("*"): pair[0] for pair in pairs if len(pair) == 2}


def hash_files(paths: Iterable[Path]) -> dict[str, str]:
    """Hash files, and the files below folders, as C(find -L PATHS -type f) names them.

    :param paths: files and folders; those that are missing are left out
    """
    found: dict[str, str] = {}
    for path in paths:
        files = path.rglob("*") if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                found[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def compare(started_with: Mapping[str, str] | None, on_disk: Mapping[str, str]) -> list[str]:
    """Say what differs between the start of the service and now.

    :param started_with: path to hash at the start; None where nothing was recorded
    :param on_disk: path to hash now
    """
    if started_with is None:
        return ["it was started without a record of its files"]
    reasons = []
    for path in sorted({*started_with, *on_disk}):
        if path not in on_disk:
            reasons.append(f"{path} is gone")
        elif path not in started_with:
            reasons.append(f"{path} is new")
        elif started_with[path] != on_disk[path]:
            reasons.append(f"{path} has changed")
    return reasons


@dataclass(frozen=True)
class Verdict:
    """Whether the service has to be (re)started, and why."""

    running: bool
    enabled: bool
    reasons: list[str]

    @property
    def pending(self) -> bool:
        """Whether a start or restart is due."""
        return bool(self.reasons)


def judge(
    unit: str,
    record: Path,
    paths: Iterable[Path],
    expected: Iterable[str],
    run_command: RunCommand,
) -> Verdict:
    """Compare a service with its files.

    :param unit: name of the systemd unit
    :param record: what the unit wrote at its start
    :param paths: files and folders that the service reads at its start
    :param expected: paths that are known to change, in check mode
    :param run_command: runs a command, gives (status, output, errors)
    :raises FingerprintError: where systemd cannot be asked
    """
    properties = "--property=ActiveState,UnitFileState,NeedDaemonReload"
    status, output, errors = run_command(["systemctl", "show", properties, unit])
    if status != 0:
        raise FingerprintError(f"systemctl show {unit}: {errors.strip() or output.strip()}")
    state = parse_unit(output)
    if not state.running:
        return Verdict(False, state.enabled, ["it does not run"])
    started_with = parse_record(record.read_text()) if record.is_file() else None
    reasons = compare(started_with, hash_files(paths))
    reasons += [f"{path} will change" for path in expected]
    if state.needs_reload:
        reasons.append("its unit has changed")
    return Verdict(True, state.enabled, reasons)
