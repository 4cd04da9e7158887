"""Generations of a service: everything that decides how it runs, in folders beside each other.

A generation is a folder ROOT/generations/ID of configuration, secrets, certificates, units and
links to releases; ID is a hash of all of it. The service runs ROOT/current, a link to one of them.
Units and commands are links from their usual places into ROOT/current, so that the one step that
replaces ROOT/current changes everything at once, and until then nothing: neither for the running
process, nor for one that starts anew after a crash or a reboot. A unit notes at its start which
generation that was (RUNNING).
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import os
import pwd
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ansible.module_utils.file_manifest import write_private
from ansible.module_utils.file_tree import SECRET_NOTE, RunCommand, refusal

# Where each unit keeps, as a link, which generation it was started with; empty after a reboot.
RUNNING = Path("/run/research-generations")
MANIFEST = "generation.json"
# What an earlier version, which had no generations, left in the usual places.
EARLIER = "of-before"


class GenerationError(Exception):
    """A generation cannot be made or chosen; the message names what is wrong."""


@dataclass(frozen=True)
class File:
    """One file of a generation: its path below it, and what it shall be."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = False
    validate: str | None = None

    @classmethod
    def copied(cls, path: str, source: Path, *, secret: bool = True) -> File:
        """Return a file as it stands elsewhere on the host, with its owner, group and mode."""
        status = source.stat()
        return cls(
            path,
            source.read_bytes(),
            stat.S_IMODE(status.st_mode),
            pwd.getpwuid(status.st_uid).pw_name,
            grp.getgrgid(status.st_gid).gr_name,
            secret,
        )

    def entry(self) -> dict[str, Any]:
        """Return what the manifest remembers of it."""
        return {
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "mode": f"{self.mode:04o}",
            "owner": self.owner,
            "group": self.group,
            "secret": self.secret,
        }


@dataclass(frozen=True)
class Wanted:
    """A generation as the inventory renders it.

    `links` are links inside (path -> target, a release for instance); `places` are the paths
    outside that lead into the current generation (path -> path inside, or an absolute target).
    """

    files: Sequence[File]
    links: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """Return what decides the name of the generation, in the order that the name is made of."""
        return {
            "files": {file.path: file.entry() for file in sorted(self.files, key=lambda f: f.path)},
            "links": dict(sorted(self.links.items())),
            "places": dict(sorted(self.places.items())),
        }

    @property
    def name(self) -> str:
        """The first twelve digits of the hash of everything in it."""
        return _name(self.manifest())


@dataclass(frozen=True)
class UnitState:
    """What systemd says of a unit, and which generation it was started with ("": unknown)."""

    running: bool
    needs_reload: bool
    generation: str


