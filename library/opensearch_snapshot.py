#!/usr/bin/python
"""Take, verify, delete and prune snapshots."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, Client, OpenSearchError, connect
from ansible.module_utils.opensearch_snapshot import (
    RUNNING,
    Snapshot,
    plan_prune,
    why_not_good,
)
from ansible.module_utils.opensearch_snapshot_api import (
    Taking,
    check_snapshot,
    find_snapshot,
    list_snapshots,
    open_indices,
)

DOCUMENTATION = r"""
module: opensearch_snapshot
short_description: Take, verify, delete and prune snapshots
description:
  - A snapshot that is taken here carries a manifest in its metadata, by index the number of
    documents, the checkpoint that each shard had reached, and a hash of a sample of documents, so
    that opensearch_restore can prove what it restored. People may go on writing meanwhile.
  - Pruning never touches the newest complete snapshot, one that is running, or one without a
    manifest, which somebody else took.
extends_documentation_fragment: opensearch_connection
options:
  repository: {description: Name of the repository., type: str, required: true}
  state:
    description:
      - V(present), O(name) is there and complete; one that runs is waited for, one that failed is
        taken again.
      - V(verified), all shards of O(name) lie in the repository and its manifest is complete.
      - V(absent), O(name) is deleted.
      - V(pruned), only O(keep) and what is younger than O(max_age) stays.
    type: str
    choices: [present, verified, absent, pruned]
    default: present
  name: {description: Name of the snapshot., type: str}
  indices:
    description: Names and patterns of the indices to take; only open ones are.
    type: list
    elements: str
    default: ["research_assistant*"]
  timeout: {description: Seconds to wait for the snapshot., type: int, default: 3600}
  keep: {description: How many complete ones stay; 0 for any number., type: int, default: 0}
  max_age: {description: Days that one is kept; 0 for ever., type: int, default: 0}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: research-stack
"""

EXAMPLES = r"""
- name: Snapshot | Take it
  opensearch_snapshot:
    connection: "{{ opensearch_connection }}"
    repository: research
    name: research-20261124-0300

- name: Snapshot | Remove old ones
  opensearch_snapshot:
    connection: "{{ opensearch_connection }}"
    repository: research
    state: pruned
    keep: 14
    max_age: 30
"""

RETURN = r"""
indices:
  description: By index of the snapshot, the number of documents that the manifest tells.
  returned: for V(present) and V(verified), where there is a snapshot
  type: dict
removed:
  description: By name, why a snapshot was deleted, or would be.
  returned: for V(pruned)
  type: dict
kept:
  description: The snapshots that stay, the newest last.
  returned: for V(pruned)
  type: list
  elements: str
history:
  description: How it went on.
  returned: where one was taken
  type: list
  elements: str
notes:
  description: What to know about it.
  returned: where one was taken
  type: list
  elements: str
"""


def described(snapshot: Snapshot | None) -> dict[str, Any]:
    """Return what the manifest says, for people."""
    manifest = snapshot.manifest if snapshot else None
    counts = (
        {name: record.documents for name, record in manifest.indices.items()} if manifest else {}
    )
    return {"indices": counts}


def present(client: Client, params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Take a snapshot where it is not there."""
    repository, name = params["repository"], params["name"]
    found = find_snapshot(client, repository, name)
    if found and found.good:
        return {"changed": False, "diff": diff(name, found.state, found.state), **described(found)}
    if found and found.manifest is None:
        raise OpenSearchError(why_not_good(found))
    taking = Taking(client, repository, name, params["timeout"])
    before = found.state if found else "absent"
    if not check:
        if found and found.state == RUNNING:
            found = taking.wait()
        else:
            if found:
                taking.delete()
            found = taking.take(open_indices(client, params["indices"]))
    told = {"history": taking.history, "notes": taking.notes, **described(found)}
    return {"changed": True, "diff": diff(name, before, "SUCCESS"), **told}


def verified(client: Client, params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Check that a snapshot is whole."""
    return {
        "changed": False,
        **described(check_snapshot(client, params["repository"], params["name"])),
    }


def absent(client: Client, params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Delete a snapshot."""
    found = find_snapshot(client, params["repository"], params["name"])
    if found and not check:
        Taking(client, params["repository"], params["name"], 0).delete()
    before = found.state if found else "absent"
    return {"changed": bool(found), "diff": diff(params["name"], before, "absent")}


def pruned(client: Client, params: dict[str, Any], check: bool) -> dict[str, Any]:
    """Delete what is old or too much."""
    snapshots = list_snapshots(client, params["repository"])
    doomed = plan_prune(snapshots, time.time(), params["keep"], params["max_age"])
    for name in () if check else doomed:
        Taking(client, params["repository"], name, 0).delete()
    ordered = [s.name for s in sorted(snapshots, key=lambda snapshot: snapshot.started)]
    kept = [name for name in ordered if name not in doomed]
    changes = {"before": {"snapshots": ordered}, "after": {"snapshots": kept}}
    return {"changed": bool(doomed), "removed": doomed, "kept": kept, "diff": changes}


def diff(name: str, before: str, after: str) -> dict[str, dict[str, str]]:
    """Return a snapshot's state before and after."""
    return {"before": {name: before}, "after": {name: after}}


STATES = {"present": present, "verified": verified, "absent": absent, "pruned": pruned}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "repository": {"type": "str", "required": True},
            "state": {"type": "str", "choices": list(STATES), "default": "present"},
            "name": {"type": "str"},
            "indices": {"type": "list", "elements": "str", "default": ["research_assistant*"]},
            "timeout": {"type": "int", "default": 3600},
            "keep": {"type": "int", "default": 0},
            "max_age": {"type": "int", "default": 0},
        },
        required_if=[("state", state, ["name"]) for state in ("present", "verified", "absent")],
        supports_check_mode=True,
    )
    try:
        client = connect(module.params["connection"])
        result = STATES[module.params["state"]](client, module.params, module.check_mode)
    except OpenSearchError as error:
        module.fail_json(msg=f"opensearch_snapshot: {error}")
    for note in result.get("notes", ()):
        module.warn(note)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
