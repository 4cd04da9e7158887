"""What systemd says about units, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RunCommand = Callable[[list[str]], tuple[int, str, str]]

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "ConditionResult",
    "ConditionTimestampMonotonic",
    "StateChangeTimestamp",
    "NeedDaemonReload",
)
# Lists of addresses that a running unit may exchange packets with (IPAddressAllow=): systemd reads
# new ones, and keeps to them when one of the unit's properties is set.
FILTERS = {"filter": "IPAddressDeny=any", "unfilter": "IPAddressDeny="}
SET_AT_RUNTIME = "/run/systemd/system.control/{unit}.d/50-IPAddressDeny.conf"


class UnitError(Exception):
    """A unit cannot be brought to its wanted state; the message names it and says why."""


@dataclass(frozen=True)
class WantedUnit:
    """A unit as it should be."""

    name: str
    files: Sequence[str]
    action: str
    running: bool


@dataclass(frozen=True)
class UnitState:
    """A unit as it is."""

    load: str
    active: str
    enabled: str
    # Systemd tried to start it, and conditions in the unit said no.
    held_back: bool
    # Since the epoch: its last start, stop or reload.
    changed_at: float
    # Its files on disk are not those that systemd has read.
    unread: bool = False
    # Since the epoch: when a new list of addresses was last put into force while it ran.
    filtered_at: float = 0.0

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], filtered_at: float = 0.0) -> UnitState:
        """Build from what ``systemctl show`` prints.

        :param properties: property -> value
        :param filtered_at: when a list of addresses was last put into force
        """
        tried = properties.get("ConditionTimestampMonotonic", "0") not in ("", "0")
        return cls(
            load=properties.get("LoadState", ""),
            active=properties.get("ActiveState", ""),
            enabled=properties.get("UnitFileState", ""),
            held_back=tried and properties.get("ConditionResult") == "no",
            changed_at=_timestamp(properties.get("StateChangeTimestamp", "")),
            unread=properties.get("NeedDaemonReload") == "yes",
            filtered_at=filtered_at,
        )


@dataclass(frozen=True)
class Plan:
    """Verbs for systemctl in their order, and a remark where one is due."""

    steps: tuple[str, ...]
    note: str = ""


def plan(wanted: WantedUnit, state: UnitState, newest: float, check_mode: bool) -> Plan:
    """Return what is to be done about a unit.

    :param wanted: the unit as it should be
    :param state: the unit as it is
    :param newest: since the epoch: when the latest of its files was changed
    :param check_mode: whether a unit that is not there is merely not there yet
    :raises UnitError: where nothing can be done
    """
    if state.load == "not-found":
        if not wanted.running:
            return Plan(())
        if check_mode:
            return Plan(("enable", "start"))
        raise UnitError(f"there is no unit {wanted.name}")
    if state.load == "masked":
        if not wanted.running:
            return Plan(())
        raise UnitError(f"{wanted.name} is masked: 'systemctl unmask {wanted.name}', or do without")
    steps: list[str] = []
    note = ""
    if wanted.running and state.enabled == "disabled":
        steps.append("enable")
    if state.active in ("active", "reloading"):
        done_at = [state.changed_at, *([state.filtered_at] if wanted.action in FILTERS else [])]
        if newest > max(done_at):
            steps.append(wanted.action)
    elif wanted.running and state.held_back:
        note = f"{wanted.name} is off: the conditions in its unit do not hold on this host"
    elif wanted.running:
        steps.append("start")
    return Plan(tuple(steps), note)


class Systemd:
    """Asks and tells systemd."""

    def __init__(self, run: RunCommand) -> None:
        self._run = run

    def read(self, names: Sequence[str]) -> dict[str, UnitState]:
        """Return the state of units.

        :param names: their full names
        :raises UnitError: where systemd does not answer
        """
        command = ["systemctl", "show", "--timestamp=us+utc", f"--property={','.join(PROPERTIES)}"]
        code, out, err = self._run([*command, "--", *names])
        blocks = out.strip().split("\n\n") if code == 0 else []
        if len(blocks) != len(names):
            raise UnitError(f"systemctl show failed: {err.strip() or out.strip()}")
        return {
            name: UnitState.from_properties(
                dict(line.split("=", 1) for line in block.splitlines()),
                newest_change([SET_AT_RUNTIME.format(unit=name)]),
            )
            for name, block in zip(names, blocks, strict=True)
        }

    def read_files(self) -> None:
        """Have systemd read the files of all units again.

        :raises UnitError: where it refuses
        """
        code, out, err = self._run(["systemctl", "daemon-reload"])
        if code != 0:
            raise UnitError(f"'systemctl daemon-reload' failed: {err.strip() or out.strip()}")

    def do(self, verb: str, name: str) -> None:
        """Do one thing to a unit.

        :param verb: enable, start, reload, restart, filter or unfilter
        :param name: the unit
        :raises UnitError: where it fails, with the last of its log
        """
        if verb in FILTERS:
            command = ["systemctl", "set-property", "--runtime", "--", name, FILTERS[verb]]
        else:
            command = ["systemctl", verb, "--", name]
        code, out, err = self._run(command)
        if code != 0:
            _, log, _ = self._run(["journalctl", "-n", "8", "--no-pager", "-o", "cat", "-u", name])
            said = (err.strip() or out.strip()) + "\n" + log.strip()
            raise UnitError(f"'systemctl {verb} {name}' failed: {said}")


def newest_change(files: Sequence[str]) -> float:
    """Return when the latest of some files was changed, 0 where none exists.

    :param files: paths; those that do not exist do not count
    """
    return max((Path(f).stat().st_mtime for f in files if Path(f).exists()), default=0.0)


def _timestamp(text: str) -> float:
    try:
        moment = datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S.%f UTC")
    except ValueError:
        return 0.0
    return moment.replace(tzinfo=UTC).timestamp()


def wanted_units(params: Sequence[Mapping[str, Any]]) -> list[WantedUnit]:
    """Build from the module's option ``units``.

    :param params: name, files, action, running
    """
    return [WantedUnit(**{key: item[key] for key in WantedUnit.__annotations__}) for item in params]
