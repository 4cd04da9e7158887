"""Which files of a host this project made, so that it can remove those that it no longer makes.

One manifest a host: path -> the tree (of templates) that rendered it. A path is announced with the
hash of its content before it is written, so that a run that is killed between the two leaves no
file that nobody knows, and does not take a stranger's file for its own.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

# What our templates begin with, or are named for: on a host whose manifest is still to be made, a
# file that shows neither may be a stranger's.
MARKS = (b"Managed by Ansible", b"Written by Ansible", b"Made by the role")
OWN_NAME = "research"


@dataclass(frozen=True)
class Entry:
    """One file that was made, or is about to be."""

    tree: str
    secret: bool
    # SHA-256 of what is about to be written; empty once it is there.
    pending: str = ""


Entries = Mapping[str, Entry]


def digest(content: bytes) -> str:
    """Return the SHA-256 of a content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def announced(entries: Entries, tree: str, writes: Mapping[str, tuple[bytes, bool]]) -> Entries:
    """Return the manifest as it has to be before files are written.

    :param entries: the manifest as it is
    :param tree: the tree that is rendered
    :param writes: path -> content that will be written, and whether it is secret
    """
    new = {
        path: Entry(tree, secret, digest(content))
        for path, (content, secret) in writes.items()
        # What was ours before stays ours, whatever becomes of this write.
        if path not in entries or entries[path].pending
    }
    return {**entries, **new}


def settled(entries: Entries, tree: str, wanted: Mapping[str, bool]) -> Entries:
    """Return the manifest as it has to be once all is written and removed.

    :param entries: the manifest as it is
    :param tree: the tree that was rendered
    :param wanted: path -> whether it is secret, of all files of the tree
    """
    others = {path: entry for path, entry in entries.items() if entry.tree != tree}
    return {**others, **{path: Entry(tree, secret) for path, secret in wanted.items()}}


def stale(
    entries: Entries,
    tree: str,
    wanted: Iterable[str],
    excluded: Iterable[str],
    read: Callable[[str], bytes | None],
) -> dict[str, Entry]:
    """Return the files that the tree made once and does not want any more.

    :param entries: the manifest as it is
    :param tree: the tree that is rendered
    :param wanted: paths of all its files
    :param excluded: paths that it has templates for and does not render on this host
    :param read: gives the content of a regular file, None where there is none
    """
    keep = set(wanted)
    own = {path: entry for path, entry in entries.items() if entry.tree == tree}
    if not own:
        # The first run with a manifest: an earlier version may have made them.
        own = {
            path: Entry(tree, secret=True)
            for path in excluded
            if path not in entries and _looks_ours(path, read(path))
        }
    return {path: e for path, e in own.items() if path not in keep and _was_written(e, read(path))}


def _looks_ours(path: str, content: bytes | None) -> bool:
    if content is None:
        return False
    return OWN_NAME in path or any(mark in content[:200] for mark in MARKS)


def _was_written(entry: Entry, content: bytes | None) -> bool:
    if content is None:
        return False
    return not entry.pending or entry.pending == digest(content)


class Manifest:
    """The manifest of a host, in a file that only root reads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Entries:
        """Return the entries, none where there is no manifest yet.

        :raises ValueError: where the file is none that this code wrote
        """
        if not self._path.exists():
            return {}
        try:
            return {
                path: Entry(**entry) for path, entry in json.loads(self._path.read_text()).items()
            }
        except (AttributeError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{self._path} is damaged ({error}): delete it, it is made anew"
            ) from None

    def write(self, entries: Entries) -> None:
        """Replace the entries, where they differ."""
        if entries == self.read():
            return
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        text = json.dumps(
            {path: asdict(entry) for path, entry in sorted(entries.items())}, indent=0
        )
        write_private(self._path.with_name(f".{self._path.name}.new"), text.encode()).replace(
            self._path
        )


def write_private(path: Path, content: bytes) -> Path:
    """Make a file that its owner alone can read, from its first moment on.

    :param path: the file; what an interrupted run left there is replaced
    :param content: what to write
    :return: the path
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return path
