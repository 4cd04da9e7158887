"""The writer behind template_tree: all files or none, nothing twice, no secret in a diff."""

from __future__ import annotations

import itertools
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from ansible.module_utils.file_manifest import Manifest
from ansible.module_utils.file_tree import FileTreeError, Tree, TreeWriter, WantedFile


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


@pytest.mark.parametrize("present", [False, True], ids=["new", "replaced"])
def test_a_secret_is_never_readable_by_others_for_a_moment(
    tmp_path: Path, wanted: Callable[..., WantedFile], present: bool
) -> None:
    """Looked at after every line of Python that runs, with the widest umask."""
    secret = wanted("etc/key", content="hunter2\n", mode="0600", secret=True)
    if present:
        secret.path.parent.mkdir()
        secret.path.write_text("old\n")
        secret.path.chmod(0o600)
    exposed = set()

    def look(frame: FrameType, event: str, argument: object) -> Any:
        for path in tmp_path.rglob("*"):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                exposed.add(f"{path.name} {stat.S_IMODE(mode):04o}")
        return look

    umask = os.umask(0)
    sys.settrace(look)
    try:
        writer().write([secret])
    finally:
        sys.settrace(None)
        os.umask(umask)
    assert secret.path.read_text() == "hunter2\n"
    assert exposed == set()


class Host:
    """A folder that stands for a host with its manifest."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifest = Manifest(root / "state/files.json")

    def render(
        self,
        *names: str,
        tree: str = "role/config",
        excluded: Sequence[str] = (),
        check_mode: bool = False,
        secret: bool = False,
    ) -> list[str]:
        """Render files of a tree; return the names of those that changed."""
        files = [
            WantedFile.from_params(
                {"path": str(self.root / n), "content": f"{n}\n", "mode": "0640", "secret": secret}
            )
            for n in names
        ]
        paths = tuple(str(self.root / name) for name in excluded)
        changes = writer(check_mode).write(files, Tree(tree, self.manifest, paths))
        self.shown = "".join(change.diff["before"] for change in changes)
        return [str(Path(change.path).relative_to(self.root)) for change in changes]

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        return (self.root / name).exists()


@pytest.fixture
def machine(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_what_is_not_rendered_any_more_is_removed(machine: Host) -> None:
    machine.render("a", "b")
    assert machine.render("a", check_mode=True) == ["b"]
    assert machine.has("b"), "check mode removed it"
    assert machine.render("a") == ["b"]
    assert not machine.has("b")
    assert machine.render("a") == []


def test_a_removal_is_shown_but_not_a_secret(machine: Host) -> None:
    machine.render("open")
    machine.render()
    assert machine.shown == "open\n"
    machine.render("hunter2", secret=True)
    machine.render()
    assert "hunter2" not in machine.shown


def test_trees_of_one_host_do_not_know_each_other_s_files(machine: Host) -> None:
    machine.render("a", tree="one/config")
    assert machine.render("b", tree="two/config") == ["b"]
    assert machine.has("a")


def test_a_file_that_another_tree_took_over_stays(machine: Host) -> None:
    machine.render("a", tree="one/config")
    machine.render("a", tree="two/config")
    assert machine.render(tree="one/config") == []
    assert machine.has("a")


def _strange_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _strange_link(path: Path) -> None:
    path.unlink()
    path.with_name("theirs").write_text("theirs\n")
    path.symlink_to("theirs")


@pytest.mark.parametrize("change", [_strange_directory, _strange_link])
def test_what_is_no_regular_file_any_more_stays(
    machine: Host, change: Callable[[Path], None]
) -> None:
    machine.render("a", "b")
    change(machine.root / "b")
    assert machine.render("a") == []
    assert machine.has("b")


def test_a_file_of_a_package_stays(machine: Host) -> None:
    tree = Tree("role/config", machine.manifest)
    path = machine.root / "conffile"
    asks_dpkg = TreeWriter(
        run_command=lambda _: (0, "", ""), check_mode=False, directory_mode=0o755
    )
    wanted = WantedFile.from_params({"path": str(path), "content": "x\n", "mode": "0644"})
    asks_dpkg.write([wanted], tree)
    assert asks_dpkg.write([], tree) == []
    assert path.exists()


@pytest.mark.parametrize(
    ("name", "content", "removed"),
    [
        ("etc/research-app/credentials/signing_key_previous", "key\n", True),
        ("etc/service.d/x.conf", "# Managed by Ansible (role x).\n", True),
        ("etc/service.d/x.conf", "# written by the administrator\n", False),
    ],
)
def test_the_first_run_with_a_manifest_removes_what_an_earlier_version_evidently_made(
    machine: Host, name: str, content: str, removed: bool
) -> None:
    (machine.root / name).parent.mkdir(parents=True)
    (machine.root / name).write_text(content)
    assert machine.render("a", excluded=[name]) == (["a", name] if removed else ["a"])
    assert machine.has(name) is not removed


def test_with_a_manifest_an_excluded_file_of_somebody_else_stays(machine: Host) -> None:
    machine.render("a")
    (machine.root / "research.conf").write_text("theirs\n")
    assert machine.render("a", excluded=["research.conf"]) == []


class Killed(BaseException):
    """What stands for SIGKILL: nobody catches it."""


def test_a_run_that_was_killed_anywhere_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before each system call that changes a file; then the inventory wants less."""
    for kill_at in range(1, 100):
        machine = Host(tmp_path / str(kill_at))
        machine.root.mkdir()
        machine.render("old", "kept")
        (machine.root / "theirs").write_text("a stranger's\n")
        with monkeypatch.context() as patch:
            _kill_before_call(kill_at, patch)
            try:
                machine.render("kept", "new", "deep/new", "theirs")
            except Killed:
                killed = True
            else:
                killed = False
        untouched = (machine.root / "theirs").read_text() == "a stranger's\n"
        machine.render("kept")
        assert machine.render("kept") == []
        left = {str(p.relative_to(machine.root)) for p in machine.root.rglob("*") if p.is_file()}
        # A stranger's file is removed only where it had become ours.
        assert left == {"kept", "state/files.json"} | ({"theirs"} if untouched else set())
        entries = json.loads((machine.root / "state/files.json").read_text())
        assert list(entries) == [str(machine.root / "kept")]
        if not killed:
            return
    pytest.fail("the run does more than 99 such calls")


def _kill_before_call(number: int, patch: pytest.MonkeyPatch) -> None:
    calls = itertools.count(1)

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(calls) == number:
                raise Killed
            return original(*arguments, **options)

        return call

    for name in ("open", "chown", "chmod", "mkdir", "replace", "unlink"):
        patch.setattr(os, name, counted(getattr(os, name)))


def test_a_damaged_manifest_is_named_with_its_remedy(machine: Host) -> None:
    machine.render("a")
    (machine.root / "state/files.json").write_text("{")
    with pytest.raises(FileTreeError, match=r"files.json is damaged .*: delete it"):
        machine.render("a")
