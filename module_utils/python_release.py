"""Install releases of a Python environment beside each other and switch between them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RunCommand = Callable[[list[str]], tuple[int, str, str]]

# Written last into a release: without it the folder is what an interrupted run left.
MARKER = ".complete"

# What the host's Python says of itself.
PROBE = """
import json, os, platform, sys
print(json.dumps({
    "python_version": "%d.%d" % sys.version_info[:2],
    "machine": platform.machine(),
    "glibc": os.confstr("CS_GNU_LIBC_VERSION").split()[1],
}))
"""


class PythonReleaseError(Exception):
    """A release cannot be installed or chosen; the message says why."""


@dataclass(frozen=True)
class Python:
    """The host's Python that environments are made from."""

    executable: str
    python_version: str
    machine: str
    glibc: str

    @classmethod
    def probe(cls, executable: str, run_command: RunCommand) -> Python:
        """Ask a Python what it is.

        :param executable: its path
        :param run_command: runs a command, gives (status, output, errors)
        :raises PythonReleaseError: where it does not answer
        """
        status, output, errors = run_command([executable, "-I", "-c", PROBE])
        if status != 0:
            raise PythonReleaseError(f"{executable} does not work: {errors.strip()[-300:]}")
        return cls(executable, **json.loads(output))

    @property
    def tag(self) -> str:
        """The interpreter's tag, C(cp313)."""
        return "cp" + self.python_version.replace(".", "")


def releases_in_use(root: Path, proc: Path = Path("/proc")) -> set[str]:
    """Name the releases that a running process has loaded something from.

    :param root: folder that holds C(releases/)
    :param proc: the process file system
    """
    pattern = re.compile(rf"{re.escape(str(root))}/releases/([^/\s\0]+)/".encode())
    found: set[str] = set()
    for process in proc.iterdir():
        if not process.name.isdigit() or process.name == str(os.getpid()):
            continue
        for name in ("cmdline", "maps"):
            try:
                content = (process / name).read_bytes()
            except OSError:  # it has ended, or is the kernel's
                continue
            found.update(match.decode() for match in pattern.findall(content))
    return found


def to_prune(newest_first: Iterable[str], keep: int, protected: set[str]) -> list[str]:
    """Choose the releases to remove.

    :param newest_first: names of the installed releases
    :param keep: how many of the newest stay
    :param protected: names that stay in any case
    """
    return [name for name in list(newest_first)[keep:] if name not in protected]


