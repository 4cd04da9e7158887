#!/usr/bin/python
"""Take the vote from nodes that are to leave a cluster, and give it back."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, OpenSearchError, connect
from ansible.module_utils.opensearch_gate import read_exclusions
from ansible.module_utils.opensearch_objects import plan_voting

DOCUMENTATION = r"""
module: opensearch_voting_exclusion
short_description: Take the vote from managers that are to leave an OpenSearch cluster
description:
  - With V(excluded) the nodes are taken out of those who vote, and the module returns when the
    cluster has done so; an elected manager hands over first.
  - With V(cleared) the nodes may vote again. The server can only forget all exclusions at once, so
    those of other nodes are set again.
extends_documentation_fragment: opensearch_connection
options:
  state:
    description: What is wanted.
    type: str
    required: true
    choices: [excluded, cleared]
  nodes:
    description: Names of the nodes.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds to wait until the nodes do not vote any more.
    type: int
    default: 60
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: research-stack
"""

EXAMPLES = r"""
- name: Take the vote from os4
  opensearch_voting_exclusion:
    connection: "{{ opensearch_connection }}"
    nodes: [os4]
    state: excluded
"""

RETURN = r"""
excluded:
  description: Names of all nodes whose vote is taken, or would be.
  returned: always
  type: list
  elements: str
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "state": {"type": "str", "required": True, "choices": ["excluded", "cleared"]},
            "nodes": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    # The server answers when the vote is gone, or when its own time is up.
    slowest = {"timeout": max(params["connection"].get("timeout") or 0, params["timeout"] + 10)}
    try:
        client = connect({**params["connection"], **slowest})
        found = read_exclusions(client)
        plan = plan_voting(found, params["nodes"], params["state"], params["timeout"])
        if not module.check_mode:
            client.apply(plan)
    except OpenSearchError as error:
        module.fail_json(msg=f"opensearch_voting_exclusion: {error}")
    excluded = [entry["node_name"] for entry in found]
    if plan.changes:
        excluded = plan.changes[-1].after
    module.exit_json(changed=bool(plan.changes), excluded=excluded, diff=plan.diff())


if __name__ == "__main__":
    main()
