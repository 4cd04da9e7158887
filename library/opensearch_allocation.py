#!/usr/bin/python
"""Hold shard allocation while a node restarts, or keep shards off a node, and undo both."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, Client, OpenSearchError, connect
from ansible.module_utils.opensearch_drain import await_drained
from ansible.module_utils.opensearch_keeper import RETRY_PATH, STATE_PATH, stuck
from ansible.module_utils.opensearch_objects import plan_allocation, plan_exclusion

DOCUMENTATION = r"""
module: opensearch_allocation
short_description: Hold shard allocation while a node restarts, or drain nodes
description:
  - While a node is away for a minute its replicas should not be built elsewhere. V(held) sets
    allocation to primaries and leaves beside it, in the cluster's own metadata, what it found.
    V(restored) puts exactly that back, also when the run that held it was killed.
  - What somebody else set is left alone by V(restored); the health gate names it.
  - V(excluded) moves all shards off O(nodes) by adding them to the names that are excluded from
    allocation, and V(included) takes away what V(excluded) added. What others excluded stays.
  - V(drained) changes nothing. It waits until no shard is on O(nodes) by the cluster's state, and
    fails early, with the reason, when nothing moves any more.
  - V(retried) lets the cluster try again to assign the copies that it has given up after five
    tries, where a copy of their data is there. Others stay as they are.
extends_documentation_fragment: opensearch_connection
options:
  state:
    description: What is wanted.
    type: str
    required: true
    choices: [held, restored, retried, excluded, included, drained]
  nodes:
    description: Names of the nodes to drain.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait in V(drained); 0 looks once.
    type: int
    default: 0
  interval:
    description: Seconds between two looks.
    type: float
    default: 2
  stall:
    description: Seconds without any movement after which V(drained) gives up.
    type: int
    default: 120
  fail:
    description: Whether V(drained) fails when time is up. It fails in any case when nothing moves.
    type: bool
    default: true
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

- name: Move the shards off os4
  opensearch_allocation:
    connection: "{{ opensearch_connection }}"
    nodes: [os4]
    state: excluded

- name: Wait until they are gone
  opensearch_allocation:
    connection: "{{ opensearch_connection }}"
    nodes: [os4]
    state: drained
    timeout: 3600
"""

RETURN = r"""
settings:
  description: The settings that changed, or would, with their new values.
  returned: unless O(state=drained) or O(state=retried)
  type: dict
shards:
  description: The copies that are tried again, or would be.
  returned: when O(state=retried)
  type: list
  elements: str
drained:
  description: Whether nothing is left on the nodes.
  returned: when O(state=drained)
  type: bool
shards_left:
  description: Copies that are still on the nodes, or on their way to them.
  returned: when O(state=drained)
  type: int
bytes_left:
  description: Bytes that are still on the nodes.
  returned: when O(state=drained)
  type: int
bytes_moved:
  description: Bytes that went since the module began to look.
  returned: when O(state=drained)
  type: int
seconds:
  description: How long it looked.
  returned: when O(state=drained)
  type: float
seconds_per_gb:
  description: Seconds for each GiB that moved; nothing where none did.
  returned: when O(state=drained)
  type: float
reasons:
  description: Why nothing moves, or why an answer could not be read.
  returned: when O(state=drained)
  type: list
  elements: str
history:
  description: What was left, and when it changed.
  returned: when O(state=drained)
  type: list
  elements: str
"""


STATES = ["held", "restored", "retried", "excluded", "included", "drained"]


def wait(module: AnsibleModule, client: Client) -> None:
    """Wait until the nodes are drained, and leave the module.

    :raises OpenSearchError: where asking again is pointless
    """
    params = module.params
    drain = await_drained(
        client, params["nodes"], params["timeout"], params["interval"], params["stall"]
    )
    result = {**drain.as_dict(), "changed": False}
    if drain.drained or (not drain.reasons and not params["fail"]):
        module.exit_json(**result)
    why = "; ".join(drain.reasons) or f"{drain.shards_left} shards are left, and time is up"
    module.fail_json(msg=f"opensearch_allocation: not drained: {why}", **result)


def retry(module: AnsibleModule, client: Client) -> None:
    """Let the cluster try again what it has given up, and leave the module.

    :raises OpenSearchError: where the cluster does not answer or refuses
    """
    try:
        shards = stuck(client.request, client.request("GET", STATE_PATH))
    except (KeyError, TypeError, AttributeError) as error:
        raise OpenSearchError(f"the cluster's answer lacks {error}") from error
    if shards and not module.check_mode:
        client.request("POST", RETRY_PATH)
    after = "\n".join(f"{shard}: tried again" for shard in shards)
    module.exit_json(changed=bool(shards), shards=shards, diff={"before": "", "after": after})


def main() -> None:
    """Run the module."""
    nodes = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "state": {"type": "str", "required": True, "choices": STATES},
            "nodes": nodes,
            "timeout": {"type": "int", "default": 0},
            "interval": {"type": "float", "default": 2.0},
            "stall": {"type": "int", "default": 120},
            "fail": {"type": "bool", "default": True},
        },
        required_if=[("state", state, ["nodes"]) for state in STATES[3:]],
        supports_check_mode=True,
    )
    state = module.params["state"]
    try:
        client = connect(module.params["connection"])
        if state == "drained":
            wait(module, client)
        if state == "retried":
            retry(module, client)
        found = client.request("GET", "/_cluster/settings", flat_settings="true")
        if state in ("held", "restored"):
            plan = plan_allocation(found, state)
        else:
            plan = plan_exclusion(found, module.params["nodes"], state)
        if not module.check_mode:
            client.apply(plan)
    except OpenSearchError as error:
        module.fail_json(msg=f"opensearch_allocation: {error}")
    settings = plan.changes[0].after if plan.changes else {}
    module.exit_json(changed=bool(plan.changes), settings=settings, diff=plan.diff())


if __name__ == "__main__":
    main()
