"""Which units have to be started, reloaded or restarted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.systemd_units import (
    Systemd,
    UnitError,
    UnitState,
    WantedUnit,
    newest_change,
    plan,
)


def state(**properties: Any) -> UnitState:
    given = {"load": "loaded", "active": "active", "enabled": "enabled", "held_back": False}
    return UnitState(**{**given, "changed_at": 100.0, **properties})


def unit(action: str = "restart", running: bool = True) -> WantedUnit:
    return WantedUnit("x.service", [], action, running)


@pytest.mark.parametrize(
    ("wanted", "found", "newest", "steps"),
    [
        (unit(), state(), 99.0, ()),
        (unit(), state(), 101.0, ("restart",)),
        (unit("reload"), state(), 101.0, ("reload",)),
        (unit("restart"), state(filtered_at=102.0), 101.0, ("restart",)),
        (unit("filter", running=False), state(), 101.0, ("filter",)),
        (unit("filter", running=False), state(filtered_at=102.0), 101.0, ()),
        (unit("unfilter", running=False), state(filtered_at=102.0), 103.0, ("unfilter",)),
        (unit("filter", running=False), state(active="inactive"), 101.0, ()),
        (unit(), state(active="inactive"), 101.0, ("start",)),
        (unit(), state(active="failed", enabled="disabled"), 0.0, ("enable", "start")),
        (unit(), state(enabled="static"), 0.0, ()),
        (unit(running=False), state(active="inactive", enabled="disabled"), 101.0, ()),
        (unit(running=False), state(enabled="disabled"), 101.0, ("restart",)),
        (unit(running=False), state(load="not-found"), 101.0, ()),
        (unit(running=False), state(load="masked"), 101.0, ()),
    ],
)
def test_steps(wanted: WantedUnit, found: UnitState, newest: float, steps: tuple[str, ...]) -> None:
    assert plan(wanted, found, newest, check_mode=False).steps == steps


def test_a_unit_whose_conditions_do_not_hold_is_no_failure_and_no_change() -> None:
    found: Any = state(active="inactive", held_back=True)
    result = plan(unit(), found, 0.0, check_mode=False)
    assert result.steps == ()
    assert result.note == "x.service is off: the conditions in its unit do not hold on this host"


@pytest.mark.parametrize(
    ("load", "sentence"), [("not-found", "there is no unit x.service"), ("masked", "is masked")]
)
def test_what_cannot_run_is_an_error(load: str, sentence: str) -> None:
    with pytest.raises(UnitError, match=sentence):
        plan(unit(), state(load=load), 0.0, check_mode=False)


def test_in_check_mode_a_unit_may_be_missing_yet() -> None:
    assert plan(unit(), state(load="not-found"), 0.0, check_mode=True).steps == ("enable", "start")


def test_what_systemctl_prints_is_read() -> None:
    shown = """Id=ssh.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
ConditionResult=yes
ConditionTimestampMonotonic=1425567392
StateChangeTimestamp=Tue 2026-11-24 06:56:54.089865 UTC

Id=chrony.service
LoadState=loaded
ActiveState=inactive
UnitFileState=enabled
ConditionResult=no
ConditionTimestampMonotonic=1425567392
StateChangeTimestamp=

Id=new.service
LoadState=loaded
ActiveState=inactive
UnitFileState=enabled
ConditionResult=no
ConditionTimestampMonotonic=0
StateChangeTimestamp=n/a
"""
    names = ["ssh.service", "chrony.service", "new.service"]
    found = Systemd(lambda command: (0, shown, "")).read(names)
    assert found["ssh.service"].changed_at == pytest.approx(1795503414.089865)
    assert [found[name].held_back for name in names] == [False, True, False]
    with pytest.raises(UnitError, match="systemctl show failed: no bus"):
        Systemd(lambda command: (1, "", "no bus")).read(names)


def test_a_failed_step_shows_the_units_log() -> None:
    def run(command: list[str]) -> tuple[int, str, str]:
        return (0, "line 3: bad", "") if command[0] == "journalctl" else (1, "", "Job failed")

    with pytest.raises(UnitError, match=r"(?s)'systemctl reload x.service' failed.*line 3: bad"):
        Systemd(run).do("reload", "x.service")


def test_files_that_do_not_exist_do_not_count(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    assert newest_change([str(there), str(tmp_path / "not")]) == there.stat().st_mtime
    assert newest_change([str(tmp_path / "not")]) == 0.0


@pytest.mark.parametrize(("verb", "value"), [("filter", "any"), ("unfilter", "")])
def test_a_list_of_addresses_is_put_into_force_without_a_restart(verb: str, value: str) -> None:
    said: list[list[str]] = []

    def run(command: list[str]) -> tuple[int, str, str]:
        said.append(command)
        return 0, "", ""

    Systemd(run).do(verb, "x.service")
    assert said == [
        ["systemctl", "set-property", "--runtime", "--", "x.service", f"IPAddressDeny={value}"]
    ]
