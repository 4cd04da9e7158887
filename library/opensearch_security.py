#!/usr/bin/python
"""Manage the users, roles and role mappings of the security plugin."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, Client, OpenSearchError, connect
from ansible.module_utils.opensearch_objects import (
    SECURITY,
    Plan,
    User,
    plan_mappings,
    plan_nodes,
    plan_purge,
    plan_roles,
    plan_users,
)

DOCUMENTATION = r"""
module: opensearch_security
short_description: Manage the users, roles and role mappings of OpenSearch
description:
  - Brings all users, roles and mappings of an inventory into the security plugin in one task,
    through its REST API with the administrator's client certificate.
  - Whether a user's password is the wanted one is found out by logging in with it. No password is
    read back, logged or shown.
extends_documentation_fragment: opensearch_connection
options:
  users:
    description: The internal users.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      password: {description: Password., type: str, required: true}
      roles: {description: Roles that the user has., type: list, elements: str, default: []}
      description: {description: What it is for., type: str, default: ""}
  roles:
    description: The roles by name, as the plugin's API takes them.
    type: dict
    default: {}
  nodes:
    description:
      - The nodes that may join, by the names in their certificates, under the name of the cluster.
        Running nodes take it over at once where they were started with
        C(plugins.security.nodes_dn_dynamic_config_enabled).
    type: dict
    default: {}
  purge:
    description: Remove users, roles and mapped users that are not listed and not the plugin's own.
    type: bool
    default: false
attributes:
  check_mode: {support: full}
  diff_mode:
    support: full
    description: Says of a password only whether it is the wanted one.
author: research-stack
"""

EXAMPLES = r"""
- name: Objects | Set users and roles
  opensearch_security:
    connection: "{{ opensearch_connection }}"
    users:
      - {name: research_app, password: "{{ vault_opensearch_app_password }}", roles: [research_app]}
    roles:
      research_app:
        index_permissions:
          - {index_patterns: ["research_assistant*"], allowed_actions: [crud, create_index]}
"""

RETURN = r"""
changes:
  description: The objects that changed, or would.
  returned: always
  type: list
  elements: str
"""

NO_SUCH_ROUTE = (400, 404, 405)
USER_SPEC = {
    "name": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "roles": {"type": "list", "elements": "str", "default": []},
    "description": {"type": "str", "default": ""},
}


def read(client: Client, kind: str) -> dict[str, Any]:
    """Return all objects of a kind.

    :raises OpenSearchError: where the answer is no set of objects
    """
    answer = client.request("GET", f"{SECURITY}/{kind}")
    if not isinstance(answer, dict):
        raise OpenSearchError(f"the security API's list of {kind} cannot be read")
    return answer


def read_nodes(client: Client) -> dict[str, Any]:
    """Return the nodes that may join, none where the server was started without that list.

    :raises OpenSearchError: as read does
    """
    try:
        return read(client, "nodesdn")
    except OpenSearchError as error:
        if error.status in NO_SUCH_ROUTE:
            return {}
        raise


def make_plan(client: Client, params: dict[str, Any]) -> Plan:
    """Compare everything and return the requests, roles before those who get them."""
    nodes = plan_nodes(read_nodes(client), params["nodes"]) if params["nodes"] else Plan()
    if not (params["users"] or params["roles"] or params["purge"]):
        return nodes
    users = [
        User(u["name"], u["password"], tuple(u["roles"]), u["description"]) for u in params["users"]
    ]
    found = {kind: read(client, kind) for kind in ("internalusers", "roles", "rolesmapping")}
    fits = {
        user.name: client.authenticates(user.name, user.password)
        for user in users
        if user.name in found["internalusers"]
    }
    plans = [
        nodes,
        plan_roles(found["roles"], params["roles"]),
        plan_users(found["internalusers"], users, fits),
        plan_mappings(found["rolesmapping"], users, params["purge"]),
    ]
    if params["purge"]:
        names = [user.name for user in users]
        plans.append(plan_purge(found["internalusers"], names, "internalusers", "user"))
        plans.append(plan_purge(found["roles"], list(params["roles"]), "roles", "role"))
    return Plan([change for plan in plans for change in plan.changes])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "users": {"type": "list", "elements": "dict", "default": [], "options": USER_SPEC},
            "roles": {"type": "dict", "default": {}},
            "nodes": {"type": "dict", "default": {}},
            "purge": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        client = connect(module.params["connection"])
        plan = make_plan(client, module.params)
        if not module.check_mode:
            client.apply(plan)
    except OpenSearchError as error:
        module.fail_json(msg=f"opensearch_security: {error}")
    names = [change.name for change in plan.changes]
    module.exit_json(changed=bool(names), changes=names, diff=plan.diff())


if __name__ == "__main__":
    main()
