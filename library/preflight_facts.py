#!/usr/bin/python
"""Ask a host what the checks before a run need to know."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.preflight.gather import gather

DOCUMENTATION = r"""
module: preflight_facts
short_description: Ask a host what the checks before a run need to know
description:
  - Reads the system, memory, disks, clock, addresses and listening ports from C(/proc) and C(/etc),
    so that it works on a host with nothing but Python.
  - Changes nothing. It sends one empty datagram to each address that should be free, so that the
    kernel asks the network who has it.
options:
  paths:
    description: Where services will put their files; each may not exist yet.
    type: list
    elements: str
    default: []
  addresses:
    description: IPv4 addresses of this host's network that are to be taken by services.
    type: list
    elements: str
    default: []
  authorities:
    description: File with the authorities that the host trusts; it may not exist yet.
    type: path
    default: ""
attributes:
  check_mode:
    support: full
    description: It never changes anything.
  diff_mode:
    support: none
author: research-stack
"""

EXAMPLES = r"""
- name: Hosts | Ask each host about itself
  preflight_facts:
    paths: [/var/lib/opensearch]
  register: preflight_host
"""

RETURN = r"""
host:
  description: What the host said.
  returned: always
  type: dict
  sample: {python: [3, 13], memory: 8589934592, cpus: 4, listeners: [{port: 22, unit: ssh.service}]}
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "str", "default": []},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "authorities": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    asked = module.params
    host = gather(asked["paths"], asked["addresses"], asked["authorities"])
    module.exit_json(changed=False, host=host)


if __name__ == "__main__":
    main()
