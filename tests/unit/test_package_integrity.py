"""What the nightly look at the files of packages tells of what debsums says."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = "roles/base/templates/config/usr/local/sbin/research-integrity"
CHANGED = "debsums: changed file /usr/bin/who ami (from coreutils package)"
MISSING = "debsums: missing file /usr/lib/libssl.so.3 (from libssl3t64:amd64 package)"
UNSUMMED = "debsums: no md5sums for vendor-agent"
UNREADABLE = "debsums: can't open chrony file /usr/share/chrony/chrony.keys (Permission denied)"
TOLD = {
    CHANGED: "/usr/bin/who ami is not as its package brought it (coreutils): "
    "apt-get install --reinstall coreutils",
    MISSING: "/usr/lib/libssl.so.3 is missing (libssl3t64:amd64): "
    "apt-get install --reinstall libssl3t64:amd64",
    UNSUMMED: "",
    "debsums: package haproxy is not installed": "",
    UNREADABLE: UNREADABLE,
}


@pytest.fixture
def integrity(project: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script as a module."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = SourceFileLoader("research_integrity", str(project / SCRIPT))
    module = ModuleType(loader.name)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("line", TOLD)
def test_a_finding_names_the_file_and_the_remedy(integrity: ModuleType, line: str) -> None:
    assert integrity.told(line) == TOLD[line]


@pytest.mark.parametrize(
    ("first", "second", "status", "printed"),
    [
        ([], None, 0, ["<6>every file of every package is as its package brought it"]),
        ([CHANGED], [CHANGED], 1, [f"<3>{TOLD[CHANGED]}"]),
        # It was being replaced.
        ([CHANGED], [], 0, ["<6>every file of every package is as its package brought it"]),
        ([UNREADABLE], None, 1, [f"<3>{UNREADABLE}"]),
        (
            [UNSUMMED, MISSING],
            [MISSING],
            1,
            ["<5>not looked at, as dpkg has no sums of it: vendor-agent", f"<3>{TOLD[MISSING]}"],
        ),
    ],
)
def test_what_differs_is_looked_at_twice(
    integrity: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: list[str],
    second: list[str] | None,
    status: int,
    printed: list[str],
) -> None:
    asked: list[list[str]] = []

    def look(packages: list[str]) -> list[str]:
        asked.append(packages)
        return (second or []) if packages else first

    monkeypatch.setattr(integrity, "look", look)
    assert integrity.main() == status
    assert capsys.readouterr().out.splitlines() == printed
    assert len(asked) == (1 if second is None else 2)
