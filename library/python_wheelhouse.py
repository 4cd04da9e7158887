#!/usr/bin/python
"""Collect the wheels of a release on the controller."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.python_wheelhouse import Target, Wheelhouse, WheelhouseError

DOCUMENTATION = r"""
module: python_wheelhouse
short_description: Collect the wheels of a release on the controller
description:
  - Fetches the wheels that lock files name, for the Python and the platform of a host, builds the
    wheel of a project, and keeps them all in one uncompressed tar in a cache.
  - Nothing happens where the archive of that version and platform exists. Run it on the controller
    (C(delegate_to) localhost) with a Python that has pip.
options:
  name:
    description: What is released.
    type: str
    required: true
  version:
    description: Version with a hash of its contents, see the lookup C(python_release_version).
    type: str
    required: true
  target:
    description: Python and platform of the host, as C(python_release_info) returns them.
    type: dict
    required: true
    suboptions:
      python_version:
        description: Version of Python, C(3.13).
        type: str
        required: true
      machine:
        description: Architecture, C(x86_64).
        type: str
        required: true
      glibc:
        description: Version of the C library, C(2.41).
        type: str
        required: true
  requirements:
    description: Lock files with hashes, made by C(uv pip compile --universal --generate-hashes).
    type: list
    elements: path
    required: true
  sources:
    description:
      - Projects among them that are published as sources only, not as wheels. Their wheels are
        built on the controller, which is right for pure Python alone; another one is refused.
    type: list
    elements: str
    default: []
  project:
    description: Folder of a project with a C(pyproject.toml).
    type: path
  cache:
    description: Folder that keeps what was fetched.
    type: path
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author: research-stack
"""

EXAMPLES = r"""
- name: Build | Collect the wheels
  delegate_to: localhost
  become: false
  python_wheelhouse:
    name: research-app
    version: 0.1.0-3f2a90bb12
    target: {python_version: "3.13", machine: x86_64, glibc: "2.41"}
    requirements: [app/requirements.txt]
    project: app
    cache: /var/cache/research-stack/wheels
"""

RETURN = r"""
archive:
  description: Path of the archive on the controller.
  returned: always
  type: str
hashes:
  description:
    - SHA-256 of each wheel in the archive by its file name, for M(python_release). Those that the
      lock files name were compared with them.
  returned: when not in check mode
  type: dict
"""

TARGET_SPEC = {
    "python_version": {"type": "str", "required": True},
    "machine": {"type": "str", "required": True},
    "glibc": {"type": "str", "required": True},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "target": {"type": "dict", "required": True, "options": TARGET_SPEC},
            "requirements": {"type": "list", "elements": "path", "required": True},
            "sources": {"type": "list", "elements": "str", "default": []},
            "project": {"type": "path"},
            "cache": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    project = Path(params["project"]) if params["project"] else None
    wheelhouse = Wheelhouse(Path(params["cache"]), module.run_command)
    try:
        target = Target.from_params(params["target"])
        archive = wheelhouse.archive(params["name"], params["version"], target)
        if module.check_mode:
            module.exit_json(changed=not archive.is_file(), archive=str(archive))
        archive, hashes, changed = wheelhouse.build(
            params["name"],
            params["version"],
            target,
            [Path(path) for path in params["requirements"]],
            project,
            params["sources"],
        )
    except WheelhouseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, archive=str(archive), hashes=hashes)


if __name__ == "__main__":
    main()
