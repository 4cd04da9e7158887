"""debian_packages: when apt need not be asked."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from action_plugins.debian_packages import ActionModule

ABSENT = "dpkg-query: no packages found matching ufw\n"


class Host(ActionModule):
    """The action on a host whose dpkg gives a recorded answer."""

    def __init__(self, rc: int, stdout: str) -> None:
        self.answer = {"rc": rc, "stdout": stdout, "stderr": ABSENT if rc else ""}
        self.asked: list[str] = []

    def _low_level_execute_command(self, cmd: str, *_: Any, **__: Any) -> dict[str, Any]:
        self.asked.append(cmd)
        return self.answer


@pytest.mark.parametrize(
    ("rc", "stdout", "installed"),
    [
        (0, "installed\ninstalled\n", True),
        (1, "installed\n", False),  # dpkg has never heard of the other
        (0, "installed\nnot-installed\n", False),
        (0, "installed\nconfig-files\n", False),  # removed, its configuration kept
        (0, "installed\nhalf-configured\n", False),
    ],
)
def test_only_what_dpkg_holds_for_installed_is_there(rc: int, stdout: str, installed: bool) -> None:
    assert Host(rc, stdout)._installed(["ufw", "curl"]) is installed


@pytest.mark.parametrize(
    "name", ["ufw=0.36.2-9", "ufw:arm64", "python3-*", "ufw; reboot", "/tmp/a.deb"]
)
def test_what_is_not_a_plain_name_is_left_to_apt(name: str) -> None:
    host = Host(0, "installed\n")
    assert not host._installed([name])
    assert host.asked == []


def test_a_name_with_a_plus_is_a_plain_one() -> None:
    host = Host(0, "installed\n")
    assert host._installed(["libstdc++6"])
    assert shlex.split(host.asked[0])[-2:] == ["--", "libstdc++6"]
