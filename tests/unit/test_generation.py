"""Generations: made beside what runs, chosen in one step, kept, made whole, gone back to."""

from __future__ import annotations

import getpass
import grp
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.generation import (
    EARLIER,
    File,
    GenerationError,
    Generations,
    Wanted,
    changes,
)

KEY = b"53cr3t"
ME: dict[str, Any] = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}


class Systemd:
    """Answers as systemctl does, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.active: set[str] = set()
        self.stale: set[str] = set()

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        self.asked.append(command)
        if command[:2] != ["systemctl", "show"]:
            return (1, "", "it is wrong") if "bad" in command[-1] else (0, "", "")
        blocks = [
            f"ActiveState={'active' if unit in self.active else 'inactive'}\n"
            f"NeedDaemonReload={'yes' if unit in self.stale else 'no'}\n"
            for unit in command[command.index("--") + 1 :]
        ]
        return 0, "\n".join(blocks), ""


@pytest.fixture
def systemd() -> Systemd:
    return Systemd()


@pytest.fixture
def host(tmp_path: Path, systemd: Systemd) -> Generations:
    return Generations(tmp_path / "etc", systemd, tmp_path / "run")


@pytest.fixture
def wanted(tmp_path: Path) -> Callable[..., Wanted]:
    """A generation of a service with one unit, whose settings say a text."""

    def make(settings: str, **more: Any) -> Wanted:
        files = [
            File("settings.toml", settings.encode(), **ME),
            File("credentials/key", KEY, 0o600, **ME, secret=True),
            File("units/x.service", b"[Service]\n", **ME),
        ]
        places = {
            str(tmp_path / "system" / "x.service"): "units/x.service",
            str(tmp_path / "system" / "wants" / "x.service"): "../x.service",
        }
        return Wanted(files, {"release": "/opt/x/releases/1"}, places, **more)

    return make


def start(host: Generations, systemd: Systemd, unit: str = "x.service") -> None:
    """As the unit's ExecStartPre does."""
    host._running.mkdir(exist_ok=True)
    (host._running / unit).unlink(missing_ok=True)
    (host._running / unit).symlink_to((host.root / "current").readlink())
    systemd.active.add(unit)


Make = Callable[..., Wanted]


def text(host: Generations, path: str = "settings.toml") -> str:
    return (host.root / "current" / path).read_text()


def due(host: Generations, wanted: Wanted, *patterns: str) -> list[str]:
    state = host.states(["x.service"])["x.service"]
    return host.reasons(state, wanted.manifest(), patterns or ("*",))


def test_what_is_staged_changes_nothing_that_runs_or_would_start(
    host: Generations, wanted: Make, tmp_path: Path
) -> None:
    one, two = wanted("one"), wanted("two")
    host.stage(one)
    host.choose(one.name)
    before = {path: path.readlink() for path in tmp_path.rglob("*") if path.is_symlink()}
    host.stage(two)
    now = {path: path.readlink() for path in before}
    assert now == before
    assert text(host) == "one"
    assert (host.folder(two.name) / "settings.toml").read_text() == "two"


def test_the_same_content_has_the_same_name(wanted: Make) -> None:
    assert wanted("one").name == wanted("one").name
    assert wanted("one").name != wanted("two").name
    other = wanted("one")
    assert Wanted(other.files, {"release": "/opt/x/releases/2"}, other.places).name != other.name


def test_one_step_changes_everything(
    host: Generations, wanted: Make, systemd: Systemd, tmp_path: Path
) -> None:
    for settings in ("one", "two"):
        host.stage(wanted(settings))
        host.choose(wanted(settings).name)
    assert text(host) == "two"
    assert host.linked("current") == wanted("two").name
    assert host.linked("previous") == wanted("one").name
    assert (tmp_path / "system/x.service").read_text() == "[Service]\n"
    assert (tmp_path / "system/wants/x.service").resolve().name == "x.service"
    assert systemd.asked[-1] == ["systemctl", "daemon-reload"]
    assert host.misplaced(wanted("two").name) == []


def test_a_place_that_the_new_generation_has_not_is_removed(
    host: Generations, wanted: Make, tmp_path: Path
) -> None:
    host.stage(one := wanted("one"))
    host.choose(one.name)
    off = tmp_path / "system" / "wants" / "x.service"
    places = {path: to for path, to in one.places.items() if path != str(off)}
    host.stage(two := Wanted(one.files, one.links, places))
    host.choose(two.name)
    assert not off.is_symlink()


def test_a_stranger_in_a_place_is_seen(host: Generations, wanted: Make, tmp_path: Path) -> None:
    host.stage(one := wanted("one"))
    host.choose(one.name)
    unit = tmp_path / "system" / "x.service"
    unit.unlink()
    unit.write_text("[Service]\nExecStart=/bin/false\n")
    assert host.misplaced(one.name) == [str(unit)]
    host.choose(one.name)
    assert host.misplaced(one.name) == []


