"""A service that hangs is replaced, within limits; one that is stopped or starts is not."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MAIN = "systemctl show -p MainPID --value patient"


@pytest.fixture(autouse=True)
def well(host: Any) -> None:
    """Begin with a service that answers and a watchdog that has restarted nothing."""
    host.run("rm -f /run/patient.hangs; systemctl stop research-watchdog")
    host.run("rm -f /run/research-watchdog/restarts.json; systemctl restart patient")
    host.run("journalctl --rotate --vacuum-time=1s; systemctl start research-watchdog")
    wait(lambda: host.run("ss -ltn | grep -q :8000").rc == 0, 20)
    time.sleep(2)


def wait(condition: Callable[[], Any], seconds: float) -> float:
    """Wait for a condition, and return how long that took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it did not come true in time"
        time.sleep(0.2)
    return time.monotonic() - start


def journal(host: Any, unit: str = "research-watchdog") -> str:
    """Return what a unit has said."""
    return str(host.run(f"journalctl -o cat -u {unit}").stdout)


@pytest.mark.parametrize("hang", ["systemctl kill -s STOP patient", "touch /run/patient.hangs"])
def test_a_service_that_hangs_is_replaced(host: Any, hang: str) -> None:
    before = host.run(MAIN).stdout
    host.run(hang)
    took = wait(lambda: host.run(MAIN).stdout not in {before, "0\n"}, 20)
    print(f"replaced after {took:.1f} s")
    host.run("rm -f /run/patient.hangs")
    wait(lambda: "patient: answers again" in journal(host), 15)
    assert re.search(
        r"patient\.service hangs: it accepts a connection on port 8000 and does not answer, for "
        r"\d+ s; process \d+ is in state [TS] .* it is killed and started again",
        journal(host),
    )


def test_what_helps_to_understand_it_is_written_down_first(host: Any) -> None:
    host.run("touch /run/patient.hangs")
    wait(lambda: "killed and started" in journal(host), 20)
    wait(lambda: "what my threads do" in journal(host, "patient"), 10)


def test_restarts_are_limited_and_giving_up_is_told(host: Any) -> None:
    host.run("touch /run/patient.hangs")
    wait(lambda: "given up until" in journal(host), 90)
    pid = host.run(MAIN).stdout
    time.sleep(8)
    said = journal(host)
    assert host.run(MAIN).stdout == pid
    assert said.count("it is killed and started again") == 2
    assert said.count("restarted 2 times within the hour (at most 2), given up until") == 1
    host.run("systemctl restart research-watchdog")
    time.sleep(8)
    assert host.run(MAIN).stdout == pid, "a restart of the watchdog forgets nothing"


def test_what_is_stopped_on_purpose_is_left_alone(host: Any) -> None:
    host.run("systemctl stop patient")
    time.sleep(8)
    assert host.run("systemctl is-active patient").stdout.strip() == "inactive"
    assert "hangs" not in journal(host)


def test_a_service_has_time_to_start(host: Any) -> None:
    host.run("touch /run/patient.hangs; systemctl restart patient")
    pid = host.run(MAIN).stdout
    time.sleep(10)
    assert host.run(MAIN).stdout == pid
    wait(lambda: host.run(MAIN).stdout != pid, 30)


def test_the_watchdog_itself_is_watched(host: Any) -> None:
    shown = host.run("systemctl show research-watchdog -p WatchdogUSec -p Restart").stdout
    assert {"WatchdogUSec=30s", "Restart=always"} == set(shown.split())
    host.run("systemctl kill -s STOP research-watchdog")
    pid = host.run("systemctl show -p MainPID --value research-watchdog").stdout
    show = "systemctl show -p MainPID --value research-watchdog"
    wait(lambda: host.run(show).stdout not in {pid, "0\n"}, 60)


def test_it_can_do_little(host: Any) -> None:
    analysed = host.run("systemd-analyze security --no-pager research-watchdog").stdout
    level = float(re.findall(r"exposure level for .*: ([\d.]+)", analysed)[0])
    assert level <= 2.0, analysed
    shown = host.run("cat /proc/$(systemctl show -p MainPID --value research-watchdog)/status")
    assert "CapEff:\t0000000000000000" in shown.stdout


def test_its_password_is_roots(host: Any) -> None:
    password = (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "password").read_text().strip()
    readable = host.run(f"grep -rlsF {password} /etc /run | xargs -r stat -c '%a %U'").stdout
    assert readable and set(readable.splitlines()) <= {"600 root", "400 root"}
    seen = host.run("ps -eo args; cat /proc/*/environ | tr '\\0' '\\n'; journalctl").stdout
    assert password not in seen