class Generations:
    """The generations of one service on this host."""

    def __init__(self, root: Path, run_command: RunCommand, running: Path = RUNNING) -> None:
        self.root = root
        self.run_command = run_command
        self._running = running

    def folder(self, name: str) -> Path:
        """Return the folder of a generation."""
        return self.root / "generations" / name

    def linked(self, link: str) -> str:
        """Name the generation that `current` or `previous` leads to; empty where none does."""
        try:
            name = (self.root / link).readlink().name
        except OSError:
            return ""
        return name if (self.folder(name) / MANIFEST).is_file() else ""

    def manifest(self, name: str) -> dict[str, Any] | None:
        """Return what a generation is made of; None where it is not there, or that is damaged."""
        try:
            found = json.loads((self.folder(name) / MANIFEST).read_text())
        except (OSError, ValueError):
            return None
        sound = isinstance(found, dict) and name in {_name(found), EARLIER}
        return found if sound else None

    def drift(self, name: str) -> list[str]:
        """Return the paths of a generation that are not what its manifest says, sorted."""
        manifest = self.manifest(name)
        if manifest is None:
            return []
        folder = self.folder(name)
        wrong = {
            path for path, entry in manifest["files"].items() if _differs(folder / path, entry)
        }
        wrong |= {path for path, to in manifest["links"].items() if _target(folder / path) != to}
        known = {*manifest["files"], *manifest["links"], MANIFEST}
        for path in folder.rglob("*"):
            if path.is_symlink() or not path.is_dir():
                name_inside = str(path.relative_to(folder))
                if name_inside not in known:
                    wrong.add(name_inside)
        return sorted(wrong)

    def misplaced(self, name: str) -> list[str]:
        """Return the places outside that do not lead into the current generation, sorted."""
        places = (self.manifest(name) or {}).get("places", {})
        return sorted(path for path, to in places.items() if _target(Path(path)) != self._to(to))

    def stage(self, wanted: Wanted, units: Mapping[str, Sequence[str]] | None = None) -> None:
        """Make a generation beside the others, or make it whole again. Nothing that runs changes.

        :param units: the units that run it, and patterns of the paths that each of them reads
        :raises GenerationError: where a validator refuses a file, or an owner does not exist
        """
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "generations").mkdir(mode=0o755, exist_ok=True)
        fresh = self.folder(f".{wanted.name}")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            self._fill(fresh, wanted)
            for file in wanted.files:
                self._validate(file, fresh / file.path)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        self._put(fresh, wanted.name, units or {})

    def _fill(self, folder: Path, wanted: Wanted) -> None:
        folder.mkdir(mode=0o700)
        for file in wanted.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            write_private(path, file.content)
            os.chown(path, _user(file), _group(file))
            path.chmod(file.mode)
        for name, target in wanted.links.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            (folder / name).symlink_to(target)
        for path in [folder, *(each for each in folder.rglob("*") if each.is_dir())]:
            path.chmod(0o755)
        # The manifest vouches for the rest, so it reaches the disk last.
        os.sync()
        write_private(folder / MANIFEST, json.dumps(wanted.manifest(), indent=1).encode())

    def _put(self, fresh: Path, name: str, units: Mapping[str, Sequence[str]]) -> None:
        """Give a new folder its name. One that is there and damaged goes, file by file."""
        if not self.folder(name).exists():
            fresh.replace(self.folder(name))
            return
        # A process may read from it, so it is never away: each file is replaced where it stands.
        # Who may have been started with what was damaged is to be started again.
        damaged = self.drift(name)
        for unit, patterns in units.items():
            if any(_matches(path, patterns) for path in damaged):
                (self._running / unit).unlink(missing_ok=True)
        for path in damaged:
            target = self.folder(name) / path
            if (fresh / path).is_symlink() or (fresh / path).exists():
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
                (fresh / path).replace(target)
            else:
                target.unlink()
        (fresh / MANIFEST).replace(self.folder(name) / MANIFEST)
        shutil.rmtree(fresh)

    def _validate(self, file: File, path: Path) -> None:
        if file.validate is None:
            return
        try:
            refused = refusal(file.path, file.validate, path, self.run_command)
        except FileNotFoundError as error:
            raise GenerationError(f"{file.path}: {error}") from None
        if refused:
            raise GenerationError(refused)

    def choose(self, name: str) -> None:
        """Make a generation the current one, in one step, and let systemd read its units.

        :raises GenerationError: where it is not there, or not whole
        """
        manifest = self.manifest(name)
        if manifest is None:
            raise GenerationError(f"{self.folder(name)} is no generation: it cannot be chosen")
        if wrong := self.drift(name):
            raise GenerationError(
                f"{self.folder(name)} is damaged, {wrong[0]} is not as it was made"
            )
        before = self.linked("current")
        if not before:
            before = self._adopt(manifest["places"])
        if before and before != name:
            _link(self.root / "previous", f"generations/{before}")
        _link(self.root / "current", f"generations/{name}")
        for path, to in manifest["places"].items():
            if _target(Path(path)) != self._to(to):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                _link(Path(path), self._to(to))
        for path, to in ((self.manifest(before) or {}).get("places", {})).items():
            if path not in manifest["places"] and _target(Path(path)) == self._to(to):
                Path(path).unlink()
        code, _, errors = self.run_command(["systemctl", "daemon-reload"])
        if code != 0:
            raise GenerationError(f"systemctl daemon-reload: {errors.strip()}")

    def _adopt(self, places: Mapping[str, str]) -> str:
        """Keep what stands in the places of a host without generations, to go back to."""
        files = [File.copied(to, Path(path)) for path, to in places.items() if _is_file(Path(path))]
        if not files:
            return ""
        # Links between places (what is started at boot) are the same for both.
        kept = {file.path for file in files} | {to for to in places.values() if _outside(to)}
        earlier = Wanted(files, {}, {path: to for path, to in places.items() if to in kept})
        fresh = self.folder(f".{EARLIER}")
        for folder in (fresh, self.folder(EARLIER)):
            shutil.rmtree(folder, ignore_errors=True)
        self._fill(fresh, earlier)
        fresh.replace(self.folder(EARLIER))
        return EARLIER

    def _to(self, inside: str) -> str:
        return inside if _outside(inside) else str(self.root / "current" / inside)

    def installed(self) -> list[str]:
        """Name the generations, the newest first."""
        made = (self.root / "generations").glob(f"*/{MANIFEST}")
        newest = sorted(made, key=lambda path: path.stat().st_mtime, reverse=True)
        return [path.parent.name for path in newest if not path.parent.name.startswith(".")]

    def targets(self) -> list[str]:
        """Return what the links inside of all generations lead to, sorted."""
        manifests = [self.manifest(name) for name in self.installed()]
        return sorted({to for each in manifests if each for to in each["links"].values()})

    def prune(self, keep: int) -> list[str]:
        """Remove old generations, and what an interrupted run left; return their names.

        The current one, the one before it and those that a unit runs stay in any case.

        :param keep: how many of the newest stay
        """
        stay = {self.linked("current"), self.linked("previous"), *self.installed()[:keep]}
        stay |= {_target(record).rpartition("/")[2] for record in self._records()}
        folder = self.root / "generations"
        every = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        gone = sorted(name for name in every if name not in stay)
        for name in gone:
            (self.folder(name) / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(self.folder(name))
        return gone

    def _records(self) -> list[Path]:
        return list(self._running.iterdir()) if self._running.is_dir() else []

    def states(self, units: Iterable[str]) -> dict[str, UnitState]:
        """Ask systemd about units.

        :raises GenerationError: where it cannot be asked
        """
        names = list(units)
        if not names:
            return {}
        properties = "--property=ActiveState,NeedDaemonReload"
        code, out, err = self.run_command(["systemctl", "show", properties, "--", *names])
        blocks = [dict(_pairs(block)) for block in out.strip().split("\n\n")]
        if code != 0 or len(blocks) != len(names) or any("ActiveState" not in b for b in blocks):
            raise GenerationError(f"systemctl show {' '.join(names)}: {err.strip() or out.strip()}")
        return {
            name: UnitState(
                running=block["ActiveState"] in {"active", "reloading"},
                needs_reload=block.get("NeedDaemonReload") == "yes",
                generation=_target(self._running / name).rpartition("/")[2],
            )
            for name, block in zip(names, blocks, strict=True)
        }

    def reasons(
        self, state: UnitState, wanted: Mapping[str, Any], patterns: Sequence[str]
    ) -> list[str]:
        """Say why a unit is to be started or restarted; nothing where it runs what is wanted.

        :param state: what it is doing
        :param wanted: the manifest that it shall run with
        :param patterns: the paths in it that the unit reads
        """
        if not state.running:
            return ["it does not run"]
        if not state.generation:
            return ["it is not known what it was started with"]
        running = self.manifest(state.generation)
        if running is None:
            return [f"the generation {state.generation}, with which it was started, is gone"]
        due = changes(running, wanted, patterns)
        return due + (["its unit has changed"] if state.needs_reload else [])

    def differences(self, wanted: Wanted) -> list[dict[str, str]]:
        """Return a diff for each file that is not as in the current generation."""
        current = self.linked("current")
        old = self.manifest(current) or {"files": {}, "links": {}}
        new = wanted.manifest()
        contents = {file.path: file for file in wanted.files}
        found = []
        for path in sorted({*old["files"], *new["files"]}):
            before, after = old["files"].get(path), new["files"].get(path)
            if before == after:
                continue
            secret = any(entry and entry["secret"] for entry in (before, after))
            found.append({
                "before_header": path,
                "after_header": path,
                "before": _shown(before and _read(self.folder(current) / path), before, secret),
                "after": _shown(after and contents[path].content, after, secret, "changed "),
            })  # fmt: skip
        for path in sorted({*old["links"], *new["links"]}):
            before, after = old["links"].get(path), new["links"].get(path)
            if before != after:
                texts = {"before": f"-> {before}\n" if before else "", "after": f"-> {after}\n"}
                found.append({"before_header": path, "after_header": path, **texts})
        return found


def changes(old: Mapping[str, Any], new: Mapping[str, Any], patterns: Sequence[str]) -> list[str]:
    """Say what is different between two manifests, of the paths that match the patterns."""
    said = []
    paths = {*old["files"], *old["links"], *new["files"], *new["links"]}
    for path in sorted(paths):
        if not _matches(path, patterns):
            continue
        before = old["files"].get(path) or old["links"].get(path)
        after = new["files"].get(path) or new["links"].get(path)
        if before == after:
            continue
        if before is None:
            said.append(f"{path} is new")
        elif after is None:
            said.append(f"{path} is gone")
        elif isinstance(before, str) and isinstance(after, str):
            said.append(f"{path}: {Path(before).name} becomes {Path(after).name}")
        else:
            said.append(f"{path} has changed")
    return said


def _name(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()[:12]


def _outside(target: str) -> bool:
    return target.startswith(("/", "../"))


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


def _shown(content: bytes | None, entry: Any, secret: bool, prefix: str = "") -> str:
    if content is None or not entry:
        return ""
    if secret:
        return prefix + SECRET_NOTE
    rights = f"# {entry['mode']} {entry['owner']}:{entry['group']}\n"
    return rights + content.decode(errors="replace")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, found, value = line.partition("=")
        if found:
            yield name, value


def _target(path: Path) -> str:
    """Return where a link leads; empty for what is none."""
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _link(path: Path, target: str) -> None:
    """Make a link, or replace whatever file is there, in one step."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)


def _differs(path: Path, entry: Mapping[str, Any]) -> bool:
    """Say whether a file is not what its manifest says, or cannot be looked at."""
    with contextlib.suppress(OSError, KeyError):
        status = path.lstat()
        return not (
            stat.S_ISREG(status.st_mode)
            and f"{stat.S_IMODE(status.st_mode):04o}" == entry["mode"]
            and pwd.getpwuid(status.st_uid).pw_name == entry["owner"]
            and grp.getgrgid(status.st_gid).gr_name == entry["group"]
            and hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        )
    return True


def _user(file: File) -> int:
    try:
        return pwd.getpwnam(file.owner).pw_uid
    except KeyError:
        raise GenerationError(f"{file.path}: there is no user {file.owner}") from None


def _group(file: File) -> int:
    try:
        return grp.getgrnam(file.group).gr_gid
    except KeyError:
        raise GenerationError(f"{file.path}: there is no group {file.group}") from None
