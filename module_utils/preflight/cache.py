"""The cache: a majority of sentinels, one primary, users of its own."""

from __future__ import annotations

from collections.abc import Iterator

from ansible.module_utils.preflight.model import Inventory, Mistake, items
from ansible.module_utils.preflight.search_tier import number

QUORUM = "cache_sentinel_quorum"


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
    majority = len(hosts) // 2 + 1
    for host in hosts:
        quorum = host.get(QUORUM)
        if quorum in (None, "", 0) or not str(quorum).lstrip("-").isdigit():
            continue
        if not majority <= number(quorum) <= len(hosts):
            yield Mistake(
                host.name,
                QUORUM,
                str(quorum),
                f"is no majority of {len(hosts)} sentinels"
                if number(quorum) < majority
                else f"can never be reached by {len(hosts)} sentinels",
                f"write {majority}",
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
