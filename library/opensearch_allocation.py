#!/usr/bin/python
"""Hold shard allocation at primaries while a node restarts, and put it back."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, OpenSearchError, connect
from ansible.module_utils.opensearch_objects import plan_allocation

DOCUMENTATION = r"""
module: opensearch_allocation
short_description: Hold shard allocation while a node restarts, and put it back as it was
description:
  - While a node is away for a minute its replicas should not be built elsewhere. V(held) sets
    allocation to primaries and leaves beside it, in the cluster's own metadata, what it found.
    V(restored) puts exactly that back, also when the run that held it was killed.
  - What somebody else set is left alone by V(restored); the health gate names it.
extends_documentation_fragment: opensearch_connection
options:
  state:
    description: What is wanted.
    type: str
    required: true
    choices: [held, restored]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: research-stack
"""

EXAMPLES = r"""
- name: Put the allocation back
  opensearch_allocation:
    connection: "{{ opensearch_connection }}"
    state: restored
"""

RETURN = r"""
settings:
  description: The settings that changed, or would, with their new values.
  returned: always
  type: dict
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "state": {"type": "str", "required": True, "choices": ["held", "restored"]},
        },
        supports_check_mode=True,
    )
    try:
        client = connect(module.params["connection"])
        found = client.request("GET", "/_cluster/settings", flat_settings="true")
        plan = plan_allocation(found, module.params["state"])
        if not module.check_mode:
            client.apply(plan)
    except OpenSearchError as error:
        module.fail_json(msg=f"opensearch_allocation: {error}")
    settings = plan.changes[0].after if plan.changes else {}
    module.exit_json(changed=bool(plan.changes), settings=settings, diff=plan.diff())


if __name__ == "__main__":
    main()
