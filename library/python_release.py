#!/usr/bin/python
"""Install a release of a Python environment and make it the current one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.python_release import Python, PythonReleaseError, Releases

DOCUMENTATION = r"""
module: python_release
short_description: Install a release of a Python environment and make it the current one
description:
  - Makes a virtual environment C(root/releases/RELEASE) from an archive of wheels, without a
    package index, and points the link C(root/current) to it in one step.
  - A release that was not installed to the end has no marker and is made again.
options:
  root:
    description: Folder that holds C(releases/) and the link C(current).
    type: path
    required: true
  release:
    description: Name of the release, as C(python_release_info) returns it.
    type: str
    required: true
  archive:
    description:
      - Archive of wheels on the host, needed where the release is not installed. It is removed
        after it has been used, with whatever else is in C(root/incoming) if it is there.
    type: path
  hashes:
    description:
      - SHA-256 of each wheel by its file name, as M(python_wheelhouse) returns them, needed where
        the release is not installed. An archive with other wheels is refused before any has run.
    type: dict
    default: {}
  activate:
    description: Make it the current release and remove old ones.
    type: bool
    default: true
  keep:
    description:
      - How many of the newest releases stay. The current one, the one before it (the link
        C(previous)) and those that a process runs from stay in any case.
    type: int
    default: 3
  in_use:
    description: Names of releases that stay in any case, as generations lead to them.
    type: list
    elements: str
    default: []
  python:
    description: The Python that the environment is made from.
    type: path
    default: /usr/bin/python3
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
author: research-stack
"""

EXAMPLES = r"""
- name: Install | Install the release beside the current one
  python_release:
    root: /opt/research-app
    release: 0.1.0-3f2a90bb12-cp313
    archive: /opt/research-app/incoming/research-app.tar
    hashes: "{{ wheels.hashes }}"
    activate: false

- name: Roll | Make it the current one
  python_release:
    root: /opt/research-app
    release: 0.1.0-3f2a90bb12-cp313
"""

RETURN = r"""
current:
  description: Name of the current release afterwards.
  returned: always
  type: str
previous:
  description: Name of the release that was current before, empty where there was none.
  returned: always
  type: str
pruned:
  description: Names of the releases that were removed, or would be.
  returned: always
  type: list
  elements: str
"""


def apply(module: AnsibleModule, releases: Releases) -> dict[str, Any]:
    """Install, activate and prune as far as needed.

    :param module: the module, for its parameters
    :param releases: the releases of the host
    """
    release, activate = module.params["release"], module.params["activate"]
    previous, missing = releases.current(), not releases.complete(release)
    switch = activate and previous != release
    pruned: list[str] = []
    if not module.check_mode:
        if missing:
            python = Python.probe(module.params["python"], module.run_command)
            archive = Path(module.params["archive"] or releases.root / "incoming" / "wheels.tar")
            releases.install(release, archive, module.params["hashes"], python)
            releases.discard(archive)
        if switch:
            releases.activate(release)
    if activate:
        pruned = releases.prune(
            module.params["keep"], module.params["in_use"], remove=not module.check_mode
        )
    return {
        "changed": bool(missing or switch or pruned),
        "current": release if activate else previous,
        "previous": previous,
        "pruned": pruned,
        "diff": {
            "before": f"current: {previous}\n",
            "after": f"current: {release if activate else previous}\n"
            + (f"installed: {release}\n" if missing else ""),
        },
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "archive": {"type": "path"},
            "hashes": {"type": "dict", "default": {}},
            "activate": {"type": "bool", "default": True},
            "keep": {"type": "int", "default": 3},
            "in_use": {"type": "list", "elements": "str", "default": []},
            "python": {"type": "path", "default": "/usr/bin/python3"},
        },
        supports_check_mode=True,
    )
    try:
        result = apply(module, Releases(Path(module.params["root"]), module.run_command))
    except PythonReleaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
