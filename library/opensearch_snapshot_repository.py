#!/usr/bin/python
"""Manage a snapshot repository that every node can use."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.opensearch_client import CONNECTION_SPEC, Client, OpenSearchError, connect
from ansible.module_utils.opensearch_objects import flatten
from ansible.module_utils.opensearch_snapshot import differs, is_secret, shown
from ansible.module_utils.opensearch_snapshot_api import read_repository, verify_repository

DOCUMENTATION = r"""
module: opensearch_snapshot_repository
short_description: Manage a snapshot repository that every node can use
description:
  - Registers a repository and has every node write to it and read what the others wrote. Where one
    cannot, the module fails and leaves things as they were.
  - Removing a repository forgets it; what lies in it stays.
extends_documentation_fragment: opensearch_connection
options:
  name: {description: Name of the repository., type: str, required: true}
  state:
    description: Whether it is wanted.
    type: str
    choices: [present, absent]
    default: present
  type: {description: Its type, such as V(fs) or V(s3)., type: str, default: fs}
  settings:
    description:
      - Its settings, passed through as they are. A secret belongs into the nodes' keystore. One
        that stands here all the same (key, secret, password or token in its name) is never shown;
        if the server does not show it either, it counts as the wanted one.
    type: dict
    default: {}
  verify:
    description: Have every node use it, also where nothing changes; not in check mode.
    type: bool
    default: true
attributes:
  check_mode: {support: full}
  diff_mode:
    support: full
    description: Secrets are hidden.
author: research-stack
"""

EXAMPLES = r"""
- name: Objects | Register the snapshot repository
  opensearch_snapshot_repository:
    connection: "{{ opensearch_connection }}"
    name: research
    settings: {location: /srv/research-snapshots/research}
"""

RETURN = r"""
nodes:
  description: The nodes that proved able to use it.
  returned: when it was verified
  type: list
  elements: str
"""


def put(client: Client, name: str, repository: dict[str, Any]) -> None:
    """Register a repository without having it verified."""
    client.request("PUT", f"/_snapshot/{name}", repository, verify="false")


def establish(
    client: Client, name: str, found: dict[str, Any] | None, wanted: dict[str, Any], verify: bool
) -> list[str]:
    """Register a repository if it differs, and verify it; what was before comes back if that fails.

    :raises OpenSearchError: where a node cannot use it
    """
    changed = differs(found, wanted)
    if changed:
        put(client, name, wanted)
    try:
        return verify_repository(client, name) if verify else []
    except OpenSearchError:
        if changed and found is None:
            client.request("DELETE", f"/_snapshot/{name}")
        elif changed and found is not None:
            put(client, name, found)
        raise


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "type": {"type": "str", "default": "fs"},
            "settings": {"type": "dict", "default": {}},
            "verify": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    name, result = module.params["name"], {}
    wanted = {"type": module.params["type"], "settings": flatten(module.params["settings"])}
    secrets = {str(value) for key, value in wanted["settings"].items() if is_secret(key)}
    module.no_log_values.update(secrets)
    try:
        client = connect(module.params["connection"])
        found = read_repository(client, name)
        if module.params["state"] == "absent":
            changed, after = found is not None, None
            if changed and not module.check_mode:
                client.request("DELETE", f"/_snapshot/{name}")
        else:
            changed, after = differs(found, wanted), shown(wanted)
            if not module.check_mode:
                nodes = establish(client, name, found, wanted, module.params["verify"])
                result = {"nodes": nodes} if module.params["verify"] else {}
    except OpenSearchError as error:
        module.fail_json(msg=f"opensearch_snapshot_repository: {error}")
    diff = {"before": {name: shown(found)}, "after": {name: after}}
    module.exit_json(changed=changed, diff=diff, **result)


if __name__ == "__main__":
    main()
