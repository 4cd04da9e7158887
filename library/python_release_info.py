#!/usr/bin/python
"""Tell which releases of a Python environment a host has."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.python_release import Python, PythonReleaseError, Releases

DOCUMENTATION = r"""
module: python_release_info
short_description: Tell which releases of a Python environment a host has
description:
  - Returns the Python and the platform of the host, which decide the wheels that it needs, and
    whether a version is installed for them already.
options:
  root:
    description: Folder that holds C(releases/) and the link C(current).
    type: path
    required: true
  version:
    description: Version to look for, see the lookup C(python_release_version).
    type: str
    required: true
  python:
    description: The Python that environments are made from.
    type: path
    default: /usr/bin/python3
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author: research-stack
"""

EXAMPLES = r"""
- name: Install | Ask for the installed releases
  python_release_info:
    root: /opt/research-app
    version: 0.1.0-3f2a90bb12
"""

RETURN = r"""
release:
  description: Name of the release, which is the version with the tag of the host's Python.
  returned: always
  type: str
installed:
  description: Whether that release is installed to the end.
  returned: always
  type: bool
current:
  description: Name of the current release, empty where there is none.
  returned: always
  type: str
previous:
  description: Name of the release that was current before, empty where there is none.
  returned: always
  type: str
releases:
  description: Names of the releases installed, the newest first.
  returned: always
  type: list
  elements: str
target:
  description: The C(python_version), C(machine) and C(glibc) of the host.
  returned: always
  type: dict
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "python": {"type": "path", "default": "/usr/bin/python3"},
        },
        supports_check_mode=True,
    )
    releases = Releases(Path(module.params["root"]), module.run_command)
    try:
        python = Python.probe(module.params["python"], module.run_command)
    except PythonReleaseError as error:
        module.fail_json(msg=str(error))
    release = f"{module.params['version']}-{python.tag}"
    module.exit_json(
        release=release,
        installed=releases.complete(release),
        current=releases.current(),
        previous=releases.previous(),
        releases=releases.installed(),
        target={
            "python_version": python.python_version,
            "machine": python.machine,
            "glibc": python.glibc,
        },
    )


if __name__ == "__main__":
    main()
