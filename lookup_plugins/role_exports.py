"""Lookup of the data that a role exports to the playbook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = r"""
name: role_exports
short_description: Read what a role exports about its hosts
description:
  - A role tells the others what they need to know about it in C(meta/exports.yml), for instance the
    firewall rules that it needs or the address that its service has on a host.
  - The value is templated for each host named, with that host's variables over the role's defaults,
    so no play reads a variable of a role that it does not run.
options:
  _terms:
    description: Inventory hosts. One value is returned for each.
    required: true
  role:
    description: Role (or list of roles) whose exports are read.
    type: raw
    required: true
  key:
    description: The exported key. A role without it contributes nothing.
    type: str
    required: true
"""

EXAMPLES = r"""
# [{'name': 'app1', 'address': '10.0.0.21', 'port': 7860}, ...]
edge_upstreams: "{{ query('role_exports', *groups['app'], role='app', key='upstream') }}"
"""

RETURN = r"""
_list:
  description: The exported values, host by host, and role by role within a host.
  type: list
"""


# A variable with a dictionary, in which it keeps what it has read: (host, role, key) -> value.
KNOWN = "role_exports_known"


class LookupModule(LookupBase):
    """Templates C(roles/ROLE/meta/exports.yml) with a host's variables."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[Any]:
        """Return the values exported under a key.

        :param terms: inventory host names
        :param variables: the variables of the task
        :raises AnsibleLookupError: where a role or a host does not exist
        """
        self.set_options(var_options=variables, direct=kwargs)
        key = self.get_option("key")
        roles = self.get_option("role")
        roles = [roles] if isinstance(roles, str) else roles
        hostvars = variables["hostvars"]
        missing = [host for host in terms if host not in hostvars]
        if missing:
            raise AnsibleLookupError(f"role_exports: {missing[0]!r} is not a host of the inventory")
        # Who asks for all hosts at once, while no variable changes, lets each export be read once.
        known = variables.get(KNOWN)
        values = []
        for host in terms:
            for role in roles:
                exports = self._read(role, "meta/exports.yml")
                if key not in exports:
                    continue
                if known is not None and (host, role, key) in known:
                    values.append(known[host, role, key])
                    continue
                defaults, own = self._read(role, "defaults/main.yml"), hostvars.raw_get(host)
                context = {**defaults, **own, "hostvars": hostvars}
                if known is not None:
                    context[KNOWN] = known
                templar = self._templar.copy_with_new_env(available_variables=context)
                value = templar.template(exports[key])
                if known is not None:
                    known[host, role, key] = value
                values.append(value)
        return values

    def _read(self, role: str, path: str) -> dict[str, Any]:
        """Return one of a role's YAML files; its templates are trusted as the role's own are.

        What the loader keeps is returned and not a copy, which took most of the lookup's time: it
        is only read.
        """
        folder = self._role_folder(role)
        file = folder / path
        if not file.is_file():
            return {}
        return self._loader.load_from_file(str(file), unsafe=True, trusted_as_template=True) or {}

    def _role_folder(self, role: str) -> Path:
        beside = Path(__file__).resolve().parent.parent / "roles" / role
        if not beside.is_dir():
            raise AnsibleLookupError(f"role_exports: there is no role {role!r} in {beside.parent}")
        return beside
