"""Unpack an OpenSearch archive with its plugins into a versioned directory, all or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ansible.module_utils.opensearch_node import RELEASE_RECORD, read_release


class ReleaseError(Exception):
    """The release cannot be made; the message says what is wrong with which file."""


@dataclass(frozen=True)
class Plugin:
    """A plugin that the release must hold."""

    name: str
    version: str
    sha512: str
    archive: Path


@dataclass(frozen=True)
class Release:
    """A version of the server with its plugins."""

    version: str
    sha512: str
    plugins: tuple[Plugin, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return what identifies the release; it is written into it."""
        return {
            "version": self.version,
            "sha512": self.sha512,
            "plugins": {plugin.name: plugin.sha512 for plugin in self.plugins},
        }

    @property
    def directory(self) -> str:
        """Name its directory: another plugin list of one version is another release."""
        content = json.dumps(self.record(), sort_keys=True).encode()
        return f"{self.version}-{hashlib.sha256(content).hexdigest()[:8]}"


class Installer:
    """Makes releases below a root directory."""

    def __init__(self, root: Path, java_home: str) -> None:
        self.root = root
        self.java_home = java_home

    def home(self, release: Release) -> Path:
        """Return where a release lies."""
        return self.root / "releases" / release.directory

    def is_installed(self, release: Release) -> bool:
        """Say whether the release is complete."""
        found = read_release(self.home(release))
        return {**found, "bundled_jdk": None} == {**release.record(), "bundled_jdk": None}

    def is_current(self, release: Release) -> bool:
        """Say whether the release is complete and the one that ``current`` names."""
        current = self.root / "current"
        return self.is_installed(release) and current.resolve() == self.home(release).resolve()

    def install(self, release: Release, archive: Path) -> None:
        """Unpack beside the others, add the plugins, and move into place when complete.

        :raises ReleaseError: where an archive is not what it should be or a plugin is refused
        """
        releases = self.root / "releases"
        releases.mkdir(parents=True, exist_ok=True)
        for left_over in releases.glob(".partial-*"):
            shutil.rmtree(left_over)
        verify(archive, release.sha512)
        for plugin in release.plugins:
            verify(plugin.archive, plugin.sha512)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=releases) as partial:
            home = unpack(archive, Path(partial))
            if not (home / "bin" / "opensearch").is_file():
                raise ReleaseError(f"{archive} holds no bin/opensearch")
            self._add_plugins(release, home)
            record = {**release.record(), "bundled_jdk": (home / "jdk").is_dir()}
            (home / RELEASE_RECORD).write_text(json.dumps(record, indent=1, sort_keys=True))
            target = self.home(release)
            if target.exists():
                shutil.rmtree(target)
            home.chmod(0o755)
            home.rename(target)

    def _add_plugins(self, release: Release, home: Path) -> None:
        present = {path.name for path in (home / "plugins").glob("*") if path.is_dir()}
        missing = [plugin for plugin in release.plugins if plugin.name not in present]
        if not missing:
            return
        java = home / "jdk" if (home / "jdk").is_dir() else Path(self.java_home)
        environment = {
            **os.environ,
            "OPENSEARCH_JAVA_HOME": str(java),
            "OPENSEARCH_PATH_CONF": str(home / "config"),
        }
        command = [str(home / "bin" / "opensearch-plugin"), "install", "--batch"]
        answer = subprocess.run(
            command + [plugin.archive.as_uri() for plugin in missing],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            raise ReleaseError(f"opensearch-plugin: {(answer.stderr or answer.stdout).strip()}")
        # What a plugin brings for a demonstration (users, certificates) stays out of reach.
        shutil.rmtree(home / "config" / "opensearch-security", ignore_errors=True)
        for plugin in missing:
            check_plugin(home, plugin)

    def activate(self, release: Release, keep: int) -> None:
        """Point ``current`` at the release and remove the oldest others."""
        current = self.root / "current"
        previous = current.resolve() if current.exists() else None
        link = self.root / ".current.partial"
        link.unlink(missing_ok=True)
        link.symlink_to(self.home(release).relative_to(self.root))
        link.replace(current)
        others = sorted(
            (path for path in (self.root / "releases").iterdir() if path.is_dir()),
            key=lambda path: path.stat().st_mtime,
            reverse=True,
        )
        kept = {self.home(release), previous}
        spare = [path for path in others if path not in kept]
        for path in spare[max(0, keep - len(kept - {None})) :]:
            shutil.rmtree(path)


def verify(archive: Path, sha512: str) -> None:
    """Compare a file with its checksum.

    :raises ReleaseError: where it is missing or differs
    """
    if not archive.is_file():
        raise ReleaseError(f"{archive} is missing")
    total = hashlib.sha512()
    with archive.open("rb") as stream:
        while block := stream.read(1 << 20):
            total.update(block)
    if total.hexdigest() != sha512.lower():
        raise ReleaseError(f"{archive.name} has the SHA-512 {total.hexdigest()}, not {sha512}")


def unpack(archive: Path, target: Path) -> Path:
    """Unpack a zip or tar file and return its one top directory.

    :raises ReleaseError: where it is neither, or has not one top directory
    """
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, target)
        else:
            with tarfile.open(archive) as bundle:
                bundle.extractall(target, filter="tar")
    except (tarfile.TarError, zipfile.BadZipFile, OSError) as error:
        raise ReleaseError(f"{archive.name} cannot be unpacked: {error}") from error
    tops = list(target.iterdir())
    if len(tops) != 1 or not tops[0].is_dir():
        raise ReleaseError(f"{archive.name} should hold one directory, not {len(tops)} entries")
    return tops[0]


