"""Collect, on the controller, the wheels that one Python on one platform needs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RunCommand = Callable[[list[str]], tuple[int, str, str]]

# The C library of the oldest system that is supported, Debian 12: a wheel made for it runs on all.
OLDEST_GLIBC = 36
KEPT_ARCHIVES = 3


class WheelhouseError(Exception):
    """The wheels cannot be collected; the message says why and what to do."""


@dataclass(frozen=True)
class Target:
    """The Python and the platform of a host."""

    python_version: str
    machine: str
    glibc: str

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> Target:
        """Build from what C(python_release_info) found on the host.

        :param params: python_version ("3.13"), machine ("x86_64"), glibc ("2.41")
        :raises WheelhouseError: where a value cannot be read
        """
        target = cls(params["python_version"], params["machine"], params["glibc"])
        if not re.fullmatch(r"3\.\d+", target.python_version):
            raise WheelhouseError(
                f"Python version {target.python_version!r} is not of the form 3.13"
            )
        if not re.fullmatch(r"2\.\d+", target.glibc):
            raise WheelhouseError(f"C library version {target.glibc!r} is not of the form 2.36")
        return target

    @property
    def tag(self) -> str:
        """The interpreter's tag, C(cp313)."""
        return "cp" + self.python_version.replace(".", "")

    @property
    def glibc_minor(self) -> int:
        """The C library to ask wheels for: the host's, and no newer than the oldest supported."""
        return min(int(self.glibc.split(".")[1]), OLDEST_GLIBC)

    @property
    def name(self) -> str:
        """One word for file names."""
        return f"{self.tag}-glibc2.{self.glibc_minor}-{self.machine}"

    @property
    def platforms(self) -> list[str]:
        """The platform tags of wheels that run there, the newest first."""
        newest_first = range(self.glibc_minor, 4, -1)
        modern = [f"manylinux_2_{minor}_{self.machine}" for minor in newest_first]
        return [*modern, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]

    @property
    def markers(self) -> dict[str, str]:
        """The environment in which the markers of a lock file are evaluated."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python_version}.99",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python_version}.99",
            "python_version": self.python_version,
            "sys_platform": "linux",
        }


def locked_entries(text: str) -> Iterator[str]:
    """Split a lock file into its entries, each with its hashes on one line.

    :param text: the content of a requirements.txt made by C(uv pip compile --generate-hashes)
    """
    pending = ""
    for line in text.splitlines():
        stripped = line.strip()
        if not pending and (not stripped or stripped.startswith("#")):
            continue
        if stripped.startswith("#"):
            stripped = ""
        pending += stripped.removesuffix("\\").rstrip() + " "
        if not stripped.endswith("\\"):
            yield pending.strip()
            pending = ""
    if pending.strip():
        yield pending.strip()


def select_entries(text: str, target: Target) -> list[str]:
    """Choose the entries of a lock file that a target needs, without their markers.

    pip evaluates markers with the Python that runs it, which is the controller's.

    :param text: the lock file
    :param target: the host's Python and platform
    :raises WheelhouseError: where an entry is not pinned with a hash
    """
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415

    chosen = []
    for entry in locked_entries(text):
        wanted, *hashes = entry.split(" --hash=")
        try:
            requirement = Requirement(wanted.strip())
        except InvalidRequirement as error:
            raise WheelhouseError(
                f"cannot read the locked requirement {entry[:80]!r}: {error}"
            ) from error
        pins = list(requirement.specifier)
        if not hashes or len(pins) != 1 or pins[0].operator != "==":
            raise WheelhouseError(
                f"{requirement.name} is not pinned with a hash: make the lock file with"
                " 'uv pip compile --universal --generate-hashes'"
            )
        if requirement.marker is None or requirement.marker.evaluate(dict(target.markers)):
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            chosen.append(
                " ".join([f"{name}{pins[0]}", *(f"--hash={one.strip()}" for one in hashes)])
            )
    return sorted(chosen)


def download_command(target: Target, requirements: Path, dest: Path) -> list[str]:
    """Compose the command that fetches the wheels.

    :param target: the host's Python and platform
    :param requirements: the chosen entries
    :param dest: folder for the wheels
    """
    platforms = [f"--platform={platform}" for platform in target.platforms]
    return [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--require-hashes", "--only-binary=:all:",
        "--implementation=cp", f"--python-version={target.python_version}", *platforms,
        f"--dest={dest}", f"--requirement={requirements}",
    ]  # fmt: skip


def build_command(requirements: Path, dest: Path) -> list[str]:
    """Compose the command that makes wheels of what is published as sources only.

    :param requirements: the chosen entries
    :param dest: folder for the wheels
    """
    return [
        sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--require-hashes", f"--wheel-dir={dest}", f"--requirement={requirements}",
    ]  # fmt: skip


def project_name(entry: str) -> str:
    """Name what a chosen entry is of.

    :param entry: an entry as C(select_entries) returns it
    """
    return entry.split("==", 1)[0]


def check_wheels(
    hashes: Mapping[str, str], entries: Sequence[str], sources: Sequence[str], place: Path
) -> None:
    """Compare wheels of the cache with the lock file, which came another way than they did.

    :param hashes: SHA-256 of each wheel by its file name
    :param entries: entries as C(select_entries) returns them
    :param sources: projects that the controller built itself: their hash is in no lock file
    :param place: where in the cache the wheels are, for the message
    :raises WheelhouseError: where a wheel is not the locked one
    """
    locked = {project_name(entry): entry.split(" --hash=")[1:] for entry in entries}
    for wheel, sha256 in hashes.items():
        name = re.sub(r"[-_.]+", "-", wheel.split("-", 1)[0]).lower()
        pinned = name in locked and name not in sources
        if pinned and f"sha256:{sha256}" not in locked[name]:
            raise WheelhouseError(
                f"{place} holds a {wheel} that is not the one of the lock file (its SHA-256 is"
                f" {sha256}): find out who changed it, or remove {place} to have it fetched again"
            )


class Wheelhouse:
    """The cache of wheels and of the archives made of them."""

    def __init__(self, cache: Path, run_command: RunCommand) -> None:
        """Keep the collaborators.

        :param cache: folder of the cache
        :param run_command: runs a command, gives (status, output, errors)
        """
        self.cache = cache
        self.run_command = run_command

    def archive(self, name: str, version: str, target: Target) -> Path:
        """Where the archive of a release is kept."""
        return self.cache / f"{name}-{version}-{target.name}.tar"

    def build(
        self,
        name: str,
        version: str,
        target: Target,
        requirements: Sequence[Path],
        project: Path | None,
        sources: Sequence[str] = (),
    ) -> tuple[Path, dict[str, str], bool]:
        """Make the archive of a release unless it exists, and check what is in it.

        :param name: what is released
        :param version: version with the hash of what it is made of
        :param target: the host's Python and platform
        :param requirements: lock files
        :param project: folder of a project whose wheel goes with them
        :param sources: projects among them that are published as sources only
        :returns: path of the archive, the SHA-256 of each wheel in it, and whether it was made now
        :raises WheelhouseError: where a wheel cannot be fetched or built, or is not the locked one
        """
        archive = self.archive(name, version, target)
        # what two files ask for alike is one entry
        entries = list(
            dict.fromkeys(
                entry for file in requirements for entry in select_entries(_read(file), target)
            )
        )
        with self._locked(name):
            if missing := not archive.is_file():
                wheels = self._dependencies(entries, target, sources)
                with tempfile.TemporaryDirectory(dir=self.cache, prefix=".project-") as built:
                    if project:
                        self._build_project(project, Path(built))
                        wheels += sorted(Path(built).glob("*.whl"))
                    _write_tar(archive, wheels)
                self._forget_old(name, target)
            hashes = _tar_hashes(archive)
            check_wheels(hashes, entries, sources, archive)
        return archive, hashes, missing

    def _dependencies(
        self, entries: Sequence[str], target: Target, sources: Sequence[str]
    ) -> list[Path]:
        """Fetch the locked wheels once for every release that needs the same ones."""
        text = "\n".join(entries) + "\n"
        key = hashlib.sha256(f"{target.name}\n{text}".encode()).hexdigest()[:16]
        folder = self.cache / "locked" / f"{target.tag}-{key}"
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.cache, prefix=".fetch-") as work:
                fetched = Path(work) / "wheels"
                fetched.mkdir()
                built = [entry for entry in entries if project_name(entry) in sources]
                ready = [entry for entry in entries if entry not in built]
                requirements = Path(work) / "requirements.txt"
                requirements.write_text("\n".join(ready) + "\n")
                self._run(download_command(target, requirements, fetched))
                if built:
                    self._build_sources(built, Path(work), fetched)
                fetched.rename(folder)
        wheels = sorted(folder.glob("*.whl"))
        hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in wheels}
        check_wheels(hashes, entries, sources, folder)
        return wheels

    def _build_sources(self, entries: Sequence[str], work: Path, fetched: Path) -> None:
        """Make wheels that fit every host, or none: a compiler's work fits the controller alone."""
        requirements, wheels = work / "sources.txt", work / "built"
        requirements.write_text("\n".join(entries) + "\n")
        wheels.mkdir()
        self._run(build_command(requirements, wheels))
        for wheel in sorted(wheels.glob("*.whl")):
            if not wheel.name.endswith("-none-any.whl"):
                raise WheelhouseError(
                    f"{wheel.name} was compiled for the controller: it must be published as a wheel"
                )
            wheel.rename(fetched / wheel.name)

    def _build_project(self, project: Path, dest: Path) -> None:
        self._run([
            sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
            "--no-deps", f"--wheel-dir={dest}", str(project),
        ])  # fmt: skip

    def _run(self, command: list[str]) -> None:
        status, output, errors = self.run_command(command)
        if status == 0:
            return
        said = (errors.strip() or output.strip()).splitlines()
        if any("No module named pip" in line for line in said):
            raise WheelhouseError(f"{sys.executable} has no pip: install it in that environment")
        raise WheelhouseError(
            f"'{' '.join(command[1:4])}' failed with status {status}: " + "\n".join(said[-8:])
        )

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Let one process at a time make archives of a name: hosts of a play ask all at once."""
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            lock = (self.cache / f".{name}.lock").open("w")
        except OSError as error:
            raise WheelhouseError(
                f"cannot write the cache {self.cache}: {error.strerror}; set RESEARCH_CACHE to a"
                " folder that you may write"
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _forget_old(self, name: str, target: Target) -> None:
        """Remove all but the newest archives, and what interrupted runs left."""
        archives = self.cache.glob(f"{name}-*-{target.name}.tar")
        newest_first = sorted(archives, key=lambda path: path.stat().st_mtime, reverse=True)
        for path in newest_first[KEPT_ARCHIVES:]:
            path.unlink(missing_ok=True)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise WheelhouseError(f"cannot read {path}: {error.strerror}") from error


def _write_tar(archive: Path, wheels: Sequence[Path]) -> None:
    """Write an uncompressed tar (wheels are compressed), whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=archive.parent, prefix=".archive-")
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w") as tar:
            for wheel in wheels:
                tar.add(wheel, arcname=wheel.name, filter=_anonymous)
        unfinished.chmod(0o644)
        unfinished.replace(archive)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _tar_hashes(archive: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in an archive by its name."""
    try:
        with tarfile.open(archive) as tar:
            return {
                member.name: hashlib.sha256(stream.read()).hexdigest()
                for member in tar
                if (stream := tar.extractfile(member))
            }
    except (tarfile.TarError, OSError) as error:
        raise WheelhouseError(f"cannot read {archive}, remove it: {error}") from error


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
