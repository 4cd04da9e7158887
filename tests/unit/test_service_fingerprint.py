"""A restart is due exactly where the service was started with other files than are there now."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.service_fingerprint import (
    FingerprintError,
    compare,
    hash_files,
    judge,
    parse_record,
    parse_unit,
)

RUNNING = "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n"


@pytest.mark.parametrize(
    ("started_with", "on_disk", "reasons"),
    [
        ({"/a": "1"}, {"/a": "1"}, []),
        ({}, {}, []),
        ({"/a": "1"}, {"/a": "2"}, ["/a has changed"]),
        ({"/a": "1"}, {}, ["/a is gone"]),
        ({}, {"/a": "1"}, ["/a is new"]),
        (
            {"/b": "1", "/a": "1"},
            {"/a": "2", "/c": "1"},
            ["/a has changed", "/b is gone", "/c is new"],
        ),
        (None, {"/a": "1"}, ["it was started without a record of its files"]),
    ],
)
def test_compare(
    started_with: dict[str, str] | None, on_disk: dict[str, str], reasons: list[str]
) -> None:
    assert compare(started_with, on_disk) == reasons


@pytest.mark.parametrize(
    ("state", "running"),
    [("active", True), ("reloading", True), ("inactive", False), ("activating", False),
     ("failed", False), ("deactivating", False)],
)  # fmt: skip
def test_a_unit_runs_when_it_is_active(state: str, running: bool) -> None:
    assert parse_unit(f"ActiveState={state}\nUnitFileState=\n").running is running


def test_an_answer_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(FingerprintError):
        parse_unit("Failed to connect to bus\n")


def test_the_record_of_the_unit_is_what_the_module_computes(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner file").write_text("inner")
    (tmp_path / "plain").write_text("plain")
    (tmp_path / "link").symlink_to("plain")
    paths = [tmp_path / "folder", tmp_path / "link", tmp_path / "missing"]
    find = ["find", "-L", *map(str, paths), "-type", "f", "-exec", "sha256sum", "{}", "+"]
    printed = subprocess.run(find, capture_output=True, text=True, check=False).stdout
    found = hash_files(paths)
    assert parse_record(printed) == found
    assert found[str(tmp_path / "link")] == hashlib.sha256(b"plain").hexdigest()
    assert len(found) == 2


@pytest.fixture
def record(tmp_path: Path) -> Path:
    (tmp_path / "conf").write_text("one")
    path = tmp_path / "record"
    path.write_text(f"{hashlib.sha256(b'one').hexdigest()}  {tmp_path / 'conf'}\n")
    return path


@pytest.mark.parametrize(
    ("unit", "content", "expected", "reason"),
    [
        (RUNNING, "one", [], ""),
        (RUNNING, "two", [], "has changed"),
        (RUNNING, "one", ["/etc/x"], "/etc/x will change"),
        (RUNNING.replace("Reload=no", "Reload=yes"), "one", [], "its unit has changed"),
        (RUNNING.replace("=active", "=inactive"), "one", [], "it does not run"),
    ],
)
def test_judge(record: Path, unit: str, content: str, expected: list[str], reason: str) -> None:
    conf = record.with_name("conf")
    conf.write_text(content)
    verdict = judge("a.service", record, [conf], expected, lambda _: (0, unit, ""))
    assert verdict.pending is bool(reason)
    assert not reason or reason in verdict.reasons[0]


def test_without_systemd_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FingerprintError, match="no bus"):
        judge("a.service", tmp_path / "r", [], [], lambda _: (1, "", "no bus"))
