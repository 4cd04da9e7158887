"""What a host and its units use for a moment, by processes that really do, and what is reserved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import host_usage
from ansible.module_utils.host_usage import (
    Filesystem,
    UsageError,
    distinct,
    measured,
    reserved,
    sample,
    unit_of,
)

MIB = 1024**2
BURN = (
    "import sys\nblock = bytearray(b'x' * 80 * 1024**2)\nprint(1, flush=True)\nwhile True: pass\n"
)
IDLE = "import time\nprint(1, flush=True)\ntime.sleep(60)\n"


@pytest.fixture
def start() -> Iterator[Callable[[str], int]]:
    """Return a function that starts a Python program and gives its pid once it runs."""
    running: list[subprocess.Popen[str]] = []

    def begin(program: str) -> int:
        command = [sys.executable, "-c", program]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        return process.pid

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([], None),
        ([5.0], {"p50": 5.0, "p95": 5.0, "peak": 5.0, "mean": 5.0}),
        ([float(n) for n in range(101)], {"p50": 50.0, "p95": 95.0, "peak": 100.0, "mean": 50.0}),
        ([4.0, 1.0, 2.0, 1.0], {"p50": 1.5, "p95": 3.7, "peak": 4.0, "mean": 2.0}),
    ],
)
def test_half_nearly_all_and_the_most(values: list[float], want: dict[str, float] | None) -> None:
    assert measured(values) == want


def test_a_process_that_computes_is_seen_on_its_unit_and_on_the_host(
    start: Callable[[str], int],
) -> None:
    burning, idle = start(BURN), start(IDLE)
    seen = sample(1.2, lambda: {"burn.service": [burning], "idle.service": [idle]}, interval=0.3)
    assert seen["samples"] >= 3
    burn, rest = seen["units"]["burn.service"], seen["units"]["idle.service"]
    # Percent of one core, as CPUQuota= has it; other work on the machine may take most of the core.
    assert 1 <= burn["cpu"]["mean"] <= burn["cpu"]["peak"] <= 130
    assert rest["cpu"]["peak"] < burn["cpu"]["peak"]
    assert burn["memory"]["p50"] >= 80 * MIB > rest["memory"]["peak"]
    assert seen["host"]["cpu"]["p50"] >= 20
    assert seen["host"]["memory"]["peak"] >= burn["memory"]["p50"]
    assert {"disk_io", "network"} <= set(seen["host"])


def test_the_work_of_a_process_that_is_new_counts_and_one_that_ended_is_no_error(
    start: Callable[[str], int],
) -> None:
    burning = start(BURN)
    answers: Iterator[list[int]] = iter([[], [burning], [burning, 2**22 - 1], [burning]])
    seen = sample(0.9, lambda: {"a.service": next(answers, [burning])}, interval=0.3)
    assert seen["units"]["a.service"]["cpu"]["peak"] >= 1


def test_a_unit_without_a_process_has_no_figures() -> None:
    assert sample(0.2, lambda: {"a.service": []}, interval=0.1)["units"] == {}


@pytest.mark.parametrize(
    ("arguments", "heap"),
    [
        (["-Xms1g", "-Xmx1g", "-javaagent:x", "-Xms512m", "-Xmx512m"], 512 * MIB),  # the last rules
        (["-Xmx31G"], 31 * 1024 * MIB),
        (["-Xmx1048576"], MIB),
        (["-Xmxlots"], None),
    ],
)
def test_the_heap_is_in_the_arguments_of_java(arguments: list[str], heap: int | None) -> None:
    with subprocess.Popen([sys.executable, "-c", IDLE, *arguments], stdout=subprocess.PIPE) as java:
        assert java.stdout is not None
        assert java.stdout.readline() == b"1\n"
        try:
            assert host_usage.heap_of([2**22 - 1, java.pid]) == heap
        finally:
            java.kill()


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/research-app.service\n", "research-app.service"),
        ("0::/system.slice/research-app.service/worker\n", "research-app.service"),
        # cgroup v1: systemd's own hierarchy tells, the others may hold anything.
        (
            "4:memory:/other.service\n1:name=systemd:/libpod-1/system.slice/haproxy.service\n"
            "0::/\n",
            "haproxy.service",
        ),
        ("0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", ""),
        ("", ""),
    ],
)
def test_the_unit_of_a_process_is_in_its_control_group(cgroup: str, unit: str) -> None:
    assert unit_of(cgroup) == unit


SHOWN = """\
Id=research-app.service
ActiveState=active
MemoryHigh=infinity
MemoryMax=2147483648
CPUQuotaPerSecUSec=1.500000s
TasksMax=512

