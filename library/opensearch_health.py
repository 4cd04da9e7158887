#!/usr/bin/python
"""The health gate: ask a cluster a question and wait for a yes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, Client, OpenSearchError, connect
from ansible.module_utils.opensearch_gate import (
    await_verdict,
    explainer,
    failed_unit,
    read_disks,
    read_state,
    security_is_up,
)
from ansible.module_utils.opensearch_objects import ALLOCATION_FOUND
from ansible.module_utils.opensearch_removal import has_left, has_shards, may_drain, may_remove
from ansible.module_utils.opensearch_verdict import (
    ClusterState,
    Verdict,
    cluster_serves,
    has_joined,
    is_back,
    may_stop,
    restart_order,
)

DOCUMENTATION = r"""
module: opensearch_health
short_description: Ask an OpenSearch cluster whether the next step is safe
description:
  - Colour is no verdict. This module asks a question, waits for a yes until the deadline, and
    answers with reasons. An answer that it cannot read is a no.
  - Changes nothing.
extends_documentation_fragment: opensearch_connection
options:
  question:
    description:
      - V(cluster_serves), a manager is elected, every primary is started and users can log in.
      - V(may_stop), stopping O(node) leaves every shard a started copy and the managers a majority.
      - V(has_joined), O(node) is a member and runs O(version).
      - V(is_back), as before, and its shards are recovered.
      - V(has_shards), O(node) has taken shards and no copy is on its way any more.
      - V(may_drain), the others can take over the shards and the vote of O(node).
      - V(may_remove), nothing is on O(node) any more and it has no vote, so it can go for good.
      - V(has_left), O(node) is no member any more and every primary is started.
    type: str
    required: true
    choices:
      - cluster_serves
      - may_stop
      - has_joined
      - is_back
      - has_shards
      - may_drain
      - may_remove
      - has_left
  node:
    description: Name of the node that the question is about.
    type: str
  version:
    description: Version that the node must run.
    type: str
  nodes:
    description: Least number of members for V(cluster_serves).
    type: int
    default: 0
  order:
    description: Names of nodes that are to restart; they come back in the order that is safest.
    type: list
    elements: str
    default: []
  accept_outage:
    description: Let V(may_stop) pass where stopping the node means an interruption but no loss.
    type: bool
    default: false
  accept_fewer_managers:
    description: Let V(may_drain) pass where fewer than three managers are left.
    type: bool
    default: false
  timeout:
    description: Seconds to wait for a yes; 0 asks once.
    type: int
    default: 0
  interval:
    description: Seconds between two questions.
    type: float
    default: 2
  unit:
    description:
      - Systemd unit of the host that the module runs on. Waiting ends when it has failed, since a
        process that does not start never says yes.
    type: str
  fail:
    description: Whether a no is a failure.
    type: bool
    default: true
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: research-stack
"""

EXAMPLES = r"""
- name: Wait until os2 may be stopped
  opensearch_health:
    connection:
      urls: [https://os1:9200]
      ca: /etc/research-pki/ca.pem
      client_certificate: /etc/research-pki/opensearch-admin.pem
      client_key: /etc/research-pki/opensearch-admin.pem.key
    question: may_stop
    node: os2
    timeout: 600
"""

RETURN = r"""
ok:
  description: The answer.
  returned: always
  type: bool
reasons:
  description: Why it is a no, each with C(code) and C(text), and C(node), C(index), C(shard).
  returned: always
  type: list
  elements: dict
notes:
  description: What to know about a yes, in the same form.
  returned: always
  type: list
  elements: dict
history:
  description: What the answer was, and when it changed.
  returned: always
  type: list
  elements: str
allocation_held:
  description: Whether a run holds the shard allocation, or did and was killed.
  returned: always
  type: bool
order:
  description: O(order), sorted; the elected manager is last.
  returned: when O(order) is given
  type: list
  elements: str
"""

NEEDS_NODE = (
    "may_stop",
    "has_joined",
    "is_back",
    "has_shards",
    "may_drain",
    "may_remove",
    "has_left",
)


class Question:
    """A question with its parameters; remembers what else was seen with the last answer."""

    def __init__(self, client: Client, params: dict[str, Any]) -> None:
        """Keep what is needed to ask."""
        self.client = client
        self.params = params
        self.order: list[str] = []
        self.allocation_held = False

    def ask(self) -> Verdict:
        """Read the cluster's state and judge it."""
        question = self.params["question"]
        leaving = question in ("may_drain", "may_remove")
        state = read_state(self.client, defaults=leaving)
        self.order = restart_order(state, self.params["order"])
        self.allocation_held = ALLOCATION_FOUND in state.settings
        if question == "cluster_serves":
            return self._serves(state)
        return self._about_node(question, self.params["node"], state)

    def _serves(self, state: ClusterState) -> Verdict:
        verdict = cluster_serves(state, self.params["node"], self.params["nodes"])
        if verdict.ok and not security_is_up(self.client):
            verdict.no("security_not_ready", "the security plugin has not read its users yet")
        return verdict

    def _about_node(self, question: str, node: str, state: ClusterState) -> Verdict:
        params = self.params
        verdicts: dict[str, Callable[[], Verdict]] = {
            "may_stop": lambda: may_stop(state, node, params["accept_outage"]),
            "has_joined": lambda: has_joined(state, node, params["version"]),
            "is_back": lambda: is_back(state, node, params["version"], explainer(self.client)),
            "has_shards": lambda: has_shards(state, node),
            "may_drain": lambda: may_drain(
                state, node, read_disks(self.client), params["accept_fewer_managers"]
            ),
            "may_remove": lambda: may_remove(state, node),
            "has_left": lambda: has_left(state, node),
        }
        return verdicts[question]()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "question": {
                "type": "str",
                "required": True,
                "choices": ["cluster_serves", *NEEDS_NODE],
            },
            "node": {"type": "str"},
            "version": {"type": "str"},
            "nodes": {"type": "int", "default": 0},
            "order": {"type": "list", "elements": "str", "default": []},
            "accept_outage": {"type": "bool", "default": False},
            "accept_fewer_managers": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 0},
            "interval": {"type": "float", "default": 2.0},
            "unit": {"type": "str"},
            "fail": {"type": "bool", "default": True},
        },
        required_if=[("question", name, ["node"]) for name in NEEDS_NODE],
        supports_check_mode=True,
    )
    params = module.params
    try:
        question = Question(connect(params["connection"]), params)
        verdict, history = await_verdict(
            question.ask, params["timeout"], params["interval"], failed_unit(params["unit"])
        )
    except OpenSearchError as error:
        module.fail_json(msg=f"opensearch_health: {error}")
    seen = {"order": question.order, "allocation_held": question.allocation_held}
    result = {**verdict.as_dict(), **seen, "history": history, "changed": False}
    if not verdict.ok and params["fail"]:
        about = f"{params['question']}({params['node'] or ''})"
        module.fail_json(msg=f"{about} is a no: {verdict.sentence()}", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
