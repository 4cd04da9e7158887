#!/usr/bin/python
"""Say of hosts what they use, what to set and to buy, and what they cost."""

from __future__ import annotations

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.capacity_report import Settings, assess
from ansible.module_utils.capacity_table import page, summary, table

DOCUMENTATION = r"""
module: capacity_report
short_description: Say of hosts what they use, what to set and what to buy
description:
  - Compares what M(host_usage) and M(metrics_usage) saw with what there is. Nothing is asked and
    nothing is changed.
options:
  hosts:
    description: >-
      Hosts, each with C(name), C(watts_idle), C(watts_busy) and C(services) (what the roles export
      as C(capacity)).
    type: list
    elements: dict
    required: true
  looked:
    description: By host the result of M(host_usage), also where it failed.
    type: dict
    required: true
  metrics:
    description: The result of M(metrics_usage).
    type: dict
    required: true
  groups:
    description: The tiers, with the names of their hosts. Lines are written for files of these.
    type: dict
    required: true
  days:
    description: Over how many days the metrics were asked for.
    type: int
    required: true
  price:
    description: What a kWh costs; 0 leaves out the cost.
    type: float
    default: 0
  currency:
    description: Of the price.
    type: str
    default: EUR
  headroom:
    description: How much more memory a service gets than it uses in 95 % of the time.
    type: float
    default: 1.3
  disk_percent:
    description: How full a disk may be.
    type: float
    default: 90
  disk_comes_in:
    description: Days that a new disk takes to come.
    type: float
    default: 90
  standby_groups:
    description: Tiers of which a host may be off until it is needed.
    type: list
    elements: str
    default: [edge, app]
attributes:
  check_mode:
    support: full
author: research-stack
"""

EXAMPLES = r"""
- name: Make the report
  capacity_report:
    hosts: [{name: app1, watts_idle: 40, watts_busy: 100, services: []}]
    looked: {app1: "{{ seen }}"}
    metrics: "{{ asked }}"
    groups: {app: [app1]}
    days: 30
    price: 0.3
  register: report
"""

RETURN = r"""
report:
  description: All of it, for programs.
  returned: success
  type: dict
table:
  description: The same for a terminal.
  returned: success
  type: str
page:
  description: The same as a page, every value of it escaped.
  returned: success
  type: str
summary:
  description: How much is too small, in one line.
  returned: success
  type: str
"""


def main() -> None:
    """Run the module."""
    groups = {"type": "list", "elements": "str", "default": ["edge", "app"]}
    module = AnsibleModule(
        argument_spec={
            "hosts": {"type": "list", "elements": "dict", "required": True},
            "looked": {"type": "dict", "required": True},
            "metrics": {"type": "dict", "required": True},
            "groups": {"type": "dict", "required": True},
            "days": {"type": "int", "required": True},
            "price": {"type": "float", "default": 0.0},
            "currency": {"type": "str", "default": "EUR"},
            "headroom": {"type": "float", "default": 1.3},
            "disk_percent": {"type": "float", "default": 90.0},
            "disk_comes_in": {"type": "float", "default": 90.0},
            "standby_groups": groups,
        },
        supports_check_mode=True,
    )
    given = dict(module.params)
    looked, metrics, groups = given.pop("looked"), given.pop("metrics"), given.pop("groups")
    hosts = [{**each, "looked": looked.get(each["name"]) or {}} for each in given.pop("hosts")]
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    report = assess(hosts, metrics, groups, Settings(**given), now)
    module.exit_json(
        changed=False,
        report=report,
        table=table(report),
        page=page(report),
        summary=summary(report),
    )


if __name__ == "__main__":
    main()