Id=haproxy.service
ActiveState=inactive
MemoryHigh=infinity
MemoryMax=infinity
CPUQuotaPerSecUSec=infinity
TasksMax=[not set]

Id=big.service
ActiveState=active
MemoryHigh=1073741824
MemoryMax=18446744073709551615
CPUQuotaPerSecUSec=1min 4s
TasksMax=infinity

Id=small.service
ActiveState=active
CPUQuotaPerSecUSec=250ms
"""


def test_the_limits_of_units_are_bytes_and_percents_of_a_core() -> None:
    none = {"memory_max": None, "memory_high": None, "cpu_quota": None, "tasks_max": None}
    assert reserved(SHOWN) == {
        "research-app.service": {
            **none, "active": True, "memory_max": 2048 * MIB, "cpu_quota": 150.0, "tasks_max": 512,
        },
        "haproxy.service": {**none, "active": False},
        "big.service": {
            **none, "active": True, "memory_high": 1024 * MIB, "cpu_quota": 6400.0,
        },
        "small.service": {**none, "active": True, "cpu_quota": 25.0},
    }  # fmt: skip


def test_a_file_system_that_is_mounted_twice_counts_once() -> None:
    def mounted(where: str, device: int, kind: str = "ext4") -> Filesystem:
        return Filesystem(where, kind, device, size=10, free=4)

    found = distinct(
        [
            mounted("/var/lib/opensearch/copy", 2),
            mounted("/", 1, "overlay"),
            mounted("/var/lib/opensearch", 2),
            mounted("/run/lock", 3, "tmpfs"),
            mounted("/dev/shm", 4, "tmpfs"),
            mounted("/sys/fs/bpf", 5, "bpf"),
            mounted("/srv/library", 6, "nfs4"),
        ]
    )
    assert [each.mount for each in found] == ["/", "/srv/library", "/var/lib/opensearch"]


def test_the_disks_of_this_machine_are_seen() -> None:
    root = next(each for each in host_usage.filesystems() if each.mount == "/")
    assert root.size >= root.free > 0


def run_module(project: Path, arguments: dict[str, Any], **environment: str) -> dict[str, Any]:
    """Run the module as a host does, with the arguments on its input."""
    paths = f"{project / 'tests/typing'}{os.pathsep}{project}"
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, str(project)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, Any] = json.loads(done.stdout or "{}")
    assert found, done.stderr
    return found


LAUNCH = """\
import io, runpy, sys
import ansible.module_utils
project = sys.argv[1]
ansible.module_utils.__path__.append(project + "/module_utils")
from ansible.module_utils import basic
basic._ANSIBLE_PROFILE = "legacy"
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
import os
if os.environ.get("WITHOUT_PSUTIL"):
    sys.modules["psutil"] = None
sys.argv = ["host_usage"]
runpy.run_path(project + "/library/host_usage.py", run_name="__main__")
"""


def test_the_module_tells_what_is_used_and_changes_nothing(project: Path) -> None:
    found = run_module(project, {"seconds": 1, "units": [], "_ansible_check_mode": True})
    assert found["changed"] is False
    assert found["usage"]["host"]["memory"]["p50"] > 0
    assert found["reserved"]["cores"] >= 1
    assert found["reserved"]["memory"] > found["usage"]["host"]["memory"]["p50"]
    assert "/" in {each["mount"] for each in found["reserved"]["filesystems"]}


def test_without_psutil_it_says_what_to_install(project: Path) -> None:
    found = run_module(project, {"seconds": 1}, WITHOUT_PSUTIL="1")
    assert found["failed"]
    assert found["msg"] == (
        "host_usage needs psutil for the host's Python: install the package python3-psutil"
    )


@pytest.mark.parametrize("seconds", [0, -3])
def test_no_time_to_look_is_refused(project: Path, seconds: int) -> None:
    found = run_module(project, {"seconds": seconds})
    assert found["msg"] == f"seconds is {seconds}: it takes at least 1 to see what is used"


def test_a_unit_that_systemd_does_not_tell_of_is_an_error_with_its_words() -> None:
    with pytest.raises(UsageError, match="systemctl: no bus"):
        host_usage.limits(["a.service"], lambda _: (1, "", "no bus"))
