#!/usr/bin/python
"""Tell whether a service has to be restarted to run with what is on disk."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.service_fingerprint import FingerprintError, judge

DOCUMENTATION = r"""
module: service_fingerprint
short_description: Tell whether a service has to be restarted to run with what is on disk
description:
  - Compares the files that a service was started with, whose hashes its unit recorded, with those
    files as they are now. What a handler would have to remember is thereby found again by the next
    run, after an interruption too. It changes nothing.
  - The unit records with the line C(ExecStartPre) of the example. Its paths are the module's.
options:
  unit:
    description: Name of the systemd unit.
    type: str
    required: true
  paths:
    description: Files and folders that the service reads when it starts. Missing ones are nothing.
    type: list
    elements: path
    required: true
  record:
    description: >-
      Where the unit records the hashes, in the format of C(sha256sum). By default the unit's name
      without its suffix in C(/run/service-fingerprint).
    type: path
  expected:
    description: Paths that another task of a run in check mode would change.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author: research-stack
"""

EXAMPLES = r"""
# In the unit (the plus: as root, outside of the sandbox; the minus: never a reason not to start):
#   ExecStartPre=-+/bin/sh -c 'umask 077; mkdir -p /run/service-fingerprint; \
#     find -L /etc/cache/cache.conf /etc/cache/tls -type f -exec sha256sum {} + \
#     >/run/service-fingerprint/%N 2>/dev/null'
- name: Service | Ask whether the cache runs with what is on disk
  service_fingerprint:
    unit: cache.service
    paths: [/etc/cache/cache.conf, /etc/cache/tls, /etc/systemd/system/cache.service]
  register: cache_state

- name: Service | Restart it
  ansible.builtin.systemd_service:
    name: cache.service
    state: restarted
    daemon_reload: true
  when: cache_state.pending
"""

RETURN = r"""
pending:
  description: Whether a start or a restart is due.
  returned: always
  type: bool
running:
  description: Whether the service runs.
  returned: always
  type: bool
enabled:
  description: Whether the unit is enabled.
  returned: always
  type: bool
reasons:
  description: Why it is due, one sentence each.
  returned: always
  type: list
  elements: str
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "paths": {"type": "list", "elements": "path", "required": True},
            "record": {"type": "path"},
            "expected": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    name = params["unit"].removesuffix(".service")
    try:
        verdict = judge(
            params["unit"],
            Path(params["record"] or f"/run/service-fingerprint/{name}"),
            [Path(path) for path in params["paths"]],
            params["expected"],
            module.run_command,
        )
    except (FingerprintError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        pending=verdict.pending,
        running=verdict.running,
        enabled=verdict.enabled,
        reasons=verdict.reasons,
    )


if __name__ == "__main__":
    main()
