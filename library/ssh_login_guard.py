#!/usr/bin/python
"""Refuse settings of sshd that would shut out the user that Ansible connects as."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ssh_session import LoginRules, find_session, lockout_reason

DOCUMENTATION = r"""
module: ssh_login_guard
short_description: Refuse sshd settings that would shut out Ansible itself
description:
  - Looks from which ssh session it was started and fails where, with the settings given, the same
    user could not log in again. Changes nothing.
  - Where the host is not reached by ssh (a container, the local machine) there is nothing to check.
options:
  password_login:
    description: Whether sshd will accept passwords.
    type: bool
    required: true
  root_login:
    description: What sshd will let root do.
    type: str
    choices: ['no', prohibit-password]
    required: true
  allow_users:
    description: As sshd's AllowUsers; empty for no restriction.
    type: list
    elements: str
    default: []
  allow_groups:
    description: As sshd's AllowGroups; empty for no restriction.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: It only ever looks.
author: research-stack
"""

EXAMPLES = r"""
- name: Preflight | Make sure that the user of this connection can come back
  ssh_login_guard:
    password_login: false
    root_login: prohibit-password
    allow_groups: [admins]
"""

RETURN = r"""
user:
  description: The user of the ssh session, empty where the host is not reached by ssh.
  returned: always
  type: str
"""


def has_keys(user: str) -> bool:
    """Return whether a user can log in without a password.

    Keys that sshd gets from a command of the site cannot be seen; the command itself is enough.
    """
    home = Path(pwd.getpwnam(user).pw_dir)
    files = [home / ".ssh/authorized_keys", home / ".ssh/authorized_keys2"]
    if any(file.exists() and file.read_text(errors="replace").strip() for file in files):
        return True
    configs = [Path("/etc/ssh/sshd_config"), *Path("/etc/ssh/sshd_config.d").glob("*.conf")]
    words = ("authorizedkeyscommand ", "authorizedprincipals", "trustedusercakeys ")
    lines = [line.strip().lower() for file in configs for line in file.read_text().splitlines()]
    return any(line.startswith(words) for line in lines)


def groups_of(user: str) -> list[str]:
    """Return the names of a user's groups."""
    entry = pwd.getpwnam(user)
    return [grp.getgrgid(gid).gr_name for gid in os.getgrouplist(user, entry.pw_gid)]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "password_login": {"type": "bool", "required": True, "no_log": False},
            "root_login": {"type": "str", "choices": ["no", "prohibit-password"], "required": True},
            "allow_users": {"type": "list", "elements": "str", "default": []},
            "allow_groups": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    session = find_session(os.getpid())
    if session is not None:
        rules = LoginRules(**module.params)
        reason = lockout_reason(rules, session, groups_of(session.user), has_keys(session.user))
        if reason is not None:
            module.fail_json(msg=f"{reason}: it could not log in again, so nothing was changed")
    module.exit_json(changed=False, user=session.user if session else "")


if __name__ == "__main__":
    main()
