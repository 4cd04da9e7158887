#!/usr/bin/python
"""Ask whether the rolling path leads to another version."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, Client, OpenSearchError, connect
from ansible.module_utils.opensearch_gate import read_disks
from ansible.module_utils.opensearch_upgrade import Before, Wanted, may_upgrade, newest, outdated
from ansible.module_utils.opensearch_verdict import UnreadableError, effective

DOCUMENTATION = r"""
module: opensearch_upgrade_check
short_description: Ask whether a cluster may be upgraded to a version node by node
description:
  - Looks at the versions that run, the versions that made the indices, plugins, disks and
    snapshots, and answers with reasons. It changes nothing, and it asks before anything is changed,
    because an OpenSearch node cannot go back to an older version.
extends_documentation_fragment: opensearch_connection
options:
  version:
    description: The version that is wanted.
    type: str
    required: true
  plugins:
    description: Names of the plugins that will be added to its release.
    type: list
    elements: str
    default: []
  installed_plugins:
    description: Names of the plugins that were added to the releases that run.
    type: list
    elements: str
    default: []
  snapshot_hours:
    description: How old the newest complete snapshot may be.
    type: float
    default: 24
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
author: research-stack
"""

EXAMPLES = r"""
- name: Ask whether the cluster may become 3.8.0
  opensearch_upgrade_check:
    connection: "{{ opensearch_connection }}"
    version: 3.8.0
    plugins: [opensearch-security]
"""

RETURN = r"""
ok:
  description: Whether the upgrade may start.
  returned: always
  type: bool
outdated:
  description: Names of the nodes that run another version.
  returned: always
  type: list
  elements: str
snapshot_needed:
  description: Whether a snapshot is among the reasons.
  returned: always
  type: bool
reasons:
  description: >-
    Why not, each with C(text) and C(code), which is C(downgrade), C(jump), C(index_too_old),
    C(plugin_missing), C(disk_watermark), C(snapshot_missing) or C(snapshot_old).
  returned: always
  type: list
  elements: dict
"""


def read(client: Client, installed_plugins: list[str]) -> Before:
    """Read what the judgement needs.

    :raises OpenSearchError: where the cluster does not answer or refuses
    :raises UnreadableError: where an answer is not what it should be
    """
    nodes = client.request("GET", "/_nodes/_all/info", filter_path="nodes.*.name,nodes.*.version")
    settings = client.request(
        "GET", "/_cluster/settings", flat_settings="true", include_defaults="true"
    )
    indices = client.request("GET", "/_all/_settings/index.version.created", expand_wildcards="all")
    snapshots: list[dict[str, Any]] = []
    for repository in client.request("GET", "/_snapshot"):
        snapshots += client.request("GET", f"/_snapshot/{repository}/_all")["snapshots"]
    try:
        return Before(
            nodes={node["name"]: node["version"] for node in nodes["nodes"].values()},
            indices={
                name: entry["settings"]["index"]["version"]["created"]
                for name, entry in indices.items()
            },
            plugins=frozenset(installed_plugins),
            disks=read_disks(client),
            settings=effective(settings),
            snapshot_age=newest(snapshots, time.time_ns() // 1_000_000),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(f"the cluster's answer lacks {error}") from error


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "version": {"type": "str", "required": True},
            "plugins": {"type": "list", "elements": "str", "default": []},
            "installed_plugins": {"type": "list", "elements": "str", "default": []},
            "snapshot_hours": {"type": "float", "default": 24.0},
        },
        supports_check_mode=True,
    )
    params = module.params
    wanted = Wanted(
        version=params["version"],
        plugins=frozenset(params["plugins"]),
        snapshot_hours=params["snapshot_hours"],
    )
    try:
        before = read(connect(params["connection"]), params["installed_plugins"])
        verdict = may_upgrade(before, wanted)
    except (OpenSearchError, UnreadableError) as error:
        module.fail_json(msg=f"opensearch_upgrade_check: {error}")
    module.exit_json(
        changed=False,
        outdated=outdated(before, wanted),
        snapshot_needed=any(reason.code.startswith("snapshot_") for reason in verdict.reasons),
        **verdict.as_dict(),
    )


if __name__ == "__main__":
    main()
