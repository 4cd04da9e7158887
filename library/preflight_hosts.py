#!/usr/bin/python
"""Documentation of the action plugin preflight_hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_hosts
short_description: Refuse hosts that cannot carry what the inventory asks of them
description:
  - Compares what the hosts of the play answered to M(preflight_facts) with what the inventory asks
    of them, and tells all mistakes of all hosts at once. A host that did not answer is one.
options:
  answers:
    description: Name of the variable in which each host's answer was registered.
    type: str
    required: true
  clock_skew:
    description: Seconds by which a host's clock may differ from this machine's.
    type: float
    required: true
  disk_free:
    description: Room that a directory needs that is not there yet, such as C(2g).
    type: str
    required: true
  systems:
    description: Systems that are supported, as C(debian 13).
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: full
    description: It never changes anything.
  diff_mode:
    support: none
author: research-stack
"""

EXAMPLES = r"""
- name: Refuse what the hosts cannot carry
  preflight_hosts:
    answers: preflight_host
    clock_skew: 2
    disk_free: 2g
    systems: [debian 13]
  run_once: true
"""

RETURN = r"""
mistakes:
  description: The mistakes, for callbacks other than the default, which prints them once.
  returned: where there are some
  type: list
  elements: str
"""
