"""The cache: a majority of sentinels, one primary, users of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ansible.module_utils.preflight.model import Inventory, Mistake, items
from ansible.module_utils.preflight.search_tier import number
from ansible.module_utils.preflight.sizes import parse_size, size


def sentinels(inventory: Inventory) -> Iterator[Mistake]:
    """A primary is replaced by the majority of the sentinels."""
    hosts = inventory.group("cache")
    if len(hosts) > 1 and len(hosts) % 2 == 0:
        yield Mistake(
            "group cache",
            "group cache",
            ", ".join(host.name for host in hosts),
            f"has {len(hosts)} hosts, which survive no more losses than {len(hosts) - 1} would",
            f"name {len(hosts) - 1} or {len(hosts) + 1} hosts",
        )


def writes(inventory: Inventory) -> Iterator[Mistake]:
    """A primary takes writes as long as enough replicas follow it."""
    hosts = inventory.group("cache")
    for host in hosts:
        wanted = number(host.get("cache_min_replicas", 0))
        if wanted >= len(hosts):
            yield Mistake(
                host.name,
                "cache_min_replicas",
                str(wanted),
                f"can never be reached by {len(hosts)} cache hosts, so all writes would be refused",
                f"write {max(len(hosts) - 2, 0)}, so that one may be lost",
            )


def memory(inventory: Inventory) -> Iterator[Mistake]:
    """The data fits the service's limit, with room for replication and a snapshot."""
    for host in inventory.group("cache"):
        sizes = {}
        for name in ("cache_maxmemory", "cache_memory_limit"):
            text = str(host.get(name, ""))
            found = parse_size(text)
            if text and found is None:
                yield Mistake(host.name, name, text, "is no size", "write it such as 512mb")
            elif found:
                sizes[name] = found
        if sizes.get("cache_maxmemory", 0) >= sizes.get("cache_memory_limit", sys.maxsize):
            limit = sizes["cache_memory_limit"]
            yield Mistake(
                host.name,
                "cache_maxmemory",
                str(host.get("cache_maxmemory")),
                f"is not less than cache_memory_limit ({host.get('cache_memory_limit')}), "
                "so the service would be killed when it is full",
                f"write {size(limit / 3)}b, which leaves room for replication and a snapshot",
            )


def primary(inventory: Inventory) -> Iterator[Mistake]:
    """The first primary is one of the cache hosts, the same for all."""
    hosts = inventory.group("cache")
    names = [host.name for host in hosts]
    for host in hosts:
        found = str(host.get("cache_primary", ""))
        known = {*names, *(each.address for each in hosts)}
        if found and found not in known:
            yield Mistake(
                host.name,
                "cache_primary",
                found,
                "is no host of the group cache",
                f"write one of {', '.join(names)}",
            )
    chosen = sorted({str(host.get("cache_primary", "")) for host in hosts} - {""})
    if len(chosen) > 1:
        yield Mistake(
            "group cache",
            "cache_primary",
            ", ".join(chosen),
            "differs among the hosts, and two primaries take different writes",
            f"set it once for the whole group, such as {names[0]}",
        )


def users(inventory: Inventory) -> Iterator[Mistake]:
    """Each user has a name of its own, and the default user stays off."""
    for host in inventory.group("cache"):
        seen: set[str] = set()
        for user in items(host.get("cache_acl_users", [])):
            name = str(user.get("name", ""))
            if name == "default":
                problem = "is the user of everybody who gives no name, and stays off"
                remedy = "give the user another name"
                yield Mistake(host.name, "cache_acl_users", name, problem, remedy)
            elif name in seen:
                problem, remedy = "is listed twice", "keep one of the two"
                yield Mistake(host.name, "cache_acl_users", name, problem, remedy)
            seen.add(name)
