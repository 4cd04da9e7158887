#!/usr/bin/python
"""Tell what hosts and services used over days, by the metrics that a monitoring host keeps."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metrics_usage import MetricsError, fullest, used

DOCUMENTATION = r"""
module: metrics_usage
short_description: See what hosts and services used over days, by their metrics
description:
  - Asks a store that answers as Prometheus does (Prometheus, VictoriaMetrics) for what was used
    half of the time, in 95 % of it, at most and on average. It runs on a monitoring host, where
    such a store answers on loopback. Nothing is changed.
  - Without an answer there are no hosts in RV(hosts), and RV(problems) says why.
options:
  urls:
    description: Stores. The one that goes back furthest is asked.
    type: list
    elements: str
    required: true
  days:
    description: Over how many days.
    type: int
    default: 30
  services:
    description: >-
      Services, as the roles export them (C(capacity)); C(unit) and the metrics C(memory), C(cpu)
      and C(pool) (C(kind), C(used), C(limit)) are read.
    type: list
    elements: dict
    default: []
  timeout:
    description: Seconds for each question.
    type: int
    default: 120
attributes:
  check_mode:
    support: full
author: research-stack
"""

EXAMPLES = r"""
- name: See what the application used in a quarter
  metrics_usage:
    urls: [http://127.0.0.1:8428, http://127.0.0.1:9090]
    days: 90
    services:
      - unit: research-app.service
        memory: process_resident_memory_bytes{job="app"}
        cpu: process_cpu_seconds_total{job="app"}
"""

RETURN = r"""
store:
  description: The store that was asked; empty where none answers.
  returned: success
  type: str
hosts:
  description: >-
    By host C(days) (for how long there are figures), C(host) with C(cpu) (percent of one core),
    C(memory) (bytes), C(disk_io) and C(network) (bytes a second); C(disks) by mount point with
    C(size), C(free) and C(growth) (bytes a second, a straight line through all of it); C(services)
    by unit with C(days), C(memory), C(cpu) and C(pool).
  returned: success
  type: dict
problems:
  description: Why a store was not asked.
  returned: success
  type: list
  elements: str
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "urls": {"type": "list", "elements": "str", "required": True},
            "days": {"type": "int", "default": 30},
            "services": {"type": "list", "elements": "dict", "default": []},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    given = module.params
    days, hosts = given["days"], {}
    if days < 1:
        module.fail_json(msg=f"days is {days}: it takes at least 1 to see what was used")
    store, problems = fullest(given["urls"], days, given["timeout"])
    try:
        hosts = used(store, days, given["services"]) if store else {}
    except MetricsError as error:
        store = None
        problems.append(str(error))
    module.exit_json(
        changed=False, store=store.url if store else "", hosts=hosts, problems=problems
    )


if __name__ == "__main__":
    main()
