"""The writer behind template_tree: all files or none, nothing twice, no secret in a diff."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.file_tree import FileTreeError, TreeWriter, WantedFile


def run(command: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def writer(check_mode: bool = False) -> TreeWriter:
    return TreeWriter(run_command=run, check_mode=check_mode, directory_mode=0o755)


@pytest.fixture
def wanted(tmp_path: Path) -> Callable[..., WantedFile]:
    def make(name: str, content: str = "new\n", **options: Any) -> WantedFile:
        params = {"path": str(tmp_path / name), "content": content, "mode": "0640", **options}
        return WantedFile.from_params(params)

    return make


def test_writes_content_mode_and_missing_directories(
    tmp_path: Path, wanted: Callable[..., WantedFile]
) -> None:
    changes = writer().write([wanted("etc/deep/app.conf")])
    path = tmp_path / "etc/deep/app.conf"
    assert [change.path for change in changes] == [str(path)]
    assert path.read_text() == "new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_second_write_changes_nothing(wanted: Callable[..., WantedFile]) -> None:
    writer().write([wanted("a")])
    assert writer().write([wanted("a")]) == []


def test_a_mode_alone_is_a_change(tmp_path: Path, wanted: Callable[..., WantedFile]) -> None:
    writer().write([wanted("a")])
    (change,) = writer().write([wanted("a", mode="0600")])
    assert "mode 0640" in change.diff["before"] and "mode 0600" in change.diff["after"]
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_check_mode_reports_and_writes_nothing(
    tmp_path: Path, wanted: Callable[..., WantedFile]
) -> None:
    (change,) = writer(check_mode=True).write([wanted("etc/a", owner="nobody-yet")])
    assert change.diff["after"] == "new\n"
    assert list(tmp_path.iterdir()) == []


def test_one_refused_file_leaves_all_as_they_were(
    tmp_path: Path, wanted: Callable[..., WantedFile]
) -> None:
    (tmp_path / "a").write_text("old\n")
    refused = wanted("b", content="bad\n", validate="grep -q good %s")
    with pytest.raises(FileTreeError, match=r"/b was not changed, grep refuses it"):
        writer().write([wanted("a"), refused])
    assert (tmp_path / "a").read_text() == "old\n"
    assert not (tmp_path / "b").exists()


def test_a_secret_never_reaches_the_diff(tmp_path: Path, wanted: Callable[..., WantedFile]) -> None:
    (tmp_path / "key").write_text("hunter1\n")
    (change,) = writer().write([wanted("key", content="hunter2\n", secret=True)])
    assert "hunter" not in str(change.diff)


def test_a_link_stays_a_link(tmp_path: Path, wanted: Callable[..., WantedFile]) -> None:
    (tmp_path / "real").write_text("old\n")
    (tmp_path / "link").symlink_to("real")
    writer().write([wanted("link")])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mode": "rw"}, "mode 'rw' is not octal"),
        ({"validate": "true"}, "validate lacks %s"),
        ({"validate": "no-such-checker %s"}, "no-such-checker is not installed"),
        ({"owner": "nobody-yet"}, "nobody-yet"),
    ],
)
def test_refusals_name_the_value(
    wanted: Callable[..., WantedFile], options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(FileTreeError, match=sentence):
        writer().write([wanted("a", **options)])


def test_a_directory_in_the_way_is_named(tmp_path: Path, wanted: Callable[..., WantedFile]) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileTreeError, match="is a directory"):
        writer().write([wanted("a")])
