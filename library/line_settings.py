#!/usr/bin/python
"""Set names to values in a file with one of them a line."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.file_tree import FileTreeError, TreeWriter, WantedFile
from ansible.module_utils.line_settings import with_settings

DOCUMENTATION = r"""
module: line_settings
short_description: Set names to values in a file with one of them a line
description:
  - For files such as /etc/login.defs that know no directory of additions. What O(settings) does
    not name stays as it is.
options:
  path:
    description: The file. Where it is missing, nothing is done.
    type: path
    required: true
  settings:
    description: Name to value.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: research-stack
"""

EXAMPLES = r"""
- name: Configure | Set what logins are given
  line_settings:
    path: /etc/login.defs
    settings: {UMASK: "027"}
"""

RETURN = r"""
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "settings": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    if not path.exists():
        module.exit_json(changed=False)
    settings = {name: str(value) for name, value in module.params["settings"].items()}
    wanted = WantedFile(
        path=path,
        content=with_settings(path.read_text(), settings).encode(),
        mode=path.stat().st_mode & 0o7777,
    )
    writer = TreeWriter(module.run_command, module.check_mode, directory_mode=0o755)
    try:
        changes = writer.write([wanted])
    except FileTreeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changes), diff=[change.diff for change in changes])


if __name__ == "__main__":
    main()
