"""Compare, validate and atomically replace a set of files."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.file_manifest import (
    Entries,
    Entry,
    Manifest,
    announced,
    settled,
    stale,
    write_private,
)

RunCommand = Callable[[list[str]], tuple[int, str, str]]
SECRET_NOTE = "(the content of a secret file is not shown)\n"


class FileTreeError(Exception):
    """A file cannot be written as asked; the message names it and says why."""


@dataclass(frozen=True)
class WantedFile:
    """One file as it should be."""

    path: Path
    content: bytes
    mode: int
    owner: str | None = None
    group: str | None = None
    validate: str | None = None
    secret: bool = False

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> WantedFile:
        """Build from the module's parameters.

        :param params: path, content, mode (octal text), owner, group, validate, secret
        :raises FileTreeError: where the mode is not octal or the path not absolute
        """
        path = Path(params["path"])
        if not path.is_absolute():
            raise FileTreeError(f"{path} is not an absolute path")
        try:
            mode = int(params["mode"], 8)
        except ValueError:
            raise FileTreeError(
                f"{path}: mode {params['mode']!r} is not octal, write for instance '0644'"
            ) from None
        return cls(
            path=path,
            content=params["content"].encode(),
            mode=mode,
            owner=params.get("owner"),
            group=params.get("group"),
            validate=params.get("validate"),
            secret=bool(params.get("secret")),
        )


@dataclass(frozen=True)
class Change:
    """What is different about one file."""

    path: str
    diff: dict[str, str]


@dataclass(frozen=True)
class Tree:
    """A tree of templates, whose files are removed when it does not render them any more."""

    name: str
    manifest: Manifest
    # Paths that it has templates for, and does not render on this host.
    excluded: Sequence[str] = ()

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Tree | None:
        """Build from the module's parameters; None where the files have no tree.

        :param params: tree, manifest, excluded
        """
        if not params["tree"]:
            return None
        return cls(params["tree"], Manifest(Path(params["manifest"])), tuple(params["excluded"]))

    def stale(self, files: Sequence[WantedFile]) -> dict[str, Entry]:
        """Return the files that it made once and does not want any more.

        :param files: all that it wants
        :raises FileTreeError: where the manifest is damaged
        """
        wanted = [str(file.path) for file in files]
        return stale(self._entries(), self.name, wanted, self.excluded, _content)

    @contextlib.contextmanager
    def recorded(
        self, changing: Sequence[WantedFile], files: Sequence[WantedFile]
    ) -> Iterator[None]:
        """Announce files in the manifest, and settle them once the block has written them.

        :param changing: the files whose content will be written
        :param files: all that the tree wants
        """
        entries = self._entries()
        for path, entry in entries.items():
            if entry.tree == self.name and entry.pending:
                _temporary(Path(path).resolve()).unlink(missing_ok=True)
        writes = {str(file.path): (file.content, file.secret) for file in changing}
        entries = announced(entries, self.name, writes)
        self.manifest.write(entries)
        yield
        wanted = {str(file.path): file.secret for file in files}
        self.manifest.write(settled(entries, self.name, wanted))

    def _entries(self) -> Entries:
        try:
            return self.manifest.read()
        except ValueError as error:
            raise FileTreeError(str(error)) from None


class TreeWriter:
    """Writes files, or with ``check_mode`` only says which would change."""

    def __init__(self, run_command: RunCommand, check_mode: bool, directory_mode: int) -> None:
        self._run = run_command
        self._check_mode = check_mode
        self._directory_mode = directory_mode

    def write(self, files: Sequence[WantedFile], tree: Tree | None = None) -> list[Change]:
        """Bring all files to their wanted state, or none of them.

        :param files: the files, in any order
        :param tree: what renders them; without, nothing is remembered and nothing removed
        :return: the changes made (in check mode: that would be made)
        :raises FileTreeError: where a validator refuses, an owner does not exist, or the
            manifest is damaged
        """
        changes: list[Change] = []
        staged: list[WantedFile] = []
        attributes: list[WantedFile] = []
        with tempfile.TemporaryDirectory(prefix="file_tree-") as folder:
            for number, wanted in enumerate(files):
                change = self._compare(wanted)
                if change is None:
                    continue
                changes.append(change)
                if self._content_differs(wanted):
                    draft = Path(folder) / f"{number}-{wanted.path.name}"
                    self._validate(wanted, write_private(draft, wanted.content))
                    staged.append(wanted)
                else:
                    attributes.append(wanted)
        unwanted = self._unwanted(files, tree)
        changes += [self._removal(path, entry) for path, entry in unwanted.items()]
        if self._check_mode:
            return changes
        with tree.recorded(staged, files) if tree else contextlib.nullcontext():
            for wanted in staged:
                self._replace(wanted)
            for wanted in attributes:
                self._set_attributes(wanted, wanted.path)
            for path in unwanted:
                Path(path).unlink(missing_ok=True)
        return changes

    def _unwanted(self, files: Sequence[WantedFile], tree: Tree | None) -> dict[str, Entry]:
        found = tree.stale(files) if tree else {}
        # A file of a package was there before us, and dpkg would miss it.
        return {path: e for path, e in found.items() if self._run(["dpkg-query", "-S", path])[0]}

    @staticmethod
    def _removal(path: str, entry: Entry) -> Change:
        before = SECRET_NOTE if entry.secret else Path(path).read_bytes().decode(errors="replace")
        return Change(
            path,
            {"before_header": path, "after_header": path, "before": before, "after": ""},
        )

    def _compare(self, wanted: WantedFile) -> Change | None:
        path = wanted.path
        if path.is_dir():
            raise FileTreeError(f"{path} is a directory, a file is wanted there")
        old = path.read_bytes() if path.exists() else None
        uid, gid = self._ids(wanted)
        if old == wanted.content and not self._attributes_differ(wanted, uid, gid):
            return None
        diff = {"before_header": str(path), "after_header": str(path)}
        if wanted.secret:
            diff |= {
                "before": "" if old is None else SECRET_NOTE,
                "after": "changed " + SECRET_NOTE,
            }
        elif old == wanted.content:
            diff |= {"before": self._attribute_text(path), "after": self._wanted_text(wanted)}
        else:
            diff |= {
                "before": (old or b"").decode(errors="replace"),
                "after": wanted.content.decode(errors="replace"),
            }
        return Change(path=str(path), diff=diff)

    @staticmethod
    def _content_differs(wanted: WantedFile) -> bool:
        return not wanted.path.exists() or wanted.path.read_bytes() != wanted.content

    @staticmethod
    def _attributes_differ(wanted: WantedFile, uid: int | None, gid: int | None) -> bool:
        status = wanted.path.stat()
        return (
            stat.S_IMODE(status.st_mode) != wanted.mode
            or (uid is not None and status.st_uid != uid)
            or (gid is not None and status.st_gid != gid)
        )

    @staticmethod
    def _attribute_text(path: Path) -> str:
        status = path.stat()
        return f"mode {stat.S_IMODE(status.st_mode):04o} uid {status.st_uid} gid {status.st_gid}\n"

    def _wanted_text(self, wanted: WantedFile) -> str:
        status = wanted.path.stat()
        uid, gid = self._ids(wanted)
        uid = status.st_uid if uid is None else uid
        gid = status.st_gid if gid is None else gid
        return f"mode {wanted.mode:04o} uid {uid} gid {gid}\n"

    def _ids(self, wanted: WantedFile) -> tuple[int | None, int | None]:
        """Return (uid, gid); -1 stands for one that will exist only after the real run."""
        uid = gid = None
        try:
            if wanted.owner is not None:
                uid = pwd.getpwnam(wanted.owner).pw_uid
            if wanted.group is not None:
                gid = grp.getgrnam(wanted.group).gr_gid
        except KeyError as error:
            if not self._check_mode:
                raise FileTreeError(f"{wanted.path}: {error.args[0]}") from None
            return -1, -1
        return uid, gid

    def _validate(self, wanted: WantedFile, draft: Path) -> None:
        if wanted.validate is None:
            return
        try:
            refused = refusal(str(wanted.path), wanted.validate, draft, self._run)
        except FileNotFoundError as error:
            if self._check_mode:
                return
            raise FileTreeError(f"{wanted.path}: {error}") from None
        if refused:
            raise FileTreeError(refused)

    def _replace(self, wanted: WantedFile) -> None:
        self._make_directory(wanted.path.parent)
        # Through a link (/etc/alternatives, sites-enabled) the file behind it is what changes.
        target = wanted.path.resolve()
        temporary = write_private(_temporary(target), wanted.content)
        if target.exists():
            status = target.stat()
            os.chown(temporary, status.st_uid, status.st_gid)
        self._set_attributes(wanted, temporary)
        temporary.replace(target)

    def _make_directory(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_directory(folder.parent)
        # Never wider than asked for, not even before the umask's part is added.
        folder.mkdir(mode=self._directory_mode & 0o700)
        folder.chmod(self._directory_mode)

    def _set_attributes(self, wanted: WantedFile, path: Path) -> None:
        uid, gid = self._ids(wanted)
        os.chown(path, -1 if uid is None else uid, -1 if gid is None else gid)
        path.chmod(wanted.mode)


def refusal(name: str, validate: str, draft: Path, run_command: RunCommand) -> str:
    """Return what a validator has to say against a file; nothing where it accepts it.

    :param name: what the file is called in the answer
    :param validate: the command, with %s for the draft
    :param draft: where the new content lies
    :raises FileNotFoundError: where the validator is not installed; the message names it
    """
    if "%s" not in validate:
        return f"{name}: validate lacks %s: {validate}"
    command = [part.replace("%s", str(draft)) for part in shlex.split(validate)]
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise FileNotFoundError(f"the validator {command[0]} is not installed")
    code, out, err = run_command([program, *command[1:]])
    if code == 0:
        return ""
    said = (err.strip() or out.strip()).replace(str(draft), name)
    return f"{name} was not changed, {command[0]} refuses it: {said}"


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.file_tree")


def _content(path: str) -> bytes | None:
    """Return what a regular file holds; None for what is no file, or not any more."""
    try:
        if not stat.S_ISREG(Path(path).lstat().st_mode):
            return None
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
