"""What the checks see, and what they say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# A group of the same name decides which hosts such a role runs on.
TIERS = ("edge", "app", "opensearch", "cache", "storage", "ops")
# These roles run on every host.
EVERYWHERE = ("preflight", "run_lock", "base", "firewall", "pki")
SUBGROUPS = ("opensearch_manager", "opensearch_hot", "opensearch_warm")

ADMIN_NETWORKS = "base_admin_networks"

SECRET_NAME = re.compile(
    r"(password|passphrase|secret|signing_key(?:_previous)?|token|private_key)s?$"
)
SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Unreadable:
    """Stands for a value that could not be templated."""

    reason: str
    # The value waits for facts, which only the host can tell: no mistake.
    needs_facts: bool = False


@dataclass(frozen=True)
class Mistake:
    """One thing to correct: where, which variable, its value, what is wrong and what to write."""

    where: str
    variable: str
    value: str
    problem: str
    remedy: str

    def sentence(self, where: str | None = None) -> str:
        """Say it in one line.

        :param where: says it of several hosts at once
        """
        thing = f"{self.variable} = {self.value}" if self.value else self.variable
        return f"{where or self.where}: {thing} {self.problem}; {self.remedy}."


@dataclass(frozen=True)
class Role:
    """What a role says of its variables in meta/argument_specs.yml."""

    name: str
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def runs_on(self, host: Host) -> bool:
        """Tell whether site.yml runs the role on the host."""
        return self.name in EVERYWHERE or self.name in host.roles


@dataclass(frozen=True)
class Rule:
    """A firewall rule that a role exports for a host."""

    role: str
    rule: Mapping[str, Any]


@dataclass(frozen=True)
class Host:
    """A host: its variables over the roles' defaults, and the names that the inventory gave."""

    name: str
    groups: frozenset[str] = frozenset()
    variables: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    rules: Sequence[Rule] = ()
    # Role -> its systemd units, for the roles that run here.
    units: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a variable, or the default where it is missing, unreadable or None."""
        value = self.variables.get(name)
        return default if value is None or isinstance(value, Unreadable) else value

    @property
    def roles(self) -> Sequence[str]:
        """Return the roles that serve here, as the wiring has it: those named as the groups."""
        wired = strings(self.get("site_roles", []))
        return wired or [tier for tier in TIERS if tier in self.groups]

    @property
    def address(self) -> str:
        """Return the address by which the other hosts reach this one."""
        return str(self.get("base_address", self.get("ansible_host", self.name)))


@dataclass(frozen=True)
class Controller:
    """The machine that runs Ansible."""

    python: tuple[int, int] = (3, 13)
    ansible: tuple[int, int] = (2, 21)


@dataclass(frozen=True)
class Inventory:
    """Everything that can be known without asking a host."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, Sequence[str]]
    roles: Mapping[str, Role] = field(default_factory=dict)
    controller: Controller = Controller()
    # Names that the project's own group_vars define for every inventory.
    shared: frozenset[str] = frozenset()

    def group(self, name: str) -> list[Host]:
        """Return the hosts of a group; a group that the inventory lacks has none."""
        return [self.hosts[host] for host in self.groups.get(name, ())]

    def option(self, variable: str) -> Mapping[str, Any] | None:
        """Return what a role says of a variable."""
        for role in self.roles.values():
            if variable in role.options:
                return role.options[variable]
        return None

    def role_hosts(self) -> Iterator[tuple[Role, Host]]:
        """Return each role with each host that it runs on."""
        for role in self.roles.values():
            for host in self.hosts.values():
                if role.runs_on(host):
                    yield role, host

    def is_secret(self, variable: str) -> bool:
        """Tell whether a variable's value must never be shown."""
        option = self.option(variable) or {}
        return bool(option.get("no_log")) or bool(SECRET_NAME.search(variable))

    def show(self, variable: str, value: Any) -> str:
        """Return a value as a mistake may quote it."""
        if self.is_secret(variable) or contains_secret(value):
            return hidden(value)
        return shown(value)


def shown(value: Any) -> str:
    """Return a value shortened to what fits in a sentence."""
    if isinstance(value, str):
        text = value if value else '""'
    elif isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        text = ", ".join(value) if value else "[]"
    else:
        text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def hidden(value: Any) -> str:
    """Return what may be told of a secret."""
    if isinstance(value, str):
        return f"(secret, {len(value)} characters)" if value else '""'
    return "(secret)"


def contains_secret(value: Any) -> bool:
    """Tell whether a structure has a key that names a secret."""
    if isinstance(value, Mapping):
        return any(SECRET_NAME.search(str(key)) for key in value) or any(
            contains_secret(item) for item in value.values()
        )
    if isinstance(value, list | tuple):
        return any(contains_secret(item) for item in value)
    return False


def items(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list of mappings; anything else is another check's business."""
    if not isinstance(value, list | tuple):
        return []
    return [item for item in value if isinstance(item, Mapping)]


def strings(value: Any) -> list[str]:
    """Return a list of strings, of one string too."""
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, Iterable) else []
