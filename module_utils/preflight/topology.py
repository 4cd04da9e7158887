"""Which hosts there are, in which groups, at which addresses."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator

from ansible.module_utils.preflight.model import (
    SUBGROUPS,
    TIERS,
    Host,
    Inventory,
    Mistake,
)

BUILT_IN_GROUPS = ("all", "ungrouped")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LONGEST_NAME = 253


def is_hostname(name: str) -> bool:
    """Tell whether a name can stand in DNS and in a certificate."""
    return len(name) <= LONGEST_NAME and all(LABEL.fullmatch(part) for part in name.split("."))


def ip(text: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address, or None where the text is none."""
    try:
        return ipaddress.ip_address(str(text))
    except ValueError:
        return None


def host_names(inventory: Inventory) -> Iterator[Mistake]:
    """A host is addressed by its name, which its certificate carries."""
    for host in inventory.hosts.values():
        if not is_hostname(host.name):
            yield Mistake(
                host.name,
                "inventory_hostname",
                host.name,
                "cannot stand in DNS or in a certificate",
                "write a name of lower-case letters, digits and hyphens and put how ssh reaches "
                "it into ansible_host",
            )


def hosts_without_group(inventory: Inventory) -> Iterator[Mistake]:
    """A host in none of the groups would only be half set up."""
    for host in inventory.hosts.values():
        if not host.groups & {*TIERS, *SUBGROUPS}:
            yield Mistake(
                host.name,
                "groups",
                ", ".join(sorted(host.groups - {*BUILT_IN_GROUPS})) or "[]",
                "name no tier, so the host would serve nothing",
                f"put it into one of {', '.join(TIERS)}, or take it out of the inventory",
            )


def misspelt_groups(inventory: Inventory) -> Iterator[Mistake]:
    """A group that nearly has a tier's name is a tier that stays empty."""
    known = [*TIERS, *SUBGROUPS, *BUILT_IN_GROUPS]
    for group in inventory.groups:
        if group in known:
            continue
        close = difflib.get_close_matches(group, [*TIERS, *SUBGROUPS], n=1, cutoff=0.8)
        if close:
            yield Mistake(
                "inventory",
                "group",
                group,
                "is no group that a playbook knows",
                f"write {close[0]}, or a name that cannot be taken for it",
            )


def managers(inventory: Inventory) -> Iterator[Mistake]:
    """A cluster is led by the majority of its managers."""
    nodes = inventory.group("opensearch")
    named = inventory.group("opensearch_manager")
    if nodes and not named:
        yield Mistake(
            "group opensearch",
            "group opensearch_manager",
            "[]",
            "leaves the cluster without a manager",
            f"put {min(3, len(nodes) - (len(nodes) + 1) % 2)} of its hosts into opensearch_manager",
        )
    if named and len(named) % 2 == 0:
        yield Mistake(
            "group opensearch",
            "group opensearch_manager",
            ", ".join(host.name for host in named),
            f"has {len(named)} hosts, and an even number survives no more losses than one fewer",
            f"name {len(named) - 1} or {len(named) + 1} hosts",
        )


def data_nodes(inventory: Inventory) -> Iterator[Mistake]:
    """Documents live on hot nodes first."""
    hot = inventory.group("opensearch_hot")
    warm = inventory.group("opensearch_warm")
    if hot or not inventory.group("opensearch"):
        return
    if warm:
        yield Mistake(
            "group opensearch",
            "group opensearch_warm",
            ", ".join(host.name for host in warm),
            "has hosts but opensearch_hot has none, and new documents are written to hot nodes",
            "put at least one host into opensearch_hot",
        )
    else:
        yield Mistake(
            "group opensearch",
            "group opensearch_hot",
            "[]",
            "leaves no node that may hold documents",
            "put the hosts that hold data into opensearch_hot",
        )


def tiers_in_need(inventory: Inventory) -> Iterator[Mistake]:
    """A tier is of no use without the one behind it."""
    needs = (("edge", "app"), ("app", "opensearch"), ("app", "cache"))
    for tier, behind in needs:
        if inventory.group(tier) and not inventory.group(behind):
            yield Mistake(
                f"group {tier}",
                f"group {behind}",
                "[]",
                f"leaves {tier} with nothing behind it",
                f"put at least one host into {behind}",
            )


def addresses(inventory: Inventory) -> Iterator[Mistake]:
    """Peers, firewalls and certificates need each host's IP address."""
    taken: dict[str, Host] = {}
    for host in inventory.hosts.values():
        address = ip(host.address)
        if address is None or not isinstance(address, ipaddress.IPv4Address):
            yield Mistake(
                host.name,
                "base_address",
                host.address,
                "is no IPv4 address",
                "write the address at which the other hosts reach this one, such as 10.0.0.11",
            )
        elif address.is_loopback and len(inventory.hosts) > 1:
            yield Mistake(
                host.name,
                "base_address",
                host.address,
                "is reached by no other host",
                "write the host's address in the network that the hosts share",
            )
        elif host.address in taken:
            yield Mistake(
                host.name,
                "base_address",
                host.address,
                f"is the address of {taken[host.address].name} too",
                "give each host its own, or name the host once and put it into several groups",
            )
        taken.setdefault(host.address, host)
