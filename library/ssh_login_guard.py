#!/usr/bin/python
"""Refuse settings of sshd that would shut out the user that Ansible connects as."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ssh_session import LoginRules, Session, find_session, lockout_reason
from ansible.module_utils.ssh_settings import (
    Options,
    SettingsError,
    Sshd,
    any_keys,
    key_files,
    shut_out,
)

DOCUMENTATION = r"""
module: ssh_login_guard
short_description: Refuse sshd settings that would shut out Ansible itself
description:
  - Has sshd read its whole configuration with O(content) in place of the O(fragment) that is there,
    and fails where it would not start with it, as with a list of methods that the fragment breaks.
  - Looks from which ssh session it was started and fails where the same user could not log in again
    with a key alone, as sshd itself sees it. Changes nothing.
  - Where the host is not reached by ssh (a container, the local machine) nobody is shut out.
options:
  fragment:
    description: File of sshd's that is to be written; it may not exist yet.
    type: path
    required: true
  content:
    description: What is to be in it.
    type: str
    required: true
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
    fragment: /etc/ssh/sshd_config.d/00-site.conf
    content: "PasswordAuthentication no"
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


def has_keys(options: Options, user: str) -> bool:
    """Return whether a user can log in without a password."""
    entry = pwd.getpwnam(user)
    return any_keys(options, key_files(options, user, entry.pw_uid, entry.pw_dir))


def groups_of(user: str) -> list[str]:
    """Return the names of a user's groups."""
    entry = pwd.getpwnam(user)
    return [grp.getgrgid(gid).gr_name for gid in os.getgrouplist(user, entry.pw_gid)]


def reason_against(params: dict[str, Any], session: Session | None) -> str | None:
    """Say why the settings must not be written.

    :raises SettingsError: where sshd would not start with them
    """
    sshd, options = Sshd(), dict[str, Any]()
    installed = Path(sshd.program).exists() and sshd.config.exists()
    if installed:
        options.update(sshd.options(Path(params["fragment"]), params["content"], session))
    if session is None:
        return None
    keys, groups = has_keys(options, session.user), groups_of(session.user)
    names = ("password_login", "root_login", "allow_users", "allow_groups")
    reason = lockout_reason(
        LoginRules(**{name: params[name] for name in names}), session, groups, keys
    )
    if reason or not installed or (params["password_login"] and not keys):
        return reason
    return shut_out(options, session, groups, keys)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "fragment": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "password_login": {"type": "bool", "required": True, "no_log": False},
            "root_login": {"type": "str", "choices": ["no", "prohibit-password"], "required": True},
            "allow_users": {"type": "list", "elements": "str", "default": []},
            "allow_groups": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    session = find_session(os.getpid())
    try:
        reason = reason_against(module.params, session)
    except SettingsError as error:
        module.fail_json(msg=f"sshd would not start: {error}; nothing was changed")
    if reason is not None:
        module.fail_json(msg=f"{reason}: it could not log in again, so nothing was changed")
    module.exit_json(changed=False, user=session.user if session else "")


if __name__ == "__main__":
    main()
