#!/usr/bin/python
"""Take the lock of a site, so that one run at a time changes it."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.run_lock import Claim, Folder, refusal

DOCUMENTATION = r"""
module: run_lock
short_description: Take the lock of a site, so that one run at a time changes it
description:
  - Notes on a host which run changes the site. A small process on the controller then says every
    few seconds that the run lives, gives the lock back when it has ended, and ends with it; so a
    run that was killed is forgotten when it was not heard of for O(expiry) seconds.
  - Within one run it can be taken again and again; that contacts no host.
  - A run in check mode changes nothing, so it needs no lock and passes.
options:
  path:
    description: Folder on the host, which should not outlive a start of the host.
    type: path
    required: true
  expiry:
    description: Seconds without a sign after which a run counts as dead.
    type: float
    default: 60
  hosts:
    description: On how many hosts the lock is to be taken; read by the action, which counts them.
    type: int
    default: 3
  claim:
    description: The run, as the action describes it.
    type: dict
attributes:
  check_mode:
    support: full
    description: It takes nothing and refuses nobody.
  diff_mode:
    support: none
author: research-stack
"""

EXAMPLES = r"""
- name: Take the lock of the site
  run_lock:
    path: /run/research-run
  loop: "{{ groups['all'] | sort }}"
  loop_control:
    loop_var: run_lock_host
    break_when:
      - run_lock_taken is failed or run_lock_taken.enough
  delegate_to: "{{ run_lock_host }}"
  run_once: true
  register: run_lock_taken
"""

RETURN = r"""
enough:
  description: Whether the run has the lock on as many hosts as it should; then no more are asked.
  returned: success
  type: bool
  sample: true
taken:
  description: Whether the run has the lock on a host.
  returned: success
  type: bool
  sample: true
reason:
  description: Why the host could not be asked.
  returned: when it could not
  type: str
  sample: connect to host 10.0.0.31 port 22 timed out
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "expiry": {"type": "float", "default": 60},
            "hosts": {"type": "int", "default": 3},
            "claim": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    if module.check_mode or not module.params["claim"]:
        module.exit_json(changed=False)
    other = Folder(module.params["path"]).take(Claim(**module.params["claim"]))
    if other:
        module.fail_json(msg=refusal(other), refused=other.claim.owner)
    module.exit_json(changed=False, taken=True)


if __name__ == "__main__":
    main()