def bundles_java(archive: Path) -> bool:
    """Say whether an archive brings its own Java runtime.

    :raises ReleaseError: where it cannot be read
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as bundle:
                return any(re.match(r"[^/]+/jdk/", name) for name in bundle.namelist())
        with tarfile.open(archive) as tar:
            return any(re.match(r"(\./)?[^/]+/jdk/", entry.name) for entry in tar)
    except (tarfile.TarError, zipfile.BadZipFile, OSError) as error:
        raise ReleaseError(f"{archive.name} cannot be read: {error}") from error


def _unpack_zip(archive: Path, target: Path) -> None:
    """Unpack with the permissions of the entries, which zipfile itself drops."""
    with zipfile.ZipFile(archive) as bundle:
        for entry in bundle.infolist():
            path = bundle.extract(entry, target)
            mode = entry.external_attr >> 16 & 0o777
            if mode:
                Path(path).chmod(mode | 0o444 | (0o111 if entry.is_dir() else 0))


def check_plugin(home: Path, plugin: Plugin) -> None:
    """Compare an installed plugin with what the inventory says of it.

    :raises ReleaseError: where name or version differ
    """
    descriptor = home / "plugins" / plugin.name / "plugin-descriptor.properties"
    if not descriptor.is_file():
        raise ReleaseError(f"{plugin.archive.name} does not hold a plugin called {plugin.name}")
    found = re.search(r"^version=(\S+)", descriptor.read_text(), re.MULTILINE)
    if not found or found.group(1) != plugin.version:
        version = found.group(1) if found else "unknown"
        raise ReleaseError(
            f"the plugin {plugin.name} is of version {version}, not {plugin.version}"
        )


def staged(source: str, staging: Path) -> Path:
    """Return where the archive from a path or URL lies on the host."""
    return staging / PurePosixPath(source).name


def read_plugins(entries: Sequence[dict[str, Any]], staging: Path) -> tuple[Plugin, ...]:
    """Build the plugins from the module's parameters, in a stable order."""
    plugins = [
        Plugin(entry["name"], entry["version"], entry["sha512"], staged(entry["source"], staging))
        for entry in entries
    ]
    return tuple(sorted(plugins, key=lambda plugin: plugin.name))
