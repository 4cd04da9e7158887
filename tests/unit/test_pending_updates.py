"""research-pending: security updates that wait, and since when."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = "roles/node_exporter/templates/config/usr/local/sbin/research-pending"
SIMULATED = """\
NOTE: This is only a simulation!
Inst openssl [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64]) []
Inst libc6 [2.41-1] (2.41-2 Debian:13.1/stable, Debian-Security:13/stable-security [amd64])
Inst tzdata [2025b-1] (2025b-2 Debian:13.1/stable [all])
Inst curl [8.5-2] (8.5-3 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [amd64])
Inst linux-image-6.12.1 (6.12.1-1 Debian-Security:13/stable-security [amd64])
Conf openssl (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])
"""


@pytest.fixture
def program(project: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the program as a module."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = SourceFileLoader("research_pending", str(project / PROGRAM))
    spec = importlib.util.spec_from_loader("research_pending", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_security_updates_of_what_is_installed_are_counted(program: ModuleType) -> None:
    assert program.pending(SIMULATED) == 3


@pytest.mark.parametrize(
    ("updates", "before", "since"),
    [(0, 0, 0), (2, 0, 1000), (2, 400, 400), (0, 400, 0)],
    ids=["none", "the first", "still some", "all installed"],
)
def test_since_when_lasts_as_long_as_some_are_pending(
    program: ModuleType, updates: int, before: int, since: int
) -> None:
    told = f"{program.SINCE} {before}\n"
    text = program.figures(updates, 0.0, told, now=1000.0)
    assert f"{program.SINCE} {since}\n" in text
    assert f"research_security_updates_pending {updates}\n" in text
    assert "research_reboot_required_since_timestamp_seconds 0\n" in text
