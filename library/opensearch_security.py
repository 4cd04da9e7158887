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
    plan_absent,
    plan_audit,
    plan_failure_listeners,
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
  audit:
    description:
      - Settings of the audit log, as the plugin's API takes them. What is not given stays as it is.
    type: dict
    default: {}
  failure_listeners:
    description:
      - Limits of failed sign-ins by name, as the plugin's API takes them. Where one is given, those
        that are not are removed.
    type: dict
    default: {}
  purge:
    description: Remove users, roles and mapped users that are not listed and not the plugin's own.
    type: bool
    default: false
  kept:
    description: Users, and roles of these names, that O(purge) leaves alone.
    type: list
    elements: str
    default: []
  absent:
    description: Users to remove, with the roles of these names.
    type: list
    elements: str
    default: []
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
      - name: research_worker
        password: "{{ vault_opensearch_worker_password }}"
        roles: [research_worker]
    roles:
      research_worker:
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
    plans = []
    if params["nodes"]:
        plans.append(plan_nodes(read_nodes(client), params["nodes"]))
    if params["audit"]:
        plans.append(plan_audit(read(client, "audit"), params["audit"]))
    if params["failure_listeners"]:
        listeners = read(client, "authfailurelisteners")
        plans.append(plan_failure_listeners(listeners, params["failure_listeners"]))
    if params["users"] or params["roles"] or params["purge"] or params["absent"]:
        plans += identity_plans(client, params)
    return Plan([change for plan in plans for change in plan.changes])


def identity_plans(client: Client, params: dict[str, Any]) -> list[Plan]:
    """Compare users, roles and mappings."""
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
        plan_roles(found["roles"], params["roles"]),
        plan_users(found["internalusers"], users, fits),
        plan_mappings(found["rolesmapping"], users, params["purge"], params["kept"]),
        plan_absent(found, params["absent"]),
    ]
    if params["purge"]:
        names = [*(user.name for user in users), *params["kept"]]
        roles = [*params["roles"], *params["kept"]]
        plans.append(plan_purge(found["internalusers"], names, "internalusers", "user"))
        plans.append(plan_purge(found["roles"], roles, "roles", "role"))
    return plans


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "users": {"type": "list", "elements": "dict", "default": [], "options": USER_SPEC},
            "roles": {"type": "dict", "default": {}},
            "nodes": {"type": "dict", "default": {}},
            "audit": {"type": "dict", "default": {}},
            "failure_listeners": {"type": "dict", "default": {}},
            "purge": {"type": "bool", "default": False},
            "kept": {"type": "list", "elements": "str", "default": []},
            "absent": {"type": "list", "elements": "str", "default": []},
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