@pytest.mark.parametrize(
    ("damage", "path"),
    [
        (lambda folder: (folder / "settings.toml").write_text("by hand"), "settings.toml"),
        (lambda folder: (folder / "settings.toml").chmod(0o600), "settings.toml"),
        (lambda folder: (folder / "settings.toml").unlink(), "settings.toml"),
        (lambda folder: (folder / "more").write_text(""), "more"),
        (lambda folder: (folder / "release").unlink(), "release"),
    ],
    ids=["content", "mode", "gone", "more", "link"],
)
def test_damage_is_found_mended_and_a_reason_to_restart(
    host: Generations,
    wanted: Make,
    systemd: Systemd,
    damage: Callable[[Path], Any],
    path: str,
) -> None:
    host.stage(one := wanted("one"))
    host.choose(one.name)
    start(host, systemd)
    assert due(host, one) == []
    damage(host.folder(one.name))
    assert host.drift(one.name) == [path]
    with pytest.raises(GenerationError, match=f"damaged, {path}"):
        host.choose(one.name)
    host.stage(one, {"x.service": ["*"], "other.service": ["none"]})
    assert host.drift(one.name) == []
    assert text(host) == "one"
    assert due(host, one) == ["it is not known what it was started with"]


def test_a_manifest_that_was_edited_counts_as_no_generation(
    host: Generations, wanted: Make
) -> None:
    host.stage(one := wanted("one"))
    manifest = host.folder(one.name) / "generation.json"
    manifest.write_text(manifest.read_text().replace("0600", "0644"))
    assert host.manifest(one.name) is None
    host.stage(one)
    assert host.drift(one.name) == []


def test_what_a_validator_refuses_leaves_nothing(host: Generations, wanted: Make) -> None:
    files = [File("bad", b"content", **ME, validate="sh %s")]
    with pytest.raises(GenerationError, match="bad was not changed, sh refuses it: it is wrong"):
        host.stage(Wanted(files))
    assert list((host.root / "generations").iterdir()) == []


def test_what_a_killed_run_left_half_done_is_made_again(host: Generations, wanted: Make) -> None:
    one = wanted("one")
    half = host.folder(f".{one.name}")
    half.mkdir(parents=True)
    (half / "settings.toml").write_text("ha")
    host.stage(one)
    assert host.drift(one.name) == []
    assert host.installed() == [one.name]


def test_why_a_restart_is_due(host: Generations, wanted: Make, systemd: Systemd) -> None:
    one, two = wanted("one"), wanted("two")
    host.stage(one)
    host.choose(one.name)
    assert due(host, one) == ["it does not run"]
    start(host, systemd)
    assert due(host, one) == []
    assert due(host, two) == ["settings.toml has changed"]
    assert due(host, two, "units/*", "release") == []
    systemd.stale.add("x.service")
    assert due(host, one) == ["its unit has changed"]


def test_what_is_different_is_said_by_path(wanted: Make) -> None:
    one = wanted("one").manifest()
    two = {**one, "links": {"release": "/opt/x/releases/2"}}
    assert changes(one, two, ["*"]) == ["release: 1 becomes 2"]
    fewer = {**one, "files": {"settings.toml": one["files"]["settings.toml"]}}
    assert changes(one, fewer, ["cred*"]) == ["credentials/key is gone"]
    assert changes(fewer, one, ["cred*"]) == ["credentials/key is new"]


def test_old_generations_go_and_never_one_in_use(
    host: Generations, wanted: Make, systemd: Systemd
) -> None:
    names = []
    for number in range(6):
        host.stage(one := wanted(str(number)))
        host.choose(one.name)
        names.append(one.name)
        os.utime(host.folder(one.name) / "generation.json", (number, number))
        if number == 1:
            start(host, systemd)
    assert sorted(host.prune(2)) == sorted([names[0], names[2], names[3]])
    assert host.installed() == [names[5], names[4], names[1]]
    assert host.targets() == ["/opt/x/releases/1"]


def test_a_host_without_generations_can_go_back_to_what_it_had(
    host: Generations, wanted: Make, tmp_path: Path
) -> None:
    unit, boot = tmp_path / "system" / "x.service", tmp_path / "system" / "wants" / "x.service"
    boot.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/before\n")
    unit.chmod(0o644)
    boot.symlink_to(unit)
    host.stage(one := wanted("one"))
    assert unit.read_text() == "[Service]\nExecStart=/before\n"
    host.choose(one.name)
    assert unit.read_text() == "[Service]\n"
    assert host.linked("previous") == EARLIER
    host.choose(EARLIER)
    assert unit.read_text() == "[Service]\nExecStart=/before\n"
    assert boot.resolve().read_text() == unit.read_text()


def test_secrets_are_in_no_diff(host: Generations, wanted: Make) -> None:
    said = str(host.differences(wanted("one")))
    assert KEY.decode() not in said
    assert "one" in said


def test_a_secret_is_readable_by_nobody_else_at_any_moment(
    host: Generations, wanted: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    chmod = Path.chmod

    def watched(path: Path, mode: int) -> None:
        if path.name == "key":
            modes.append(path.stat().st_mode & 0o777)
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", watched)
    host.stage(one := wanted("one"))
    key = host.folder(one.name) / "credentials/key"
    assert modes == [0o600]
    assert key.stat().st_mode & 0o777 == 0o600
    assert (host.folder(one.name) / "generation.json").stat().st_mode & 0o777 == 0o600
