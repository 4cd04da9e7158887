#!/usr/bin/python
"""Look at a host as an audit does, and change nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.host_audit import (
    AuditError,
    SecretSearch,
    certificates,
    each_part,
    exposures,
    listening,
    opened,
    pending_updates,
    world_writable,
)

DOCUMENTATION = r"""
module: host_audit
short_description: Look at a host as an audit does
description:
  - Tells what C(scripts/audit) judges; see there. Nothing is changed, no package list is fetched.
  - A part that cannot be looked at is named in RV(problems), and the others are there.
options:
  secrets:
    description: Names and values that nobody but root and the service may be able to read.
    type: dict
    default: {}
  units:
    description: Services whose exposure is asked of systemd, by name or pattern.
    type: list
    elements: str
    default: []
  certificate_directory:
    description: Folder of the host's certificates.
    type: path
    required: true
  timeout:
    description: Seconds that each part may take.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
author: research-stack
"""

EXAMPLES = r"""
- name: Look at the host
  host_audit:
    units: [research-*.service, ssh.service]
    certificate_directory: /etc/research-pki
  register: seen
"""

RETURN = r"""
seen:
  description: >-
    C(listening) (list of C(port) and C(process)), C(opened) (ports that ufw lets through),
    C(exposure) (unit to number), C(certificates) (path to days), C(authority) (the certificates
    that the host trusts), C(writable) (paths), C(secrets) (name and place of each found),
    C(updates) (packages).
  returned: always
  type: dict
problems:
  description: Part to the reason why it is not in RV(seen).
  returned: always
  type: dict
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "units": {"type": "list", "elements": "str", "default": []},
            "certificate_directory": {"type": "path", "required": True},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    seconds = module.params["timeout"]

    def run(command: Sequence[str]) -> str:
        code, out, err = module.run_command(["timeout", str(seconds), *command])
        if code == 124:
            raise AuditError(f"{command[0]} took longer than {seconds} s")
        if code and not out:
            raise AuditError(f"{command[0]}: {err.strip()}")
        return str(out)

    def secrets() -> list[str]:
        search = SecretSearch(module.params["secrets"], time.monotonic() + seconds)
        search.processes()
        search.look("systemctl show", run(["systemctl", "show", "*.service"]).encode())
        search.look("the journal", run(["journalctl", "--output=cat", "--no-pager"]).encode())
        search.files()
        return sorted(search.found)

    folder = Path(module.params["certificate_directory"])
    analyze = ["systemd-analyze", "security", "--json=short", "--no-pager"]
    seen, problems = each_part(
        {
            "listening": lambda: listening(run(["ss", "-H", "-ltnp"])),
            "opened": lambda: opened(Path("/etc/ufw/user.rules").read_text()),
            "exposure": lambda: exposures(run(analyze), module.params["units"]),
            "certificates": lambda: certificates(folder, run, time.time()),
            "authority": (folder / "ca.pem").read_text,
            "writable": lambda: world_writable(run),
            "secrets": secrets,
            "updates": lambda: pending_updates(run, Path("/var/lib/apt/lists"), time.time()),
        }
    )
    module.exit_json(changed=False, seen=seen, problems=problems)


if __name__ == "__main__":
    main()
