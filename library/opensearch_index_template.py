#!/usr/bin/python
"""Manage composable index templates."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, Client, OpenSearchError, connect
from ansible.module_utils.opensearch_objects import Change, plan_existing, plan_templates

DOCUMENTATION = r"""
module: opensearch_index_template
short_description: Manage index templates of OpenSearch
description:
  - Brings a set of composable index templates to what it should be. Templates that are not named
    stay as they are, and so do existing indices but for the settings in O(existing).
extends_documentation_fragment: opensearch_connection
options:
  templates:
    description:
      - Templates by name, each with C(index_patterns), C(priority), C(settings) (nested or dotted,
        with or without C(index.)), C(mappings) and C(aliases).
    type: dict
    default: {}
  existing:
    description:
      - Settings of O(templates) that the indices which match their patterns take over also when
        they are there already, C(number_of_replicas) for instance. Only settings that a live index
        can change.
    type: list
    elements: str
    default: []
  absent:
    description: Names of templates that must not be there.
    type: list
    elements: str
    default: []
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: research-stack
"""

EXAMPLES = r"""
- name: Objects | Set the template of the library
  opensearch_index_template:
    connection: "{{ opensearch_connection }}"
    templates:
      research_assistant:
        index_patterns: ["research_assistant*"]
        priority: 100
        settings: {number_of_shards: 3, number_of_replicas: 1}
"""

RETURN = r"""
changes:
  description: Names of the templates and of the indices that changed, or would.
  returned: always
  type: list
  elements: str
"""


def existing(client: Client, templates: dict[str, Any], names: list[str]) -> list[Change]:
    """Plan what the templates' indices take over.

    :raises OpenSearchError: where the cluster does not answer or refuses
    """
    patterns = [
        pattern for template in templates.values() for pattern in template["index_patterns"]
    ]
    if not patterns:
        return []
    path = f"/{','.join(patterns)}/_settings"
    found = client.request("GET", path, flat_settings="true", ignore_unavailable="true")
    return plan_existing(found, templates, names).changes


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "templates": {"type": "dict", "default": {}},
            "existing": {"type": "list", "elements": "str", "default": []},
            "absent": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    for name, template in params["templates"].items():
        if not (isinstance(template, dict) and template.get("index_patterns")):
            module.fail_json(msg=f"opensearch_index_template: {name} has no index_patterns")
    try:
        client = connect(params["connection"])
        found = client.get("/_index_template", flat_settings="true")
        plan = plan_templates(found, params["templates"], params["absent"])
        if params["existing"]:
            plan.changes += existing(client, params["templates"], params["existing"])
        if not module.check_mode:
            client.apply(plan)
    except OpenSearchError as error:
        module.fail_json(msg=f"opensearch_index_template: {error}")
    names = [change.name for change in plan.changes]
    module.exit_json(changed=bool(names), changes=names, diff=plan.diff())


if __name__ == "__main__":
    main()
