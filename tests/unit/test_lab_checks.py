"""scripts/lab says in one sentence why a machine cannot carry the lab, and makes nothing there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

# A machine on which the lab can be made.
GOOD = {
    "LAB_USER_ID": "0",
    "LAB_SYSTEM": "debian 12",
    "LAB_ARCHITECTURE": "x86_64",
    "LAB_CORES": "2",
    "LAB_MEMORY_MB": "16000",
    "LAB_DISK_MB": "50000",
    "LAB_ROUTE": "10.77.0.200 via 192.0.2.1 dev eth0 src 192.0.2.2 uid 0",
    "LAB_DEFAULT_ROUTE": "default via 192.0.2.1 dev eth0 proto dhcp",
    "LAB_NETWORK": "",
    "LAB_FOREIGN_HOSTS": "",
    "LAB_OWNER": "",
    "LAB_UP_PROFILE": "",
}

BRIDGE = "10.77.0.200 dev podman3 src 10.77.0.1 uid 0"

REFUSED = {
    "no root": ({"LAB_USER_ID": "1000"}, "needs root: run it with sudo"),
    "another system": ({"LAB_SYSTEM": "fedora 43"}, "runs fedora 43"),
    "an older Debian": ({"LAB_SYSTEM": "debian 11"}, "needs Debian 12, Debian 13 or Ubuntu"),
    "another architecture": ({"LAB_ARCHITECTURE": "riscv64"}, "is riscv64"),
    "one core": ({"LAB_CORES": "1"}, "has 1 core; the lab needs two"),
    "little memory": ({"LAB_MEMORY_MB": "7900"}, "has 7900 MB of memory"),
    "a full disk": ({"LAB_DISK_MB": "3000"}, "3000 MB are free"),
    "a foreign container": ({"LAB_FOREIGN_HOSTS": "research-lab-x"}, "research-lab-x"),
    "a foreign network": ({"LAB_NETWORK": " podman1"}, "podman network rm research-lab"),
    "another checkout": ({"LAB_OWNER": "/tmp"}, "/tmp/scripts/lab down"),
    "the other profile": (
        {"LAB_OWNER": "/here", "LAB_UP_PROFILE": "single"},
        "is up with the profile single",
    ),
    "subnet on a local interface": ({"LAB_ROUTE": BRIDGE}, "10.77.0.0/24 is in use"),
    "subnet behind a tunnel": (
        {"LAB_ROUTE": "10.77.0.200 via 10.9.0.1 dev tun0 src 10.9.0.2 uid 0"},
        "dev tun0",
    ),
}

ACCEPTED = {
    "a good machine": {},
    "no way to the subnet at all": {"LAB_ROUTE": "", "LAB_DEFAULT_ROUTE": ""},
    "the lab's own bridge": {"LAB_ROUTE": BRIDGE, "LAB_NETWORK": "network podman3"},
    "a checkout that is gone": {"LAB_OWNER": "/nonexistent", "LAB_UP_PROFILE": "lab"},
    "little disk once the lab is there": {"LAB_OWNER": "/here", "LAB_DISK_MB": "100"},
    "Ubuntu": {"LAB_SYSTEM": "ubuntu 24.04"},
}


def refusal(project: Path, facts: dict[str, str], profile: str = "lab") -> str:
    script = f"source lab/checks.sh; gather_facts; refusal {profile} /here"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"state=/nonexistent; {script}"],
        cwd=project,
        env={**os.environ, **GOOD, **facts},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize(("facts", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses_with_one_sentence(project: Path, facts: dict[str, str], says: str) -> None:
    reason = refusal(project, facts)
    assert says in reason
    assert len(reason.splitlines()) == 1


@pytest.mark.parametrize("facts", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts(project: Path, facts: dict[str, str]) -> None:
    assert refusal(project, facts) == ""


def test_the_single_profile_needs_less(project: Path) -> None:
    assert refusal(project, {"LAB_MEMORY_MB": "7900"}, "single") == ""


@pytest.mark.parametrize(("facts", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_makes_nothing_when_it_refuses(
    project: Path, tmp_path: Path, facts: dict[str, str], says: str
) -> None:
    state = tmp_path / "state"
    told = {"RESEARCH_LAB_STATE": str(state), "RESEARCH_LAB_LOCKED": "1"}
    done = subprocess.run(
        ["scripts/lab", "up"],
        cwd=project,
        env={**os.environ, **GOOD, **facts, **told, "RESEARCH_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_one_run_at_a_time(project: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    told = {"RESEARCH_LAB_LOCK": str(lock), "RESEARCH_LAB_STATE": str(tmp_path / "state")}
    done = subprocess.run(
        ["flock", str(lock), "scripts/lab", "down"],
        cwd=project,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert ("another scripts/lab" if os.getuid() == 0 else "needs root") in done.stderr


@pytest.mark.parametrize(
    "arguments", [["sideways"], ["up", "--fast"], ["down", "--all"], []], ids=" ".join
)
def test_says_how_it_is_used(project: Path, tmp_path: Path, arguments: list[str]) -> None:
    told = {"RESEARCH_LAB_STATE": str(tmp_path / "state"), "RESEARCH_LAB_LOCKED": "1"}
    done = subprocess.run(
        ["scripts/lab", *arguments],
        cwd=project,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "scripts/lab up" in done.stdout
