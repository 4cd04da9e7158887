#!/usr/bin/python
"""Keep alerts from being sent for a while."""

from __future__ import annotations

from datetime import UTC, datetime

from ansible.module_utils.alertmanager_silences import (
    Alertmanager,
    SilenceError,
    Wanted,
    parse_matcher,
    plan_absent,
    plan_present,
)
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: alertmanager_silence
short_description: Keep alerts from being sent for a while
description:
  - Makes, prolongs or lifts a silence, through the interface that Alertmanager has on loopback; so
    it runs on a monitoring host. With several of them one suffices, they tell each other.
  - A silence ends by itself after O(seconds), so that one that was left behind by a run that was
    killed hides nothing for long.
options:
  url:
    description: Where Alertmanager answers.
    type: str
    default: http://127.0.0.1:9093
  state:
    description:
      - V(present) makes the silence where there is none that lasts at least half of O(seconds), and
        prolongs one that does not.
      - V(absent) ends those of O(owner) and O(comment); with O(matchers), those alone.
    type: str
    choices: [present, absent]
    default: present
  matchers:
    description: >-
      What alerts are silenced, all of it at once (C(host=os1), C(severity!=page),
      C(subject=~search_.*)). Needed for V(present).
    type: list
    elements: str
    default: []
  seconds:
    description: How long it holds.
    type: int
    default: 3600
  comment:
    description: What it is for. With O(owner) this is how it is found again.
    type: str
    required: true
  owner:
    description: Whose it is.
    type: str
    default: research-stack
attributes:
  check_mode:
    support: full
    description: Asks Alertmanager and changes nothing.
author: research-stack
"""

EXAMPLES = r"""
- name: Silence what the restart disturbs
  alertmanager_silence:
    matchers: [host=os1]
    seconds: 1800
    comment: restart of os1

- name: Lift it
  alertmanager_silence:
    state: absent
    comment: restart of os1
"""

RETURN = r"""
silence:
  description: Identity of the silence that was made or prolonged.
  returned: when one was
  type: str
ended:
  description: Identities of those that were lifted.
  returned: always
  type: list
  elements: str
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": "http://127.0.0.1:9093"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "matchers": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "int", "default": 3600},
            "comment": {"type": "str", "required": True},
            "owner": {"type": "str", "default": "research-stack"},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        matchers = [parse_matcher(text) for text in given["matchers"]]
        if given["state"] == "present" and not matchers:
            raise SilenceError("a silence needs matchers: without one it would silence everything")
        wanted = Wanted(matchers, given["owner"], given["comment"], given["seconds"])
        alertmanager = Alertmanager(given["url"])
        found = alertmanager.silences()
        if given["state"] == "present":
            plan = plan_present(found, wanted, datetime.now(UTC))
        else:
            plan = plan_absent(found, wanted)
        made = "" if module.check_mode else alertmanager.apply(plan)
    except SilenceError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=plan.changed, silence=made, ended=list(plan.ended))


if __name__ == "__main__":
    main()
