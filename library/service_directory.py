#!/usr/bin/python
"""See to it that a service can write to directories, without taking them from anybody."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.service_directory import DirectoryError, carry_out, decide, look

DOCUMENTATION = r"""
module: service_directory
short_description: See to it that a service can write to directories
description:
  - Creates directories that are missing, and gives the service's user those that are root's and
    empty, such as the mount point of a new share. Any other is left as it is, and refused where the
    user cannot write to it, which is found out as that user.
options:
  paths: {description: The directories., type: list, elements: path, required: true}
  user: {description: User that the service runs as., type: str, required: true}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: research-stack
"""

EXAMPLES = r"""
- name: Configure | Let OpenSearch write snapshots
  service_directory:
    paths: [/srv/research-snapshots]
    user: opensearch
"""

RETURN = r"""
actions:
  description: By directory, what was done (create or give), or would be.
  returned: always
  type: dict
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "user": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    user = module.params["user"]
    try:
        found = {path: look(Path(path), user) for path in module.params["paths"]}
        decided = {path: decide(path, one, user) for path, one in found.items()}
        actions = {path: action for path, action in decided.items() if action != "nothing"}
        for path in () if module.check_mode else actions:
            carry_out(Path(path), user)
    except (DirectoryError, OSError) as error:
        module.fail_json(msg=f"service_directory: {error}")
    before = {path: found[path].owner or "absent" for path in actions}
    diff = {"before": before, "after": dict.fromkeys(actions, user)}
    module.exit_json(changed=bool(actions), actions=actions, diff=diff)


if __name__ == "__main__":
    main()
