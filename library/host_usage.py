#!/usr/bin/python
"""Look for a while at what a host and its units use, and at what is reserved for them."""

from __future__ import annotations

from ansible.module_utils import host_usage
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.host_usage import UsageError

DOCUMENTATION = r"""
module: host_usage
short_description: See what a host and its units use, and what is reserved for them
description:
  - Looks once a second, with psutil (Debian's python3-psutil), for as long as it is told, and tells
    what was used half of the time, in 95 % of it, and at most. Nothing is changed.
  - A unit's figures are those of its processes, so they are also there where the kernel does not
    account for units. What processes share counts once. The kernel does not tell the network of a
    unit.
options:
  seconds:
    description: For how long it looks.
    type: int
    default: 60
  units:
    description: Services, by name. One that does not run has limits and no figures.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
author: research-stack
"""

EXAMPLES = r"""
- name: See what the application uses
  host_usage:
    units: [research-app.service]
    seconds: 60
  register: seen
"""

RETURN = r"""
usage:
  description: >-
    C(seconds) and C(samples); C(host) with C(cpu) (percent of one core), C(memory) (bytes),
    C(disk_io) and C(network) (bytes a second), each with C(p50), C(p95), C(peak) and C(mean);
    C(units), the same of each unit that runs, without C(network).
  returned: success
  type: dict
reserved:
  description: >-
    C(cores), C(memory) (bytes), C(network_megabits), C(filesystems) (list of C(mount), C(kind),
    C(size), C(free)); C(units) with C(active), C(memory_max), C(memory_high), C(heap) (bytes),
    C(cpu_quota) (percent of one core) and C(tasks_max), none where there is no limit.
  returned: success
  type: dict
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "seconds": {"type": "int", "default": 60},
            "units": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    seconds, units = module.params["seconds"], sorted(set(module.params["units"]))
    try:
        if not host_usage.has_psutil():
            raise UsageError(
                "host_usage needs psutil for the host's Python: install the package python3-psutil"
            )
        if seconds < 1:
            raise UsageError(f"seconds is {seconds}: it takes at least 1 to see what is used")
        reserved = host_usage.host_reserved(units, module.run_command)
        usage = host_usage.sample(seconds, lambda: host_usage.processes_of(units))
    except UsageError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, usage=usage, reserved=reserved)


if __name__ == "__main__":
    main()
