"""Kernel settings: only what differs is written, and only where it can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.kernel_settings import (
    Decision,
    Kernel,
    KernelError,
    Wish,
    decide,
    fstab_without_swap,
    parse_sysctl_file,
    render_sysctl_file,
)

MAPS = Wish("vm.max_map_count", "262144", True)
SWAPPINESS = Wish("vm.swappiness", "1", False)


@pytest.mark.parametrize(
    ("wish", "current", "in_file", "decision"),
    [
        pytest.param(MAPS, "65530", None, Decision("262144", "262144"), id="raised"),
        pytest.param(MAPS, "1048576", None, Decision(None, None), id="high enough by others"),
        pytest.param(MAPS, "262144", "262144", Decision(None, "262144"), id="kept"),
        pytest.param(MAPS, "524288", "524288", Decision(None, "524288"), id="ours, and higher"),
        pytest.param(MAPS, "1048576", "65530", Decision(None, "262144"), id="file too low"),
        pytest.param(SWAPPINESS, "60", None, Decision("1", "1"), id="set"),
        pytest.param(SWAPPINESS, "1", None, Decision(None, "1"), id="as wished, and kept so"),
        pytest.param(SWAPPINESS, "1", "1", Decision(None, "1"), id="done"),
    ],
)
def test_decisions(wish: Wish, current: str, in_file: str | None, decision: Decision) -> None:
    assert decide(wish, current, in_file, writable=True) == decision


def test_a_container_falls_short_of_a_wish_but_not_of_a_need() -> None:
    decision = decide(SWAPPINESS, "60", None, writable=False)
    assert decision.kernel is None
    assert decision.note == "vm.swappiness stays 60 instead of 1: it is the carrying machine's"
    assert decide(MAPS, "262144", None, writable=False) == Decision(None, None)
    with pytest.raises(KernelError, match=r"vm.max_map_count is 65530 and must be at least 262144"):
        decide(MAPS, "65530", None, writable=False)


@pytest.mark.parametrize(
    ("value", "wish"),
    [
        (1, SWAPPINESS),
        ("1", SWAPPINESS),
        ("4096  87380\t6291456", Wish("vm.swappiness", "4096 87380 6291456", False)),
        ({"minimum": 5}, Wish("vm.swappiness", "5", True)),
    ],
)
def test_wishes(value: Any, wish: Wish) -> None:
    assert Wish.from_params("vm.swappiness", value) == wish


@pytest.mark.parametrize("value", [{"min": 5}, {"minimum": "many"}, {}, {"minimum": 1, "x": 2}])
def test_what_is_no_wish(value: Any) -> None:
    with pytest.raises(KernelError, match="write a value or"):
        Wish.from_params("vm.swappiness", value)


def test_the_file_is_read_as_it_was_written() -> None:
    values = {"vm.swappiness": "1", "net.ipv4.tcp_rmem": "4096 87380 6291456"}
    assert parse_sysctl_file(render_sysctl_file(values)) == values
    assert render_sysctl_file({}) == ""


def test_swap_is_commented_out_of_fstab_once() -> None:
    fstab = "UUID=1 / ext4 defaults 0 1\n/swap.img none swap sw 0 0\n# /old none swap sw 0 0\n"
    once = fstab_without_swap(fstab)
    assert once.splitlines()[1] == "# off, Ansible (role base): /swap.img none swap sw 0 0"
    assert once.splitlines()[0::2] == fstab.splitlines()[0::2]
    assert fstab_without_swap(once) == once


def test_the_kernel_of_a_host(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/vm").mkdir(parents=True)
    (tmp_path / "proc/sys/vm/swappiness").write_text("60\n")
    (tmp_path / "proc/swaps").write_text("Filename Type\n/dev/sda2 partition 1 0 -2\n")
    kernel = Kernel(tmp_path)
    assert kernel.read("vm.swappiness") == "60"
    kernel.write("vm.swappiness", "1")
    assert kernel.read("vm.swappiness") == "1"
    assert kernel.swaps() == ["/dev/sda2"]
    assert not kernel.in_container()
    (tmp_path / "run/systemd").mkdir(parents=True)
    (tmp_path / "run/systemd/container").touch()
    assert kernel.in_container()
    with pytest.raises(KernelError, match=r"this kernel has no setting vm.nothing"):
        kernel.read("vm.nothing")
