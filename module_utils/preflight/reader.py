"""Reads the inventory out of Ansible, on the controller; values are templated when asked for."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
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
# In what hosts of one kind differ.
OF_ONE_HOST = frozenset(
    {"inventory_hostname", "inventory_hostname_short", "ansible_host", "base_address"}
)
# Where the lookup role_exports keeps what it has read.
KNOWN_EXPORTS = "role_exports_known"
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


@contextlib.contextmanager
def compiled_once() -> Iterator[None]:
    """Compile each template once, and not for each host anew, which is most of the time."""
    compile_template, known = jinja2.Environment.compile, dict[Any, Any]()

    def compiled(env: jinja2.Environment, source: Any, *args: Any, **options: Any) -> Any:
        lines = (env.trim_blocks, env.lstrip_blocks, env.keep_trailing_newline)
        key = (type(env), str(source), args, tuple(sorted(options.items())), lines)
        if key not in known:
            known[key] = compile_template(env, source, *args, **options)
        return known[key]

    setattr(jinja2.Environment, "compile", compiled)  # noqa: B010
    try:
        yield
    finally:
        setattr(jinja2.Environment, "compile", compile_template)  # noqa: B010


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
        # Each host's exports are read once, and not by each host for all others.
        # Hosts that differ in nothing but name and address have their values worked out once, too.
        self.alike: dict[int, dict[str, Any]] = {}
        self.exports: dict[tuple[str, str, str], Any] = {}
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
        context = {**defaults, **own, "hostvars": self.hostvars, KNOWN_EXPORTS: self.exports}
        kind = repr(sorted((key, own[key]) for key in own if key not in {*OF_ONE_HOST, "groups"}))
        alike = self.alike.setdefault(hash(kind), {})
        variables = HostVariables(context, folders, self.templar, alike)
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

    def __init__(
        self,
        raw: dict[str, Any],
        folders: Mapping[str, str],
        templar: Any,
        alike: dict[str, Any] | None = None,
    ) -> None:
        """Keep what the values are made from.

        :param raw: the variables as they are written
        :param folders: the role's folder for each variable that is a role's default
        :param templar: Ansible's, of any task
        :param alike: values that are the same for all hosts that differ in name and address alone
        """
        self.raw = raw
        self.folders = folders
        self.templar = templar.copy_with_new_env(available_variables=raw)
        self.known: dict[str, Any] = {}
        self.alike = {} if alike is None else alike

    def __getitem__(self, name: str) -> Any:
        if name in self.alike:
            return self.alike[name]
        if name not in self.known:
            value = self.evaluate(name)
            of_one = self.leads_to(self.raw[name], OF_ONE_HOST.__contains__, {name})
            (self.known if of_one or name in OF_ONE_HOST else self.alike)[name] = value
            return value
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
        return self.leads_to(
            value,
            lambda name: (FACT.fullmatch(name) and name not in self.raw) or name == "ansible_facts",
            seen,
        )

    def leads_to(self, value: Any, wanted: Callable[[str], object], seen: set[str]) -> bool:
        """Tell whether a value names what is wanted, through whatever variables it names.

        :param seen: names that have been looked at already
        """
        for name in NAME.findall(str(value)):
            if name in seen:
                continue
            seen.add(name)
            if wanted(name):
                return True
            if (
                name in self.raw
                and name not in ("hostvars", "groups", "vars", KNOWN_EXPORTS)
                and self.leads_to(self.raw[name], wanted, seen)
            ):
                return True
        return False
