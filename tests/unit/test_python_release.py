"""The host's side of a Python release: complete or made again, one current, old ones removed."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from pathlib import Path

import pytest
from ansible.module_utils.python_release import (
    MARKER,
    Python,
    PythonReleaseError,
    Releases,
    releases_in_use,
    to_prune,
)

EMPTY = hashlib.sha256(b"").hexdigest()
PIP, DEMO = "pip-26.3-py3-none-any.whl", "demo-1.0-py3-none-any.whl"
HASHES = {PIP: EMPTY, DEMO: EMPTY}
PYTHON = Python("/usr/bin/python3", "3.13", "x86_64", "2.41")


class Steps:
    """Stands for the commands of an install; fails at the one that names a word."""

    def __init__(self, fail_at: str = "") -> None:
        self.fail_at = fail_at
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        self.commands.append(command)
        if self.fail_at in command:
            return 2, "", "it broke"
        if "venv" in command:
            Path(command[-1]).mkdir()
        return 0, "", ""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tarball(tmp_path / "a.tar", [PIP, DEMO])


def tarball(path: Path, names: list[str]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    return path


def make(root: Path, *names: str) -> Releases:
    """Make complete releases, the last one the newest."""
    for age, name in enumerate(reversed(names)):
        folder = root / "releases" / name
        folder.mkdir(parents=True)
        (folder / MARKER).write_text("")
        moment = time.time() - age * 60
        os.utime(folder / MARKER, (moment, moment))
    return Releases(root, Steps())


def test_install_uses_no_index_and_marks_the_end(tmp_path: Path, archive: Path) -> None:
    steps = Steps()
    releases = Releases(tmp_path / "opt", steps)
    releases.install("1.0", archive, HASHES, PYTHON)
    assert releases.complete("1.0") and releases.installed() == ["1.0"]
    install = next(command for command in steps.commands if "install" in command)
    assert {"--no-index", "--no-deps"} <= set(install)
    assert [Path(part).name for part in install if part.endswith(".whl")] == [DEMO]


def test_an_install_that_broke_off_is_made_again(tmp_path: Path, archive: Path) -> None:
    root = tmp_path / "opt"
    with pytest.raises(PythonReleaseError, match="it broke"):
        Releases(root, Steps("install")).install("1.0", archive, HASHES, PYTHON)
    assert not Releases(root, Steps()).complete("1.0")
    (root / "releases" / "1.0" / "half").write_text("")
    Releases(root, Steps()).install("1.0", archive, HASHES, PYTHON)
    assert Releases(root, Steps()).complete("1.0")
    assert not (root / "releases" / "1.0" / "half").exists()
    assert [path.name for path in root.glob(".wheels-*")] == []


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["../evil.whl"], "which is no wheel"),
        (["/etc/evil.whl"], "which is no wheel"),
        (["readme.txt"], "which is no wheel"),
        ([DEMO], "no wheel of pip"),
    ],
)
def test_an_archive_that_is_no_wheelhouse_is_refused(
    tmp_path: Path, names: list[str], says: str
) -> None:
    archive, hashes = tarball(tmp_path / "b.tar", names), dict.fromkeys(names, EMPTY)
    with pytest.raises(PythonReleaseError, match=says):
        Releases(tmp_path / "opt", Steps()).install("1", archive, hashes, PYTHON)


@pytest.mark.parametrize(
    ("hashes", "says"),
    [
        ({PIP: EMPTY, DEMO: "0" * 64}, f"a {DEMO} that is not the controller's"),
        ({PIP: "0" * 64, DEMO: EMPTY}, f"a {PIP} that is not the controller's"),
        ({PIP: EMPTY}, f"a {DEMO} that is not the controller's"),
        ({**HASHES, "more-1.0-py3-none-any.whl": EMPTY}, "lacks more-1.0-py3-none-any.whl"),
        ({}, f"a {PIP} that is not the controller's"),
    ],
)
def test_wheels_that_the_controller_did_not_send_never_run(
    tmp_path: Path, archive: Path, hashes: dict[str, str], says: str
) -> None:
    steps = Steps()
    releases = Releases(tmp_path / "opt", steps)
    with pytest.raises(PythonReleaseError, match=says):
        releases.install("1.0", archive, hashes, PYTHON)
    assert steps.commands == [] and not releases.complete("1.0")


def test_a_missing_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(PythonReleaseError, match="there is no archive"):
        Releases(tmp_path, Steps()).install("1.0", tmp_path / "none.tar", HASHES, PYTHON)


def test_activate_switches_and_remembers(tmp_path: Path) -> None:
    releases = make(tmp_path, "1.0", "2.0")
    assert releases.current() == releases.previous() == ""
    releases.activate("1.0")
    releases.activate("2.0")
    assert (releases.current(), releases.previous()) == ("2.0", "1.0")
    assert (tmp_path / "current").resolve() == tmp_path / "releases" / "2.0"
    releases.activate("1.0")
    assert (releases.current(), releases.previous()) == ("1.0", "2.0")


def test_only_a_complete_release_can_be_current(tmp_path: Path) -> None:
    (tmp_path / "releases" / "1.0").mkdir(parents=True)
    with pytest.raises(PythonReleaseError, match="is not installed"):
        Releases(tmp_path, Steps()).activate("1.0")


@pytest.mark.parametrize(
    ("newest_first", "keep", "protected", "goes"),
    [
        (["d", "c", "b", "a"], 3, set(), ["a"]),
        (["d", "c", "b", "a"], 1, {"b"}, ["c", "a"]),
        (["d", "c"], 3, set(), []),
        ([], 3, {"d"}, []),
    ],
)
def test_what_is_pruned(
    newest_first: list[str], keep: int, protected: set[str], goes: list[str]
) -> None:
    assert to_prune(newest_first, keep, protected) == goes


def test_prune_spares_current_and_previous_and_takes_leftovers(tmp_path: Path) -> None:
    releases = make(tmp_path, "1", "2", "3", "4", "5")
    (tmp_path / "releases" / "half").mkdir()
    releases.activate("1")
    releases.activate("2")
    assert sorted(releases.prune(2, remove=False)) == ["3", "half"]
    assert len(list((tmp_path / "releases").iterdir())) == 6
    releases.prune(2, remove=True)
    assert sorted(path.name for path in (tmp_path / "releases").iterdir()) == ["1", "2", "4", "5"]


def test_a_release_in_use_is_found_by_its_processes(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    for number, (name, content) in enumerate(
        [
            ("cmdline", "/opt/a/releases/1.0-aa/bin/python\0/opt/a/current/bin/a"),
            ("maps", "7f r-xp 0 /opt/a/releases/2.0-bb/lib/x.so\n"),
            ("maps", "7f r-xp 0 /opt/ab/releases/3.0/lib/x.so\n"),
        ],
        start=1,
    ):
        (proc / str(number)).mkdir(parents=True)
        (proc / str(number) / name).write_text(content)
    assert releases_in_use(Path("/opt/a"), proc) == {"1.0-aa", "2.0-bb"}


def test_a_used_archive_is_discarded_with_unused_ones(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    for name in ("used.tar", "never-used.tar"):
        (incoming / name).write_text("")
    Releases(tmp_path, Steps()).discard(incoming / "used.tar")
    assert not incoming.exists()


def test_the_hosts_python_is_asked() -> None:
    answer = '{"python_version": "3.11", "machine": "aarch64", "glibc": "2.36"}'
    python = Python.probe("/usr/bin/python3", lambda _: (0, answer, ""))
    assert python.tag == "cp311"
    with pytest.raises(PythonReleaseError, match="does not work"):
        Python.probe("/nowhere", lambda _: (127, "", "not found"))
