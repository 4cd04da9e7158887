#!/usr/bin/python
"""Documentation of the action plugin preflight_inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_inventory
short_description: Refuse an inventory that cannot work
description:
  - Reads the variables of every host of the inventory over the defaults of the roles that it will
    run, and tells all mistakes at once, each with the variable, its value and what to write
    instead. Values of secrets are never told.
  - Contacts no host. Run it once, whatever hosts the run is limited to.
options: {}
attributes:
  check_mode:
    support: full
    description: It never changes anything.
  diff_mode:
    support: none
author: research-stack
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  preflight_inventory:
  run_once: true
  register: preflight_inventory
"""

RETURN = r"""
questions:
  description: What C(preflight_facts) is to ask each host, by the host's name.
  returned: where there is no mistake
  type: dict
  sample: {edge1: {paths: [/, /opt], addresses: [192.0.2.10]}}
mistakes:
  description: The mistakes, for callbacks other than the default, which prints them once.
  returned: where there are some
  type: list
  elements: str
"""