class Releases:
    """The releases below one folder, and the link to the one that is current."""

    def __init__(self, root: Path, run_command: RunCommand) -> None:
        """Keep the collaborators.

        :param root: folder that holds C(releases/) and C(current)
        :param run_command: runs a command, gives (status, output, errors)
        """
        self.root = root
        self.run_command = run_command

    def folder(self, release: str) -> Path:
        """Where a release is."""
        return self.root / "releases" / release

    def complete(self, release: str) -> bool:
        """Tell whether a release was installed to the end."""
        return (self.folder(release) / MARKER).is_file()

    def current(self) -> str:
        """Name the current release; empty where there is none."""
        return self._linked("current")

    def previous(self) -> str:
        """Name the release that was current before; empty where there was none, or it is gone."""
        name = self._linked("previous")
        return name if name and self.complete(name) else ""

    def _linked(self, link: str) -> str:
        try:
            return (self.root / link).readlink().name
        except OSError:
            return ""

    def _link(self, link: str, release: str) -> None:
        """Point a link to a release in one step."""
        fresh = self.root / f".{link}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("releases") / release)
        fresh.replace(self.root / link)

    def installed(self) -> list[str]:
        """Name the complete releases, the newest first."""
        markers = (self.root / "releases").glob(f"*/{MARKER}")
        newest_first = sorted(markers, key=lambda path: path.stat().st_mtime, reverse=True)
        return [path.parent.name for path in newest_first]

    def install(
        self, release: str, archive: Path, hashes: Mapping[str, str], python: Python
    ) -> None:
        """Install a release from an archive of wheels, with no package index.

        :param release: its name
        :param archive: tar of wheels, pip's own among them
        :param hashes: SHA-256 of each wheel by its file name; others are not installed
        :param python: the Python to make the environment from
        :raises PythonReleaseError: where a step fails
        """
        if not archive.is_file():
            raise PythonReleaseError(f"there is no archive {archive} to install {release} from")
        os.umask(0o022)  # services read it as their own users
        self.folder(release).parent.mkdir(parents=True, exist_ok=True)
        with self.locked():
            if self.complete(release):
                return
            shutil.rmtree(self.folder(release), ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=self.root, prefix=".wheels-") as wheels:
                _unpack(archive, hashes, Path(wheels))
                self._fill(release, Path(wheels), python)
            # A marker must never reach the disk before what it vouches for.
            os.sync()
            (self.folder(release) / MARKER).write_text(f"{release}\n")

    def _fill(self, release: str, wheels: Path, python: Python) -> None:
        own = str(self.folder(release) / "bin" / "python")
        pip = next(wheels.glob("pip-*.whl"), None)
        if pip is None:
            raise PythonReleaseError("the archive holds no wheel of pip to install the others with")
        others = sorted(str(path) for path in wheels.glob("*.whl") if path != pip)
        self._run([python.executable, "-m", "venv", "--without-pip", str(self.folder(release))])
        self._run([
            own, "-I", f"{pip}/pip", "install", "--quiet", "--no-index", "--no-deps",
            "--no-compile", "--no-cache-dir", "--disable-pip-version-check",
            "--root-user-action=ignore", *others,
        ])  # fmt: skip
        # The service cannot write here, so its modules are compiled now; nobody imports tests.
        library = str(self.folder(release) / "lib")
        self._run([
            own, "-I", "-W", "ignore", "-m", "compileall", "-q", "-x", "/tests?/", library
        ], ok=(0, 1))  # 1: a package ships a file for another Python  # fmt: skip

    def activate(self, release: str) -> None:
        """Make a release the current one, and remember the one before it.

        :param release: its name
        :raises PythonReleaseError: where it is not installed
        """
        if not self.complete(release):
            raise PythonReleaseError(f"{release} is not installed in {self.root}")
        before = self.current()
        if before and before != release:
            self._link("previous", before)
        self._link("current", release)

    def prune(self, keep: int, in_use: Iterable[str] = (), *, remove: bool) -> list[str]:
        """Remove old releases: never the current one or the one before, nor one in use.

        What an interrupted run left goes with them.

        :param keep: how many of the newest stay
        :param in_use: names of releases that stay in any case
        :param remove: false only names them
        """
        folder = self.root / "releases"
        if not folder.is_dir():
            return []
        protected = {self.current(), self.previous(), *in_use} | releases_in_use(self.root)
        with self.locked():
            unfinished = [path.name for path in folder.iterdir() if not self.complete(path.name)]
            outdated = to_prune(self.installed(), keep, protected)
            outdated += to_prune(sorted(unfinished), 0, protected)
            for name in outdated if remove else ():
                (self.folder(name) / MARKER).unlink(missing_ok=True)
                shutil.rmtree(self.folder(name))
        return outdated

    def discard(self, archive: Path) -> None:
        """Remove an archive that was installed, and others that were never used.

        :param archive: the one that was used
        """
        archive.unlink(missing_ok=True)
        if archive.parent == self.root / "incoming":
            shutil.rmtree(archive.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait for an install that an interrupted run may have left running."""
        with (self.root / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _run(self, command: list[str], ok: tuple[int, ...] = (0,)) -> None:
        status, output, errors = self.run_command(command)
        if status not in ok:
            said = (errors.strip() or output.strip())[-800:]
            raise PythonReleaseError(f"'{' '.join(command[:4])} …' failed ({status}): {said}")


def _unpack(archive: Path, hashes: Mapping[str, str], dest: Path) -> None:
    """Unpack the wheels of an archive: plain files with plain names, and those of the hashes alone.

    Nothing of them has run when this returns. pip's own --require-hashes comes too late for pip.
    """
    missing = set(hashes)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if not member.isfile() or not re.fullmatch(r"[\w.+-]+\.whl", member.name):
                    raise PythonReleaseError(f"{archive} holds {member.name!r}, which is no wheel")
                stream = tar.extractfile(member)
                content = stream.read() if stream else b""
                if hashlib.sha256(content).hexdigest() != hashes.get(member.name):
                    raise PythonReleaseError(
                        f"{archive} holds a {member.name} that is not the controller's: nothing of"
                        " it was installed; run the playbook again, which copies it anew"
                    )
                missing.discard(member.name)
                (dest / member.name).write_bytes(content)
    except (tarfile.TarError, OSError) as error:
        raise PythonReleaseError(f"cannot unpack {archive}: {error}") from error
    if missing:
        raise PythonReleaseError(f"{archive} lacks {', '.join(sorted(missing))}")
