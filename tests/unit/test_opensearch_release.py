"""Releases: verified, complete or not there at all, and never changed under a running node."""

from __future__ import annotations

import hashlib
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from ansible.module_utils.opensearch_certificates import CertificateError, Copy, write
from ansible.module_utils.opensearch_release import (
    Installer,
    Plugin,
    Release,
    ReleaseError,
    bundles_java,
    read_plugins,
)

INSTALLER = """#!/bin/sh
# Stands for opensearch-plugin: puts what the archive's name says into plugins/.
shift 2
for url; do
  name=$(basename "$url" .zip)
  mkdir -p "$(dirname "$0")/../plugins/$name" "$OPENSEARCH_PATH_CONF/opensearch-security"
  echo "version=1.0" > "$(dirname "$0")/../plugins/$name/plugin-descriptor.properties"
done
"""


def checksum(path: Path) -> str:
    return hashlib.sha512(path.read_bytes()).hexdigest()


def make_zip(path: Path, files: dict[str, str]) -> Path:
    """Write a zip whose files below bin/ are executable, as the real one has them."""
    with zipfile.ZipFile(path, "w") as bundle:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o755 if "/bin/" in name else 0o640) << 16
            bundle.writestr(entry, content)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a server's archive."""
    files = {"os-1.0/bin/opensearch": "", "os-1.0/bin/opensearch-plugin": INSTALLER}
    return make_zip(tmp_path / "os-1.0.zip", {**files, "os-1.0/config/opensearch.yml": ""})


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    """Return a plugin with its archive."""
    path = make_zip(tmp_path / "security.zip", {"x": ""})
    return Plugin("security", "1.0", checksum(path), path)


def test_a_release_is_installed_and_activated(
    tmp_path: Path, archive: Path, plugin: Plugin
) -> None:
    installer = Installer(tmp_path / "opt", "/java")
    release = Release("1.0", checksum(archive), (plugin,))
    assert not installer.is_current(release)
    installer.install(release, archive)
    assert installer.is_installed(release)
    assert not installer.is_current(release)
    installer.activate(release, keep=2)
    assert installer.is_current(release)
    home = (tmp_path / "opt/current").resolve()
    assert stat.S_IMODE((home / "bin/opensearch").stat().st_mode) == 0o755
    assert stat.S_IMODE((home / "config/opensearch.yml").stat().st_mode) == 0o644
    assert (home / "plugins/security").is_dir()
    assert not (home / "config/opensearch-security").exists()
    assert not list((tmp_path / "opt/releases").glob(".partial*"))


def test_another_plugin_list_is_another_release(archive: Path, plugin: Plugin) -> None:
    bare = Release("1.0", checksum(archive))
    assert bare.directory != Release("1.0", checksum(archive), (plugin,)).directory


def test_a_wrong_checksum_leaves_nothing(tmp_path: Path, archive: Path, plugin: Plugin) -> None:
    installer = Installer(tmp_path / "opt", "/java")
    with pytest.raises(ReleaseError, match=r"os-1\.0\.zip has the SHA-512"):
        installer.install(Release("1.0", "0" * 128), archive)
    wrong = Plugin("security", "1.0", "0" * 128, plugin.archive)
    with pytest.raises(ReleaseError, match=r"security\.zip has the SHA-512"):
        installer.install(Release("1.0", checksum(archive), (wrong,)), archive)
    assert list((tmp_path / "opt/releases").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [("other", "1.0", "does not hold a plugin called other"), ("security", "2.0", "not 2.0")],
)
def test_a_wrong_plugin_leaves_nothing(
    tmp_path: Path, archive: Path, plugin: Plugin, name: str, version: str, message: str
) -> None:
    installer = Installer(tmp_path / "opt", "/java")
    wrong = Plugin(name, version, plugin.sha512, plugin.archive)
    with pytest.raises(ReleaseError, match=message):
        installer.install(Release("1.0", checksum(archive), (wrong,)), archive)
    assert list((tmp_path / "opt/releases").iterdir()) == []


def test_what_a_killed_run_left_is_removed(tmp_path: Path, archive: Path) -> None:
    left_over = tmp_path / "opt/releases/.partial-x/os-1.0"
    left_over.mkdir(parents=True)
    release = Release("1.0", checksum(archive))
    installer = Installer(tmp_path / "opt", "/java")
    half = installer.home(release)
    half.mkdir()
    assert not installer.is_installed(release)
    installer.install(release, archive)
    assert installer.is_installed(release)
    assert not left_over.exists()


def test_old_releases_go_and_the_previous_one_stays(tmp_path: Path) -> None:
    installer = Installer(tmp_path / "opt", "/java")
    for number in range(4):
        source = tmp_path / f"os-{number}.zip"
        make_zip(source, {f"os-{number}/bin/opensearch": ""})
        release = Release(str(number), checksum(source))
        installer.install(release, source)
        installer.activate(release, keep=2)
    kept = sorted(path.name.split("-")[0] for path in (tmp_path / "opt/releases").iterdir())
    assert kept == ["2", "3"]


@pytest.mark.parametrize("inner", ["os-1.0/jdk/bin/java", "./os-1.0/jdk/bin/java"])
def test_a_bundled_java_is_noticed(tmp_path: Path, archive: Path, inner: str) -> None:
    assert not bundles_java(archive)
    (tmp_path / "java").touch()
    with tarfile.open(tmp_path / "os.tar.gz", "w:gz") as bundle:
        bundle.add(tmp_path / "java", inner)
    assert bundles_java(tmp_path / "os.tar.gz")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_text("no archive")
    with pytest.raises(ReleaseError, match="cannot be read"):
        bundles_java(broken)
    with pytest.raises(ReleaseError, match="cannot be unpacked"):
        Installer(tmp_path / "opt", "/java").install(Release("1", checksum(broken)), broken)


def test_plugins_lie_where_they_are_staged_in_a_stable_order() -> None:
    entries = [
        {"name": "b", "version": "1", "sha512": "x", "source": "https://host/path/b-1.zip"},
        {"name": "a", "version": "1", "sha512": "y", "source": "/srv/a-1.zip"},
    ]
    plugins = read_plugins(entries, Path("/var/tmp"))
    assert [str(plugin.archive) for plugin in plugins] == [
        "/var/tmp/a-1.zip",
        "/var/tmp/b-1.zip",
    ]


def test_a_key_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "host.pem.key"
    source.write_text("-----BEGIN PRIVATE KEY-----\n")
    copy = Copy(source, tmp_path / "certs/host.pem.key", is_key=True)
    assert copy.content() == source.read_bytes()
    assert copy.differs(copy.content(), 0o600)
    monkeypatch.setattr("shutil.chown", lambda *_: None)
    write(copy, copy.content(), "opensearch", 0o600)
    assert not copy.differs(copy.content(), 0o600)
    assert copy.differs(copy.content(), 0o640)


@pytest.mark.parametrize("content", [None, "no key"])
def test_a_key_that_is_none_is_named(tmp_path: Path, content: str | None) -> None:
    source = tmp_path / "host.pem.key"
    if content is not None:
        source.write_text(content)
    with pytest.raises(CertificateError, match=str(source)):
        Copy(source, tmp_path / "copy", is_key=True).content()
