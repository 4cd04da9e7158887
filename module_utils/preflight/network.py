"""Networks, firewall rules and ports."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.preflight.model import (
    ADMIN_NETWORKS,
    SUBGROUPS,
    TIERS,
    Host,
    Inventory,
    Mistake,
    items,
    strings,
)

HIGHEST_PORT = 65535


def network(text: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return a network, or None where the text is none."""
    try:
        return ipaddress.ip_network(str(text), strict=True)
    except ValueError:
        return None


def networks(inventory: Inventory) -> Iterator[Mistake]:
    """Variables that hold networks hold networks, and administrators come from somewhere."""
    named = {
        name: option
        for role in inventory.roles.values()
        for name, option in role.options.items()
        if name.endswith("_networks")
    }
    for host in inventory.hosts.values():
        for name, option in named.items():
            # Where a host may go to is "any" by default; where others come from never is.
            anywhere = "any" in str(option.get("default"))
            for item in strings(host.get(name, [])):
                if not (anywhere and item == "any"):
                    yield from one_network(host, name, item)


def nobody_let_in(inventory: Inventory) -> Iterator[Mistake]:
    """A firewall that lets no administrator in ends the installation."""
    for host in inventory.hosts.values():
        if host.get(ADMIN_NETWORKS) in ([], ()) and host.get("firewall_enabled", True):
            yield Mistake(
                host.name,
                ADMIN_NETWORKS,
                "[]",
                "leaves the firewall with nobody who may come in by ssh",
                "write the networks that administrators come from, such as [10.0.0.0/24]",
            )


def one_network(host: Host, name: str, item: str) -> Iterator[Mistake]:
    """Check one of them."""
    found = network(item)
    if found is None:
        try:
            corrected = str(ipaddress.ip_network(item, strict=False))
        except ValueError:
            corrected = "a network such as 10.0.0.0/24, or one address such as 10.0.0.5/32"
        yield Mistake(host.name, name, item, "is no network", f"write {corrected}")
    elif found.prefixlen == 0 and name.endswith("_admin_networks"):
        yield Mistake(
            host.name,
            name,
            item,
            "lets the whole world in",
            "write the networks that administrators come from, such as 10.0.0.0/24",
        )


def firewall_sources(inventory: Inventory) -> Iterator[Mistake]:
    """A rule lets in anybody, a group or a network; anything else would let in nobody."""
    for host in inventory.hosts.values():
        rules = [each.rule for each in host.rules] + items(host.get("firewall_rules"))
        sources = {
            (f"firewall_rules[{rule.get('name', '')}].from", item): None
            for rule in rules
            for item in strings(rule.get("from", []))
        }
        known = {"any", *TIERS, *SUBGROUPS, *inventory.groups}
        for label, item in sources:
            if not (item in known or network(item)):
                yield source_mistake(inventory, host, label, item)


def source_mistake(inventory: Inventory, host: Host, label: str, item: str) -> Mistake:
    """Say what could have been meant."""
    close = difflib.get_close_matches(item, [*TIERS, *inventory.groups], n=1)
    meant = f"write {close[0]}" if close else "write any, a group of the inventory, or a network"
    return Mistake(host.name, label, item, "is neither a group nor a network", meant)


@dataclass(frozen=True)
class Port:
    """A port that a role's service listens on, and the variable that sets it."""

    role: str
    variable: str
    number: int


def ports(inventory: Inventory) -> Iterator[Mistake]:
    """Two services of one host cannot listen on one port."""
    for host in inventory.hosts.values():
        taken: dict[int, str] = {}
        for port in listening(inventory, host):
            first = taken.setdefault(port.number, port.variable)
            shown = str(port.number)
            if not 1 <= port.number <= HIGHEST_PORT:
                remedy = "write one of 1 to 65535"
                yield Mistake(host.name, port.variable, shown, "is no port", remedy)
            elif first != port.variable:
                problem = f"is the port of {first} on the same host too"
                remedy = "give one of them another port"
                yield Mistake(host.name, port.variable, shown, problem, remedy)


def listening(inventory: Inventory, host: Host) -> Iterator[Port]:
    """Return each port that the host's services listen on."""
    for role in inventory.roles.values():
        if not role.runs_on(host):
            continue
        rules = [each.rule for each in host.rules if each.role == role.name]
        exported = {port for rule in rules for port in rule_ports(rule)}
        named = set()
        for name in role.options:
            value = host.get(name) if name.endswith("_port") else None
            if not isinstance(value, int):
                continue
            named.add(value)
            if value in exported or not 1 <= value <= HIGHEST_PORT:
                yield Port(role.name, name, value)
        for number in sorted(exported - named):
            yield Port(role.name, f"{role.name} firewall_rules", number)


def rule_ports(rule: Mapping[str, Any]) -> list[int]:
    """Return the ports of a rule."""
    port = rule.get("port", [])
    each = port if isinstance(port, list | tuple) else [port]
    return [int(item) for item in each if str(item).isdigit()]
