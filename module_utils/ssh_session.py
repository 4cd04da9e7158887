"""The ssh connection that a process descends from, and whether sshd would let its user in again."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from pathlib import Path


@dataclass(frozen=True)
class Session:
    """Who is connected, from where, and to which port of this host."""

    user: str
    client: str
    port: int
    address: str = ""  # of this host, as the client sees it


@dataclass(frozen=True)
class LoginRules:
    """Settings of sshd that decide who may log in, empty lists being no restriction."""

    password_login: bool
    root_login: str
    allow_users: Sequence[str]
    allow_groups: Sequence[str]


def find_session(pid: int, proc: Path = Path("/proc")) -> Session | None:
    """Return the ssh connection that a process descends from, None where it is from no ssh.

    sudo drops SSH_CONNECTION from the environment, so the ancestors' environments are read.

    :param pid: the process to begin with
    :param proc: where /proc is
    """
    while pid > 1:
        with contextlib.suppress(OSError, ValueError):
            raw = (proc / str(pid) / "environ").read_bytes().decode(errors="replace")
            environment = dict(item.split("=", 1) for item in raw.split("\0") if "=" in item)
            if "SSH_CONNECTION" in environment:
                client, _, address, port = environment["SSH_CONNECTION"].split()
                user = environment.get("SUDO_USER") or environment.get("LOGNAME", "")
                return Session(user, client, int(port), address)
        try:
            # The name before the fields, in parentheses, may hold spaces.
            pid = int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return None
    return None


def lockout_reason(
    rules: LoginRules, session: Session, groups: Sequence[str], has_keys: bool
) -> str | None:
    """Say why the user of a session could not log in again, None where they could.

    :param rules: the settings that are to be
    :param session: the session
    :param groups: the groups of its user
    :param has_keys: whether its user has keys to log in with
    """
    user = session.user
    if user == "root" and rules.root_login == "no":
        return "base_ssh_root_login is 'no' and this run is connected as root"
    if not rules.password_login and not has_keys:
        return (
            f"base_ssh_password_login is false and {user}, as whom this run is connected, "
            "has no authorized_keys"
        )
    if rules.allow_users and not _any_match(rules.allow_users, user, session.client):
        return (
            f"base_ssh_allow_users ({', '.join(rules.allow_users)}) leaves out {user}, "
            "as whom this run is connected"
        )
    if rules.allow_groups and not any(
        fnmatchcase(group, pattern) for group in groups for pattern in rules.allow_groups
    ):
        return (
            f"base_ssh_allow_groups ({', '.join(rules.allow_groups)}) has none of the groups of "
            f"{user}, as whom this run is connected: {', '.join(groups)}"
        )
    return None


def _any_match(patterns: Sequence[str], user: str, client: str) -> bool:
    return any(matches_user(pattern, user, client) for pattern in patterns)


def matches_user(pattern: str, user: str, client: str) -> bool:
    """Return whether one of AllowUsers' patterns means a user from an address."""
    name, _, origin = pattern.partition("@")
    if not fnmatchcase(user, name):
        return False
    if not origin or fnmatchcase(client, origin):
        return True
    # A host name stays unresolved here: what cannot be seen to let the user in, does not.
    with contextlib.suppress(ValueError):
        return ip_address(client) in ip_network(origin, strict=False)
    return False
