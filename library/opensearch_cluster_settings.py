#!/usr/bin/python
"""Manage persistent cluster settings."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, OpenSearchError, connect
from ansible.module_utils.opensearch_objects import plan_cluster_settings

DOCUMENTATION = r"""
module: opensearch_cluster_settings
short_description: Manage persistent settings of an OpenSearch cluster
description:
  - Sets what differs, in one request. Settings that are not named stay as they are.
extends_documentation_fragment: opensearch_connection
options:
  settings:
    description: Settings, nested or dotted. A null resets one to the server's default.
    type: dict
    required: true
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: research-stack
"""

EXAMPLES = r"""
- name: Objects | Set the disk watermarks
  opensearch_cluster_settings:
    connection: "{{ opensearch_connection }}"
    settings:
      cluster.routing.allocation.disk.watermark.low: 85%
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
        argument_spec={**CONNECTION_SPEC, "settings": {"type": "dict", "required": True}},
        supports_check_mode=True,
    )
    try:
        client = connect(module.params["connection"])
        found = client.request("GET", "/_cluster/settings", flat_settings="true")
        plan = plan_cluster_settings(found, module.params["settings"])
        if not module.check_mode:
            client.apply(plan)
    except OpenSearchError as error:
        module.fail_json(msg=f"opensearch_cluster_settings: {error}")
    settings = plan.changes[0].after if plan.changes else {}
    module.exit_json(changed=bool(plan.changes), settings=settings, diff=plan.diff())


if __name__ == "__main__":
    main()
