#!/usr/bin/python
"""Restore indices from a snapshot and prove that they are what was snapshotted."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, OpenSearchError, connect
from ansible.module_utils.opensearch_snapshot import (
    Manifest,
    Proof,
    RestorePlan,
    choose,
    select,
)
from ansible.module_utils.opensearch_snapshot_api import Restoring, list_snapshots

DOCUMENTATION = r"""
module: opensearch_restore
short_description: Restore indices from a snapshot and prove them
description:
  - Restores indices, write-blocked, compares the number of documents and the hash of the sampled
    ones with the snapshot's manifest, and only then lets people write.
  - An open index that holds something else is never overwritten; one that nobody has ever written
    to is, since an application may have made it on a new cluster. One that holds what the snapshot
    holds is left as it is, also if it was written to since.
  - A run that was stopped is resumed by the next one.
extends_documentation_fragment: opensearch_connection
options:
  repository: {description: Name of the repository., type: str, required: true}
  snapshot:
    description: Name of the snapshot; the newest complete one where none is given.
    type: str
    default: ""
  indices:
    description:
      - Names and patterns of the snapshot's indices. Those that begin with a dot are restored only
        by a pattern that does so too.
    type: list
    elements: str
    default: ["*"]
  rename: {description: Another name for the one index that is restored., type: str, default: ""}
  security:
    description: Restore the security index, too, over the one of this cluster.
    type: bool
    default: false
  settings:
    description: Index settings that replace the own ones; null leaves an own one out.
    type: dict
    default: {}
  timeout: {description: Seconds to wait for all shards., type: int, default: 3600}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: research-stack
"""

EXAMPLES = r"""
- name: Restore | Put the index of yesterday beside the live one
  opensearch_restore:
    connection: "{{ opensearch_connection }}"
    repository: research
    snapshot: research-20261124-0300
    indices: [research_assistant]
    rename: research_assistant-yesterday
"""

RETURN = r"""
snapshot:
  description: Name of the snapshot.
  returned: always
  type: str
restored:
  description: By index, the number of documents that is proved, or would be restored.
  returned: always
  type: dict
unchanged:
  description: By index, the number of documents of those that were there already.
  returned: always
  type: dict
writes:
  description: By index, the operations that are later than the manifest.
  returned: always
  type: dict
"""


def summary(
    manifest: Manifest, plan: RestorePlan, proofs: dict[str, Proof]
) -> dict[str, dict[str, Any]]:
    """Return what was done, for people, and the diff."""
    worked = [*plan.to_restore, *plan.resume]
    counts = {t.name: manifest.indices[t.source].documents for t in [*worked, *plan.done]}
    before = {t.name: "unproved" if t.ours else t.state for t in worked}
    return {
        "restored": {t.name: counts[t.name] for t in worked},
        "unchanged": {t.name: counts[t.name] for t in plan.done},
        "writes": {name: proof.writes for name, proof in proofs.items() if proof.writes},
        "diff": {
            "before": before,
            "after": {t.name: f"{counts[t.name]} documents" for t in worked},
        },
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "repository": {"type": "str", "required": True},
            "snapshot": {"type": "str", "default": ""},
            "indices": {"type": "list", "elements": "str", "default": ["*"]},
            "rename": {"type": "str", "default": ""},
            "security": {"type": "bool", "default": False},
            "settings": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        client = connect(params["connection"])
        chosen = choose(list_snapshots(client, params["repository"]), params["snapshot"])
        restoring = Restoring(client, params["repository"], chosen, params["timeout"])
        names = select(restoring.manifest, params["indices"], params["rename"], params["security"])
        plan = restoring.plan(names)
        proofs = {} if module.check_mode else restoring.run(plan, params["settings"])
    except OpenSearchError as error:
        module.fail_json(msg=f"opensearch_restore: {error}")
    result = summary(restoring.manifest, plan, proofs)
    changed = bool(plan.to_restore or plan.resume)
    module.exit_json(changed=changed, snapshot=chosen.name, **result)


if __name__ == "__main__":
    main()
