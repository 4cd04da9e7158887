"""A directory on a shared or local disk that a service must be able to write to."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MODE = 0o750
PROBE = "import os, sys; sys.exit(0 if os.access(sys.argv[1], os.R_OK | os.W_OK | os.X_OK) else 1)"


class DirectoryError(Exception):
    """The service cannot use the directory; the message says why in one sentence."""


@dataclass(frozen=True)
class Found:
    """A directory as it is, and whether the service's user can use it."""

    kind: str = "absent"  # absent, directory or other
    owner: str = ""
    mode: int = 0
    empty: bool = False
    usable: bool = False


def look(path: Path, user: str) -> Found:
    """Look at a directory."""
    if not path.exists():
        return Found()
    status = path.stat()
    if not path.is_dir():
        return Found("other")
    return Found(
        "directory",
        owner_name(status.st_uid),
        stat.S_IMODE(status.st_mode),
        not any(path.iterdir()),
        usable(path, user),
    )


def owner_name(number: int) -> str:
    """Return a user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def usable(path: Path, user: str) -> bool:
    """Say whether a user can list a directory and write to it, asked as that user.

    Where the user is still to be made, in check mode on a blank host, nothing speaks against it.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return True
    groups = [group.gr_gid for group in grp.getgrall() if user in group.gr_mem]
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE, str(path)],
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=groups,
        cwd="/",
        check=False,
    )
    return done.returncode == 0


def decide(path: str, found: Found, user: str) -> str:
    """Say what is to be done: create, give or nothing.

    :raises DirectoryError: where the directory is somebody else's
    """
    if found.kind == "absent":
        return "create"
    if found.kind == "other":
        raise DirectoryError(f"{path} is not a directory")
    if found.usable:
        return "nothing"
    # The mount point of a new disk or share, which nobody uses yet.
    if found.empty and found.owner == "root":
        return "give"
    raise DirectoryError(
        f"{user} cannot write to {path}, which is {found.owner}'s with mode {found.mode:04o}: "
        f"let {user} write there, on a share with the same uid on every host"
    )


def carry_out(path: Path, user: str) -> None:
    """Create a directory for a user, or give it to the user.

    :raises DirectoryError: where that is not possible, or not enough
    """
    try:
        entry = pwd.getpwnam(user)
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(MODE)
        os.chown(path, entry.pw_uid, entry.pw_gid)
    except (OSError, KeyError) as error:
        raise DirectoryError(f"{path} cannot be given to {user}: {error}") from error
    if not usable(path, user):
        raise DirectoryError(f"{user} cannot write to {path} although it is the owner")
