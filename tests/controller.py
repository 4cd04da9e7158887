"""What the tests of the lab do with the machine that Ansible runs on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

Run = TypeVar("Run")


def kill_tree(pid: int) -> None:
    """Kill a controller with its workers, as the loss of its machine would."""
    controller = psutil.Process(pid)
    for process in [controller, *controller.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def once_a_dead_run_is_forgotten(play: Callable[[], Run], said: Callable[[Run], str]) -> Run:
    """Run a playbook, again while a run that was killed still has the lock of the site.

    :param play: runs it to its end
    :param said: what it printed
    """
    deadline = time.monotonic() + 90
    while True:
        run = play()
        refused = "on this site since" in (text := " ".join(said(run).split()))
        if not (refused and "this run has changed nothing" in text) or time.monotonic() > deadline:
            return run
        time.sleep(5)


def measured_lines(request: pytest.FixtureRequest, path: Path) -> Iterator[Callable[[str], None]]:
    """Yield a function that prints a measured line past pytest's capture and keeps it in a file."""
    path.parent.mkdir(exist_ok=True)
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with path.open("a", encoding="utf-8") as file:

        def write(line: str) -> None:
            file.write(line + "\n")
            file.flush()
            with capture.global_and_fixture_disabled():
                print(f"\n    {line}", flush=True)

        yield write
