"""A run never makes it worse: nothing to do changes nothing, an interrupted run is resumed."""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.controller import kill_tree
from tests.e2e.conftest import INVENTORY, ROOT, Lab, Reader, run_site

RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)


def changed(output: str) -> dict[str, int]:
    recap = {name: int(count) for name, _, count, _, _ in RECAP.findall(output)}
    assert recap, output[-3000:]
    return {name: count for name, count in recap.items() if count}


def changed_tasks(output: str) -> str:
    """Return the tasks that changed something, for the failure message."""
    task, found = "", []
    for line in output.splitlines():
        if line.startswith(("TASK [", "RUNNING HANDLER [")):
            task = line
        elif line.startswith("changed:"):
            found.append(f"{task} {line}")
    return "\n".join(found)


@pytest.mark.timeout(900)
def test_a_run_with_nothing_to_do_changes_nothing(record: Callable[[str], None]) -> None:
    started = time.monotonic()
    done = run_site()
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    record(f"site.yml with nothing to do: {time.monotonic() - started:.0f} s")
    assert changed(done.stdout) == {}, changed_tasks(done.stdout)


@pytest.mark.timeout(900)
def test_check_mode_finds_nothing_to_do(record: Callable[[str], None]) -> None:
    started = time.monotonic()
    done = run_site("--check", "--diff")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    record(f"site.yml --check --diff: {time.monotonic() - started:.0f} s")
    assert changed(done.stdout) == {}, changed_tasks(done.stdout)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_killed_run_is_resumed(lab: Lab, reader: Reader, record: Callable[[str], None]) -> None:
    """Kill the controller three times at random in a run that has work to do on all tiers."""
    setting = ["-e", "opensearch_search_queue=1500", "-e", "app_drain_seconds=5"]
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    command = ["ansible-playbook", "-i", str(INVENTORY), str(ROOT / "playbooks" / "site.yml")]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    for _ in range(3):
        run = subprocess.Popen(
            [*command, *setting],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(5, 60))
        kill_tree(run.pid)
        run.wait()
    done = run_site(*setting)
    assert done.returncode == 0, f"seed {seed}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
    again = run_site(*setting)
    assert changed(again.stdout) == {}, f"seed {seed}\n{changed_tasks(again.stdout)}"
    assert reader.search("parsing")["total"] > 0
    back = run_site()
    assert back.returncode == 0, back.stdout[-4000:]
    record(f"killed three times (seed {seed}), resumed, and set back")
