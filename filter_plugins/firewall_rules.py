"""Filters that turn what roles say of their connections into addresses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: firewall_rules
short_description: Resolve the firewall rules that roles export into one rule per caller
description:
  - A role says which groups of the inventory may call it. This filter looks up the addresses of the
    hosts in these groups and returns a flat list with one caller each, for M(ufw_ruleset).
  - The host itself is left out, since what a host sends to itself passes no firewall.
options:
  _input:
    description: >-
      List of rules. Each has C(name), C(port) (a number, a range C(6000:6010) or a list of both;
      none for vrrp), C(proto) (tcp, udp or vrrp; default tcp) and C(from), a list whose items are
      C(any), the name of a group, an address or a network in CIDR notation.
    type: list
    elements: dict
    required: true
  groups:
    description: The magic variable C(groups).
    type: dict
    required: true
  peers:
    description: >-
      C(name), C(address) and C(rules) of all hosts, as the role firewall exports them. It reads
      them once for all hosts, since each that reads them anew templates the variables of every
      other.
    type: list
    elements: dict
    required: true
  host:
    description: Name of the host that the rules are for.
    type: str
    required: true
  outgoing:
    description:
      - Whether the rules are about what the host opens. They then have C(to) in the place of
        C(from), and C(destination) in the place of C(source), and name what lies outside of the
        stack.
      - What the hosts of the stack open to each other is no list of its own. It is added from the
        rules of the others, which tell whom they let in.
    type: bool
    default: false
"""

EXAMPLES = r"""
# [{'name': 'cache', 'proto': 'tcp', 'port': '6379', 'source': '10.0.0.21'}, ...]
resolved: "{{ [{'name': 'cache', 'port': 6379, 'from': ['app']}]
  | firewall_rules(groups, firewall_peers, inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: >-
    Dictionaries with C(name), C(proto), C(port) (text, empty for vrrp), and C(source) or
    C(destination).
  type: list
  elements: dict
"""

KEYS = {"name", "port", "proto", "from", "to"}
# Groups that rules may name whatever an inventory has: one that it lacks has no hosts.
TIERS = {
    "edge", "app", "opensearch", "opensearch_manager", "opensearch_hot", "opensearch_warm", "cache",
    "storage", "ops",
}  # fmt: skip


