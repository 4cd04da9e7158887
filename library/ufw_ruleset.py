#!/usr/bin/python
"""Bring ufw, with its whole set of rules, to a wanted state."""

from __future__ import annotations

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ssh_session import find_session
from ansible.module_utils.ufw_firewall import Ufw, Wanted, refuse_lockout, target_state
from ansible.module_utils.ufw_rules import UfwError

DOCUMENTATION = r"""
module: ufw_ruleset
short_description: The whole state of ufw in one task
description:
  - Compares defaults, logging, the switch and all rules with what ufw and the kernel hold, and
    changes what differs. A rule of an earlier run that is no longer wanted is deleted.
  - The rules of this module carry the comment C(research:NAME). Rules without it were made by
    others and stay, in their place before or after ours, unless O(purge_foreign) is set. A rule
    of others which says the same as one of ours is taken over.
  - Rules are written in ufw's own files and handed to the kernel in one transaction, so a
    hundred rules take as long as one, and there is no moment without rules. Only a change of the
    defaults or of IPv6 restarts ufw.
  - Refuses, before it changes anything, a state in which O(admin_networks) or the address of the
    ssh connection that Ansible uses could open no new ssh session.
options:
  rules:
    description: >-
      What may come in, and what may go out: nothing else may where O(incoming) or O(outgoing) is
      V(deny). What belongs to an open connection passes in both directions.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What the rule is for; shown as the rule's comment.
        type: str
        required: true
      proto:
        description: Protocol.
        type: str
        choices: [tcp, udp, vrrp]
        default: tcp
      port:
        description: Port, range C(6000:6010), or several separated by commas. None for vrrp.
        type: str
      source:
        description: Address, network, or V(any) for every address of IPv4 and IPv6.
        type: str
        default: any
      destination:
        description: >-
          Makes it a rule for what this host opens: address, network, or V(any). O(rules[].source)
          does not count then.
        type: str
  enabled:
    description: Whether the firewall is on, now and after a reboot.
    type: bool
    default: true
  incoming:
    description: What happens to connections to this host that no rule is about.
    type: str
    choices: [allow, deny, reject]
    default: deny
  outgoing:
    description: What happens to connections from this host that no rule is about.
    type: str
    choices: [allow, deny, reject]
    default: allow
  routed:
    description: What happens to connections through this host that no rule is about.
    type: str
    choices: [allow, deny, reject]
    default: deny
  ipv6:
    description: Whether rules and defaults are for IPv6 too. Without, all of IPv6 is dropped.
    type: bool
    default: true
  logging:
    description: What ufw logs.
    type: str
    choices: ['off', low, medium, high, full]
    default: low
  purge_foreign:
    description: Whether rules that others made are deleted.
    type: bool
    default: false
  ssh_port:
    description: Port that sshd listens on.
    type: int
    default: 22
  admin_networks:
    description: Networks which must be able to reach O(ssh_port).
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: full
    description: Works before ufw is installed, too.
  diff_mode:
    support: full
    description: Settings and rules, one a line.
author: research-stack
"""

EXAMPLES = r"""
- name: Service | Set the firewall
  ufw_ruleset:
    admin_networks: [10.0.0.0/24]
    rules:
      - {name: ssh, port: "22", source: 10.0.0.0/24}
      - {name: https, port: "80,443", source: any}
      - {name: vrrp, proto: vrrp, source: 10.0.0.12}
"""

RETURN = r"""
rules:
  description: The rules that ufw holds at the end, as in its rule files.
  returned: always
  type: list
  elements: str
"""

RULE_SPEC = {
    "name": {"type": "str", "required": True},
    "proto": {"type": "str", "choices": ["tcp", "udp", "vrrp"], "default": "tcp"},
    "port": {"type": "str"},
    "source": {"type": "str", "default": "any"},
    "destination": {"type": "str"},
}
POLICY = {"type": "str", "choices": ["allow", "deny", "reject"]}
SPEC = {
    "rules": {"type": "list", "elements": "dict", "required": True, "options": RULE_SPEC},
    "enabled": {"type": "bool", "default": True},
    "incoming": {**POLICY, "default": "deny"},
    "outgoing": {**POLICY, "default": "allow"},
    "routed": {**POLICY, "default": "deny"},
    "ipv6": {"type": "bool", "default": True},
    "logging": {
        "type": "str",
        "choices": ["off", "low", "medium", "high", "full"],
        "default": "low",
    },
    "purge_foreign": {"type": "bool", "default": False},
    "ssh_port": {"type": "int", "default": 22},
    "admin_networks": {"type": "list", "elements": "str", "required": True},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.run_command_environ_update = {"LC_ALL": "C.UTF-8"}
    ufw = Ufw(run=module.run_command)
    try:
        wanted = Wanted.from_params(module.params)
        state = ufw.read() if ufw.is_installed() else None
        if state is None and not module.check_mode:
            raise UfwError("ufw is not installed")
        target = target_state(state, wanted)
        answers = state is None or ufw.answers_pass()
        refuse_lockout(target, wanted, find_session(os.getpid()), answers)
        if state != target and not module.check_mode:
            ufw.apply(wanted)
    except UfwError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=state != target,
        rules=[block.describe() for file in target.files.values() for block in file.blocks],
        diff={
            "before": state.describe() if state else "ufw is not installed\n",
            "after": target.describe(),
            "before_header": "ufw",
            "after_header": "ufw",
        },
    )


if __name__ == "__main__":
    main()
