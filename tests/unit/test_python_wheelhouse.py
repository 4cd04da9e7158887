"""The controller's side of a Python release: which wheels, fetched once, in one archive."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from ansible.module_utils.python_wheelhouse import (
    KEPT_ARCHIVES,
    Target,
    Wheelhouse,
    WheelhouseError,
    download_command,
    locked_entries,
    select_entries,
)

HASH = "sha256:" + "0" * 64
PIP = "pip-26.3-py3-none-any.whl"
LOCK = f"""\
# a comment
Brotli==1.2.1 \\
    --hash={HASH} \\
    --hash={HASH[:-1]}1
    # via gradio
audioop-lts==0.2.2 ; python_full_version >= '3.13' \\
    --hash={HASH}
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash={HASH}
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash={HASH}
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash={HASH}
opensearch-py[async]==3.2.0 --hash={HASH}
pip==26.3 --hash=sha256:{hashlib.sha256(b"pip").hexdigest()}
"""


def target(version: str = "3.13", glibc: str = "2.41", machine: str = "x86_64") -> Target:
    return Target.from_params({"python_version": version, "machine": machine, "glibc": glibc})


class FakePip:
    """Writes the wheels that pip would, and counts how often it is asked."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.answer = (0, "", "")
        self.built = "demo-1.0-py3-none-any.whl"

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        self.commands.append(command)
        if self.answer[0] == 0:
            options = dict(part.split("=", 1) for part in command if "=" in part)
            if "download" in command:
                (Path(options["--dest"]) / PIP).write_bytes(b"pip")
            else:
                (Path(options["--wheel-dir"]) / self.built).write_bytes(b"demo")
        return self.answer


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(LOCK)
    return path


def test_an_entry_keeps_its_hashes_and_loses_comments() -> None:
    entries = list(locked_entries(LOCK))
    assert len(entries) == 7
    assert entries[0].count("--hash=") == 2 and "via" not in entries[0]


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("3.11", ["brotli==1.2.1", "numpy==2.4.6", "opensearch-py==3.2.0", "pip==26.3"]),
        ("3.12", ["brotli==1.2.1", "numpy==2.5.5", "opensearch-py==3.2.0", "pip==26.3"]),
        (
            "3.13",
            [
                "audioop-lts==0.2.2",
                "brotli==1.2.1",
                "numpy==2.5.5",
                "opensearch-py==3.2.0",
                "pip==26.3",
            ],
        ),
    ],
)
def test_markers_are_those_of_the_host_not_of_the_controller(
    version: str, names: list[str]
) -> None:
    assert [entry.split()[0] for entry in select_entries(LOCK, target(version))] == names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("requests==2.0\n", "requests is not pinned with a hash"),
        (f"requests>=2.0 --hash={HASH}\n", "requests is not pinned with a hash"),
        (f"not a requirement == --hash={HASH}\n", "cannot read the locked"),
    ],
)
def test_a_lock_file_that_pins_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(WheelhouseError, match=says):
        select_entries(text, target())


@pytest.mark.parametrize(
    ("glibc", "newest"),
    [
        ("2.41", "manylinux_2_36_x86_64"),
        ("2.36", "manylinux_2_36_x86_64"),
        ("2.31", "manylinux_2_31_x86_64"),
    ],
)
def test_wheels_are_asked_for_the_older_of_host_and_oldest_supported(
    glibc: str, newest: str
) -> None:
    platforms = target(glibc=glibc).platforms
    assert platforms[0] == newest
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64"} <= set(platforms)


@pytest.mark.parametrize("params", [("2.7", "2.41"), ("3.13.5", "2.41"), ("3.13", "musl")])
def test_a_host_that_is_not_understood_is_refused(params: tuple[str, str]) -> None:
    with pytest.raises(WheelhouseError, match="is not of the form"):
        target(*params)


def test_pip_may_use_locked_wheels_only() -> None:
    command = download_command(target("3.11"), Path("r.txt"), Path("w"))
    wanted = {"--require-hashes", "--only-binary=:all:", "--no-deps", "--python-version=3.11"}
    assert wanted <= set(command)


