#!/usr/bin/python
"""Try which ports answer from a host."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.port_probe import probe

DOCUMENTATION = r"""
module: port_probe
short_description: Try which TCP ports answer from a host
description:
  - Opens a connection to each port at once and closes it. Nothing is sent, nothing is changed.
options:
  addresses:
    description: IP addresses.
    type: list
    elements: str
    required: true
  ports:
    description: Ports, each of which is tried at each address.
    type: list
    elements: int
    required: true
  timeout:
    description: Seconds after which a port that does not answer counts as dropped.
    type: int
    default: 2
attributes:
  check_mode:
    support: full
author: research-stack
"""

EXAMPLES = r"""
- name: Try whether the cluster is open to this host
  port_probe:
    addresses: [10.0.0.31, 10.0.0.32]
    ports: [9200, 9300]
  register: tried
"""

RETURN = r"""
reached:
  description: >-
    Address to port (as text) to what was met. V(open), V(refused) (the firewall let it through, and
    nothing listens) or V(dropped).
  returned: always
  type: dict
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "addresses": {"type": "list", "elements": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "required": True},
            "timeout": {"type": "int", "default": 2},
        },
        supports_check_mode=True,
    )
    given = module.params
    module.exit_json(
        changed=False, reached=probe(given["addresses"], given["ports"], given["timeout"])
    )


if __name__ == "__main__":
    main()
