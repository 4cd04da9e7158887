#!/usr/bin/python
"""Write a set of files, all or none."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.file_tree import FileTreeError, Tree, TreeWriter, WantedFile

DOCUMENTATION = r"""
module: file_tree
short_description: Write a set of files in one task
description:
  - The host's side of M(template_tree). Compares every file, validates those that differ, and
    replaces them atomically only when all validators agreed.
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      content:
        description: The whole content.
        type: str
        required: true
      owner:
        description: Owner, kept as it is where not given.
        type: str
      group:
        description: Group, kept as it is where not given.
        type: str
      mode:
        description: Octal mode.
        type: str
        default: "0644"
      validate:
        description: Command with C(%s) that must accept the new content.
        type: str
      secret:
        description: Keep the content out of the diff.
        type: bool
        default: false
  directory_mode:
    description: Mode of directories that have to be made.
    type: str
    default: "0755"
  tree:
    description:
      - Name of what renders the files. With it the module remembers them in O(manifest), and
        removes those that it made for this name once and that O(files) does not have any more.
      - Never removed is what it did not make, what is no regular file any more, and what a
        package brought.
    type: str
  excluded:
    description:
      - Absolute paths that O(tree) could render and does not on this host. On a host without a
        manifest those that an earlier version evidently made are removed.
    type: list
    elements: path
    default: []
  manifest:
    description: File in which the host keeps what was made.
    type: path
    default: /var/lib/research-stack/files.json
attributes:
  check_mode:
    support: full
    description: Owners and validators that are not there yet are passed over in check mode.
  diff_mode:
    support: full
    description: One diff a file.
author: research-stack
"""

EXAMPLES = r"""
- name: Configure | Write two files
  file_tree:
    files:
      - {path: /etc/motd, content: "hello\n"}
      - {path: /etc/issue, content: "hello\n", mode: "0640"}
"""

RETURN = r"""
changed_files:
  description: Paths of the files that changed, those that were removed among them.
  returned: always
  type: list
  elements: str
"""

FILE_SPEC = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str", "required": True},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str", "default": "0644"},
    "validate": {"type": "str"},
    "secret": {"type": "bool", "default": False, "no_log": False},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            # no_log: the log of the host must not hold the content of secret files.
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "no_log": True,
                "options": FILE_SPEC,
            },
            "directory_mode": {"type": "str", "default": "0755"},
            "tree": {"type": "str"},
            "excluded": {"type": "list", "elements": "path", "default": []},
            "manifest": {"type": "path", "default": "/var/lib/research-stack/files.json"},
        },
        supports_check_mode=True,
    )
    # Nothing more is masked in the result: what of it is secret is decided for each file.
    module.no_log_values = set()
    try:
        writer = TreeWriter(
            run_command=module.run_command,
            check_mode=module.check_mode,
            directory_mode=int(module.params["directory_mode"], 8),
        )
        files = [WantedFile.from_params(item) for item in module.params["files"]]
        changes = writer.write(files, Tree.from_params(module.params))
    except FileTreeError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(changes),
        changed_files=[change.path for change in changes],
        diff=[change.diff for change in changes],
        invocation={"module_args": {"files": [item["path"] for item in module.params["files"]]}},
    )


if __name__ == "__main__":
    main()