def test_what_has_no_wheel_is_built_where_it_fits_every_host(tmp_path: Path, lock: Path) -> None:
    pip = FakePip()
    house = Wheelhouse(tmp_path / "cache", pip)
    archive, _, _ = house.build("demo", "1.0-bb", target(), [lock, lock], None, ["brotli"])
    download, build = pip.commands
    assert "download" in download and "--require-hashes" in build
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["demo-1.0-py3-none-any.whl", PIP]
    pip.built = "demo-1.0-cp313-cp313-linux_x86_64.whl"
    with pytest.raises(WheelhouseError, match="must be published as a wheel"):
        house.build("demo", "1.0-cc", target("3.12"), [lock], None, ["brotli"])


def test_an_archive_is_made_once(tmp_path: Path, lock: Path) -> None:
    pip = FakePip()
    house = Wheelhouse(tmp_path / "cache", pip)
    archive, hashes, made = house.build("demo", "1.0-aa", target(), [lock], tmp_path)
    assert made
    assert hashes[PIP] == hashlib.sha256(b"pip").hexdigest()
    with tarfile.open(archive) as tar:
        assert tar.getnames() == [PIP, "demo-1.0-py3-none-any.whl"]
        assert {(member.uid, member.mode) for member in tar} == {(0, 0o644)}
    assert house.build("demo", "1.0-aa", target(), [lock], tmp_path) == (archive, hashes, False)
    assert len(pip.commands) == 2


def test_changed_code_fetches_no_wheel_again(tmp_path: Path, lock: Path) -> None:
    pip = FakePip()
    house = Wheelhouse(tmp_path / "cache", pip)
    for version in ("1.0-aa", "1.0-bb"):
        house.build("demo", version, target(), [lock], tmp_path)
    assert [command[3] for command in pip.commands] == ["download", "wheel", "wheel"]


@pytest.mark.parametrize("place", ["locked/*", "demo-1.0-aa-*.tar"])
def test_a_cache_that_somebody_changed_is_named(tmp_path: Path, lock: Path, place: str) -> None:
    house = Wheelhouse(tmp_path / "cache", FakePip())
    house.build("demo", "1.0-aa", target(), [lock], tmp_path)
    (changed,) = (tmp_path / "cache").glob(place)
    if changed.is_dir():
        (changed / PIP).write_bytes(b"other")
    else:
        with tarfile.open(changed, "w") as tar:
            member = tarfile.TarInfo(PIP)
            member.size = 5
            tar.addfile(member, io.BytesIO(b"other"))
    version = "1.0-bb" if changed.is_dir() else "1.0-aa"
    with pytest.raises(WheelhouseError, match=f"{changed.name} holds a {PIP} that is not the one"):
        house.build("demo", version, target(), [lock], tmp_path)
    assert not house.archive("demo", "1.0-bb", target()).exists()


def test_an_archive_that_cannot_be_read_is_named(tmp_path: Path, lock: Path) -> None:
    house = Wheelhouse(tmp_path / "cache", FakePip())
    archive, _, _ = house.build("demo", "1.0-aa", target(), [lock], tmp_path)
    archive.write_bytes(b"half")
    with pytest.raises(WheelhouseError, match=r"cannot read .*\.tar, remove it"):
        house.build("demo", "1.0-aa", target(), [lock], tmp_path)


def test_a_failed_fetch_leaves_nothing_and_says_why(tmp_path: Path, lock: Path) -> None:
    pip = FakePip()
    pip.answer = (1, "", "ERROR: No matching distribution found for brotli==1.2.1")
    house = Wheelhouse(tmp_path / "cache", pip)
    with pytest.raises(WheelhouseError, match="No matching distribution found for brotli"):
        house.build("demo", "1.0-aa", target(), [lock], None)
    left = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert left == [".demo.lock"]


def test_without_pip_it_says_what_to_install(tmp_path: Path, lock: Path) -> None:
    pip = FakePip()
    pip.answer = (1, "", "/usr/bin/python3: No module named pip")
    with pytest.raises(WheelhouseError, match="has no pip: install it"):
        Wheelhouse(tmp_path / "cache", pip).build("demo", "1.0-aa", target(), [lock], None)


def test_old_archives_are_forgotten(tmp_path: Path, lock: Path) -> None:
    house = Wheelhouse(tmp_path / "cache", FakePip())
    for number in range(KEPT_ARCHIVES + 2):
        house.build("demo", f"1.0-{number}", target(), [lock], None)
    assert len(list((tmp_path / "cache").glob("demo-*.tar"))) == KEPT_ARCHIVES
    assert house.archive("demo", f"1.0-{KEPT_ARCHIVES + 1}", target()).is_file()
