"""Whether the user that Ansible connects as could log in again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ssh_session import LoginRules, Session, find_session, lockout_reason

DEPLOY = Session("deploy", "10.0.0.7", 22, "10.0.0.1")
ROOT = Session("root", "10.0.0.7", 22)


def process(proc: Path, pid: int, parent: int, *environment: str) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "environ").write_text("\0".join(environment) + "\0")
    (proc / str(pid) / "stat").write_text(f"{pid} (sh (a b) c) S {parent} 1 1 0")


def test_the_session_is_found_behind_sudo(tmp_path: Path) -> None:
    process(tmp_path, 40, 30, "LOGNAME=root", "SUDO_USER=deploy")
    process(tmp_path, 30, 20, "LOGNAME=root")
    process(tmp_path, 20, 1, "LOGNAME=deploy", "SSH_CONNECTION=10.0.0.7 51000 10.0.0.1 2222")
    assert find_session(40, tmp_path) == Session("deploy", "10.0.0.7", 2222, "10.0.0.1")


def test_sudo_that_keeps_the_connection_is_seen_through(tmp_path: Path) -> None:
    process(
        tmp_path, 40, 1, "LOGNAME=root", "SUDO_USER=deploy", "SSH_CONNECTION=10.0.0.7 5 10.0.0.1 22"
    )
    assert find_session(40, tmp_path) == DEPLOY


def test_where_no_ssh_leads_there_is_no_session(tmp_path: Path) -> None:
    process(tmp_path, 40, 30, "LOGNAME=root")
    process(tmp_path, 30, 0, "SSH_CONNECTION=nonsense")
    assert find_session(40, tmp_path) is None
    assert find_session(99, tmp_path) is None


@pytest.mark.parametrize(
    ("settings", "session", "keys", "reason"),
    [
        ({}, DEPLOY, True, None),
        ({}, ROOT, True, None),
        ({}, DEPLOY, False, "deploy, as whom this run is connected, has no authorized_keys"),
        ({"password_login": True}, DEPLOY, False, None),
        ({"root_login": "no"}, DEPLOY, True, None),
        ({"root_login": "no"}, ROOT, True, "base_ssh_root_login is 'no'"),
        ({"allow_users": ["deploy"]}, DEPLOY, True, None),
        ({"allow_users": ["dep*", "x"]}, DEPLOY, True, None),
        ({"allow_users": ["deploy@10.0.0.0/24"]}, DEPLOY, True, None),
        ({"allow_users": ["deploy@10.0.0.*"]}, DEPLOY, True, None),
        ({"allow_users": ["deploy@10.9.0.0/24"]}, DEPLOY, True, "leaves out deploy"),
        ({"allow_users": ["deploy@host.example.org"]}, DEPLOY, True, "leaves out deploy"),
        ({"allow_users": ["admin"]}, DEPLOY, True, "base_ssh_allow_users (admin) leaves out"),
        ({"allow_groups": ["sudo"]}, DEPLOY, True, None),
        ({"allow_groups": ["admins"]}, DEPLOY, True, "base_ssh_allow_groups (admins) has none"),
        ({"allow_users": ["deploy"], "allow_groups": ["x"]}, DEPLOY, True, "base_ssh_allow_groups"),
    ],
)
def test_lockout(
    settings: dict[str, Any], session: Session, keys: bool, reason: str | None
) -> None:
    defaults = {"password_login": False, "root_login": "prohibit-password"}
    rules = LoginRules(**{**defaults, "allow_users": [], "allow_groups": [], **settings})
    found = lockout_reason(rules, session, ["deploy", "sudo"], keys)
    if reason is None:
        assert found is None
    else:
        assert found and reason in found
