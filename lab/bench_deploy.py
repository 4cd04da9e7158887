"""Measure a deployment of the lab: blank hosts, nothing to do, check mode, and each role."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROLE_LINE = re.compile(r"^(\S+) -+ +([\d.]+)s$", re.M)
CHANGED = re.compile(r"^\S+\s+: ok=\d+\s+changed=(\d+)", re.M)


@dataclass(frozen=True)
class Run:
    """One measured run of site.yml."""

    name: str
    seconds: float
    changed: int
    roles: dict[str, float]


def measure(name: str, profile: str, *arguments: str) -> Run:
    """Run site.yml and read the seconds of each role from the profile callback.

    :param name: what the run shows
    :param profile: of the lab
    :param arguments: further arguments of ansible-playbook
    :raises SystemExit: where the run fails, with the end of its output
    """
    environment = {**os.environ, "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_roles"}
    site = ["ansible-playbook", "-i", f"inventories/{profile}", "playbooks/site.yml"]
    started = time.monotonic()
    done = subprocess.run(
        [*site, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    if done.returncode != 0:
        sys.exit(f"bench: {name} failed\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    roles = {role: float(value) for role, value in ROLE_LINE.findall(done.stdout)}
    return Run(name, seconds, sum(map(int, CHANGED.findall(done.stdout))), roles)


def lab(*arguments: str) -> float:
    """Run scripts/lab and return its seconds."""
    started = time.monotonic()
    subprocess.run(["scripts/lab", *arguments], cwd=ROOT, check=True)
    return time.monotonic() - started


def table(runs: list[Run]) -> str:
    """Return the seconds of every role in every run, the most expensive first."""
    names = sorted(
        {role for run in runs for role in run.roles}, key=lambda name: -_cost(runs, name)
    )
    lines = ["role".ljust(20) + "".join(run.name.rjust(16) for run in runs)]
    for name in names:
        cells = "".join(f"{run.roles.get(name, 0):15.1f}s" for run in runs)
        lines.append(name.ljust(20) + cells)
    lines.append("whole run".ljust(20) + "".join(f"{run.seconds:15.1f}s" for run in runs))
    lines.append("changed".ljust(20) + "".join(f"{run.changed:16d}" for run in runs))
    return "\n".join(lines)


def _cost(runs: list[Run], role: str) -> float:
    return max(run.roles.get(role, 0) for run in runs)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from-nothing", action="store_true", help="remove the downloads first")
    options = parser.parse_args()
    lab("down", *([] if options.from_nothing else ["--keep-cache"]))
    up = lab("up")
    runs = [measure("nothing to do", "lab"), measure("check", "lab", "--check")]
    kind = "from nothing at all" if options.from_nothing else "blank hosts, downloads cached"
    print(f"\n{kind} to searchable: {up:.0f} s")
    print(table(runs))


if __name__ == "__main__":
    main()
