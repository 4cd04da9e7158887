"""Reads the inventory out of Ansible, on the controller; values are templated when asked for."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible.constants import COLOR_ERROR, DEFAULT_STDOUT_CALLBACK
from ansible.errors import AnsibleError
from ansible.module_utils.preflight.model import (
    Controller,
    Host,
    Inventory,
    Mistake,
    Role,
    Rule,
    Unreadable,
    items,
)
from ansible.module_utils.preflight.report import counted, refusal, sentences
from ansible.release import __version__ as ansible_version
from ansible.utils.display import Display

PROJECT = Path(__file__).resolve().parent.parent.parent
NAME = re.compile(r"[A-Za-z_]\w*")
FACT = re.compile(r"ansible_facts|ansible_(?!host$|port$|user$|connection$|check_mode$)\w+")


def verdict(inventory: Inventory, mistakes: list[Mistake], about: str) -> dict[str, Any]:
    """Return the result of a task that passes where there is no mistake.

    People read the list once; programs (another callback than the default) find it in the result.
    """
    lines = sentences(mistakes, inventory.groups)
    if not lines:
        return {"changed": False, "msg": f"No mistake in {about}."}
    display = Display()
    result = {"changed": False, "failed": True}
    if DEFAULT_STDOUT_CALLBACK != "default" or display.verbosity:
        return {**result, "msg": refusal(lines, about), "mistakes": lines}
    display.display(refusal(lines, about), color=COLOR_ERROR)
    return {**result, "msg": f"{counted(lines)} in {about}, listed above; nothing was changed."}


@dataclass(frozen=True)
class RoleFiles:
    """What a role's folder says of it."""

    role: Role
    folder: Path
    defaults: Mapping[str, Any]
    exports: Mapping[str, Any]


class InventoryReader:
    """Turns what Ansible knows of the inventory into what the checks see."""

    def __init__(self, action: Any, task_vars: dict[str, Any]) -> None:
        self.loader = action._loader
        self.templar = action._templar
        self.hostvars = task_vars["hostvars"]
        self.groups = {name: list(hosts) for name, hosts in task_vars["groups"].items()}
        self.files = [
            self.role_files(folder)
            for folder in sorted((PROJECT / "roles").iterdir())
            if folder.is_dir()
        ]

    def inventory(self) -> Inventory:
        """Return the whole inventory; values are templated when a check asks for them."""
        major, minor = (int(part) for part in ansible_version.split(".")[:2])
        return Inventory(
            hosts={name: self.host(name) for name in self.groups.get("all", [])},
            groups=self.groups,
            roles={each.role.name: each.role for each in self.files if each.role.options},
            controller=Controller(sys.version_info[:2], (major, minor)),
            shared=self.shared(),
        )

    def read(self, path: Path) -> dict[str, Any]:
        """Return a YAML file of the project, whose templates are trusted."""
        if not path.is_file():
            return {}
        return self.loader.load_from_file(str(path), trusted_as_template=True) or {}

    def shared(self) -> frozenset[str]:
        """Return the names that the project's own group_vars define."""
        files = sorted((PROJECT / "group_vars").rglob("*.yml"))
        return frozenset(name for file in files for name in self.read(file))

    def role_files(self, folder: Path) -> RoleFiles:
        """Return what a role's folder says of it."""
        spec = self.read(folder / "meta/argument_specs.yml").get("argument_specs", {})
        return RoleFiles(
            Role(folder.name, spec.get("main", {}).get("options", {})),
            folder,
            self.read(folder / "defaults/main.yml"),
            self.read(folder / "meta/exports.yml"),
        )

    def host(self, name: str) -> Host:
        """Return one host."""
        own = self.hostvars.raw_get(name)
        defaults = {key: value for each in self.files for key, value in each.defaults.items()}
        folders = {key: str(each.folder) for each in self.files for key in each.defaults}
        context = {**defaults, **own, "hostvars": self.hostvars}
        variables = HostVariables(context, folders, self.templar)
        host = Host(name, frozenset(own.get("group_names", ())), variables, frozenset(own))
        running = {each.role.name: each.exports for each in self.files if each.role.runs_on(host)}
        rules = [
            Rule(role, rule)
            for role, exported in running.items()
            for rule in items(variables.templated(exported.get("firewall_rules", []), []))
        ]
        units = {role: exported.get("units", []) for role, exported in running.items()}
        return replace(host, rules=tuple(rules), units=units)


class HostVariables(Mapping[str, Any]):
    """One host's variables, each templated when it is asked for and then kept."""

    def __init__(self, raw: dict[str, Any], folders: Mapping[str, str], templar: Any) -> None:
        """Keep what the values are made from.

        :param raw: the variables as they are written
        :param folders: the role's folder for each variable that is a role's default
        :param templar: Ansible's, of any task
        """
        self.raw = raw
        self.folders = folders
        self.templar = templar.copy_with_new_env(available_variables=raw)
        self.known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.known:
            self.known[name] = self.evaluate(name)
        return self.known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def evaluate(self, name: str) -> Any:
        """Return the value of a variable, or what is in its way."""
        value = self.raw[name]
        self.raw["role_path"] = self.folders.get(name, "")
        try:
            return self.templar.template(value)
        except AnsibleError as error:
            reason = str(error).splitlines()[0]
            return Unreadable(reason, needs_facts=self.needs_facts(value, set()))

    def templated(self, value: Any, otherwise: Any) -> Any:
        """Return any template's value for this host."""
        try:
            return self.templar.template(value)
        except AnsibleError:
            return otherwise

    def needs_facts(self, value: Any, seen: set[str]) -> bool:
        """Tell whether a value leads to a fact through whatever variables it names."""
        for name in NAME.findall(str(value)):
            if name in seen:
                continue
            seen.add(name)
            if FACT.fullmatch(name) and name not in self.raw:
                return True
            if name == "ansible_facts" or (
                name in self.raw
                and name not in ("hostvars", "groups", "vars")
                and self.needs_facts(self.raw[name], seen)
            ):
                return True
        return False
