#!/usr/bin/python
"""Keep units running, with the configuration that is on disk."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.systemd_units import (
    FILTERS,
    Systemd,
    UnitError,
    newest_change,
    plan,
    wanted_units,
)

DOCUMENTATION = r"""
module: systemd_units
short_description: Keep units running, with the configuration that is on disk
description:
  - Enables and starts units, and reloads or restarts those whose files were changed after their
    last start or reload. It compares, so it makes up for a run that was interrupted between the
    change of a file and the restart, which a handler does not. Units are read anew where their
    files on disk are others than those that systemd knows.
  - Where conditions in a unit keep it off (a clock daemon in a container), that is said in
    RV(notes) and is no change.
options:
  units:
    description: The units, in the order in which they are handled.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Full name, C(ssh.service).
        type: str
        required: true
      files:
        description: Files that the unit reads when it starts. Those that do not exist do not count.
        type: list
        elements: path
        default: []
      action:
        description: >-
          What makes the unit read its files again. C(filter) puts a new list of addresses
          (IPAddressAllow=) into force while it runs, C(unfilter) ends one that is gone.
        type: str
        choices: [reload, restart, filter, unfilter]
        default: restart
      running:
        description: >-
          Whether it is to be enabled and started. If not, it is left as it is, and only told of new
          configuration.
        type: bool
        default: true
attributes:
  check_mode:
    support: full
    description: A unit that does not exist yet counts as a change.
author: research-stack
"""

EXAMPLES = r"""
- name: Service | Run what was configured
  systemd_units:
    units:
      - {name: ssh.service, files: [/etc/ssh/sshd_config], action: reload, running: false}
      - {name: chrony.service, files: [/etc/chrony/chrony.conf]}
"""

RETURN = r"""
steps:
  description: What was done, or in check mode would be.
  returned: always
  type: list
  elements: str
notes:
  description: What could not be done, and why that is no failure.
  returned: always
  type: list
  elements: str
"""

UNIT_SPEC = {
    "name": {"type": "str", "required": True},
    "files": {"type": "list", "elements": "path", "default": []},
    "action": {"type": "str", "choices": ["reload", "restart", *FILTERS], "default": "restart"},
    "running": {"type": "bool", "default": True},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "dict", "required": True, "options": UNIT_SPEC}
        },
        supports_check_mode=True,
    )
    systemd = Systemd(module.run_command)
    steps: list[str] = []
    notes: list[str] = []
    try:
        units = wanted_units(module.params["units"])
        states = systemd.read([unit.name for unit in units])
        if any(state.unread for state in states.values()) and not module.check_mode:
            systemd.read_files()
        for unit in units:
            todo = plan(unit, states[unit.name], newest_change(unit.files), module.check_mode)
            notes += [todo.note] if todo.note else []
            for verb in todo.steps:
                if not module.check_mode:
                    systemd.do(verb, unit.name)
                steps.append(f"{verb} {unit.name}")
    except UnitError as error:
        module.fail_json(msg=str(error), steps=steps)
    module.exit_json(changed=bool(steps), steps=steps, notes=notes, msg="; ".join(steps + notes))


if __name__ == "__main__":
    main()