def resolve_rules(
    rules: Sequence[Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    peers: Sequence[Mapping[str, Any]],
    host: str,
    outgoing: bool = False,
) -> list[dict[str, str]]:
    """Return one rule per peer.

    :param rules: rules as roles export them
    :param groups: group -> hosts
    :param peers: C(name), C(address) and C(rules) of all hosts
    :param host: the host that the rules are for
    :param outgoing: whether the rules are about what the host opens; all is then added that the
        other hosts let it in for
    :raises AnsibleFilterError: where a rule cannot be resolved
    """
    addresses = _addresses(peers)
    if not outgoing:
        return _unique(_resolve(rules, "from", groups, addresses, host), "source")
    outside = _resolve(rules, "to", groups, addresses, host)
    tiers = (
        (*_head(rule, "from"), _address(str(rule["name"]), peer["name"], addresses))
        for peer in peers
        if peer["name"] != host
        for rule in peer["rules"]
        if _lets_in(rule, groups, addresses, host)
    )
    return _unique(itertools.chain(outside, tiers), "destination")


def resolve_units(
    units: Sequence[Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    peers: Sequence[Mapping[str, Any]],
    host: str,
    nameservers: Sequence[str] = (),
    more: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, list[str]]:
    """Return the addresses with which each systemd unit may exchange packets, for IPAddressAllow=.

    A unit that talks to anybody is left out: a list that holds everything forbids nothing.

    :param units: what roles export. Each has C(units) (names), C(from) (the firewall rules that let
        others in), C(to) (groups, addresses, networks or C(any) that it calls besides) and
        C(calls_tiers), whether it calls the hosts whose rules let this host's group in
    :param groups: group -> hosts
    :param peers: C(name), C(address) and C(rules) of all hosts
    :param host: the host that the units run on
    :param nameservers: addresses of the host's name servers
    :param more: unit -> further addresses, networks or C(any)
    :raises AnsibleFilterError: where an address cannot be found
    """
    addresses = _addresses(peers)
    own = ["localhost", _address("of its units", host, addresses), *nameservers]
    tiers = [
        _address("of its units", peer["name"], addresses)
        for peer in peers
        if any(_lets_in_group(rule, groups, host) for rule in peer["rules"])
    ]
    resolved: dict[str, list[str]] = {}
    for entry in units:
        rules = entry.get("from") or []
        callers = [found[-1] for found in _resolve(rules, "from", groups, addresses, host)]
        for unit in entry["units"]:
            named = [*(entry.get("to") or []), *(more or {}).get(unit, ())]
            called = [
                address
                for item in named
                for address in _peers(unit, "to", str(item), groups, addresses, host)
            ]
            allowed = [*own, *callers, *(tiers if entry.get("calls_tiers") else []), *called]
            if "any" not in allowed:
                resolved[unit] = list(dict.fromkeys(allowed))
    return resolved


def _addresses(peers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(peer["name"]): str(peer["address"]) for peer in peers}


def _lets_in_group(rule: Mapping[str, Any], groups: Mapping[str, Sequence[str]], host: str) -> bool:
    """Return whether a rule of another host is for a tier that this one belongs to."""
    return any(host in groups.get(str(item), ()) for item in rule["from"])


def _resolve(
    rules: Sequence[Mapping[str, Any]],
    end: str,
    groups: Mapping[str, Sequence[str]],
    addresses: Mapping[str, str],
    host: str,
) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, protocol, port and peer."""
    for rule in rules:
        head = _head(rule, end)
        for item in rule[end]:
            for peer in _peers(head[0], end, str(item), groups, addresses, host):
                yield (*head, peer)


def _lets_in(
    rule: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]],
    addresses: Mapping[str, str],
    host: str,
) -> bool:
    """Return whether a rule of another host is about connections from this one."""
    for item in map(str, rule["from"]):
        if item == "any" or host in groups.get(item, ()):
            return True
        if item in groups or item in TIERS:
            continue
        address = ip_address(_address(str(rule["name"]), host, addresses))
        if address in ip_network(item):
            return True
    return False


def _unique(found: Iterable[tuple[str, str, str, str]], key: str) -> list[dict[str, str]]:
    """Return rules; the same traffic under two names is one rule, the first name stays."""
    resolved: dict[tuple[str, str, str], dict[str, str]] = {}
    for name, proto, port, peer in found:
        rule = {"name": name, "proto": proto, "port": port, key: peer}
        resolved.setdefault((proto, port, peer), rule)
    return list(resolved.values())


def _head(rule: Mapping[str, Any], end: str) -> tuple[str, str, str]:
    name = str(rule.get("name") or "")
    if not name:
        raise AnsibleFilterError(f"firewall rule without a name: {dict(rule)}")
    unknown = sorted(set(rule) - KEYS)
    if unknown:
        raise AnsibleFilterError(
            f"firewall rule {name}: unknown key {unknown[0]!r}, "
            f"a rule has {', '.join(sorted(KEYS))}"
        )
    if isinstance(rule.get(end), str) or not isinstance(rule.get(end), Sequence):
        raise AnsibleFilterError(
            f"firewall rule {name}: '{end}' must be a list, for instance [app, 10.0.0.0/24]"
        )
    port = rule.get("port", "")
    ports = [port] if isinstance(port, str | int) else list(port)
    return name, str(rule.get("proto", "tcp")), ",".join(str(item) for item in ports)


def _peers(
    name: str,
    end: str,
    item: str,
    groups: Mapping[str, Sequence[str]],
    addresses: Mapping[str, str],
    host: str,
) -> list[str]:
    if item == "any":
        return ["any"]
    if item in groups or item in TIERS:
        return [_address(name, peer, addresses) for peer in groups.get(item, ()) if peer != host]
    try:
        ip_network(item)
    except ValueError as error:
        if "host bits" in str(error):
            address, _, length = item.partition("/")
            meant = ip_network(item, strict=False)
            raise AnsibleFilterError(
                f"firewall rule {name}: {item} is neither an address nor a network; "
                f"write {address} for the one or {meant} for the /{length}"
            ) from None
        raise AnsibleFilterError(
            f"firewall rule {name}: {item!r} in '{end}' is neither a group of the inventory "
            f"({', '.join(sorted(set(groups) - {'all', 'ungrouped'})) or 'it has none'}), "
            "nor 'any', nor an address or network"
        ) from None
    return [item]


def _address(name: str, peer: str, addresses: Mapping[str, str]) -> str:
    address = addresses.get(peer, "")
    if not address:
        raise AnsibleFilterError(
            f"firewall rule {name}: host {peer} has no base_address, "
            "the address by which its peers see it"
        )
    try:
        ip_address(address)
    except ValueError:
        raise AnsibleFilterError(
            f"firewall rule {name}: base_address of host {peer} is {address!r}, "
            "which is no IP address; the firewall knows no names"
        ) from None
    return address


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"firewall_rules": resolve_rules, "unit_addresses": resolve_units}
