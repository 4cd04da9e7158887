"""The filters that turn what roles say of their connections into addresses."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

GROUPS = {"all": ["app1", "app2", "os1", "odd", "named"], "app": ["app1", "app2"], "os": ["os1"]}
ADDRESSES = {
    "os1": "10.0.0.31",
    "app1": "10.0.0.21",
    "app2": "10.0.0.22",
    "odd": "",
    "named": "named.example.org",
}

Resolve = Callable[..., list[dict[str, str]]]


@pytest.fixture(scope="module")
def filters(project: Path) -> dict[str, Callable[..., Any]]:
    path = project / "filter_plugins/firewall_rules.py"
    spec = importlib.util.spec_from_file_location("firewall_rules", path)
    assert spec and spec.loader
    plugin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plugin)
    found: dict[str, Callable[..., Any]] = plugin.FilterModule().filters()
    return found


@pytest.fixture(scope="module")
def resolve(filters: dict[str, Callable[..., Any]]) -> Resolve:
    found = filters["firewall_rules"]
    known = {**GROUPS, "bad": ["odd"], "n": ["named"]}
    return lambda rules, host="os1", lets_in=None: found(
        rules, known, peers(lets_in or {}), host, outgoing=lets_in is not None
    )


def peers(lets_in: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return all hosts as the role exports them, with the rules of those that have some."""
    return [
        {"name": name, "address": address, "rules": lets_in.get(name, [])}
        for name, address in ADDRESSES.items()
    ]


def short(rules: list[dict[str, str]]) -> list[str]:
    return [f"{r['name']} {r['proto']} {r['port']} {r['source']}" for r in rules]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"port": 9200, "from": ["app"]}, ["x tcp 9200 10.0.0.21", "x tcp 9200 10.0.0.22"]),
        ({"port": [80, 443], "from": ["any"]}, ["x tcp 80,443 any"]),
        ({"port": "6000:6010", "from": ["10.1.0.0/16"]}, ["x tcp 6000:6010 10.1.0.0/16"]),
        ({"proto": "vrrp", "from": ["app"]}, ["x vrrp  10.0.0.21", "x vrrp  10.0.0.22"]),
        ({"port": 1, "from": ["app", "10.0.0.21"]}, ["x tcp 1 10.0.0.21", "x tcp 1 10.0.0.22"]),
        ({"port": 1, "from": ["os"]}, []),
        ({"port": 1, "from": []}, []),
        ({"port": 1, "from": ["2001:db8::/32"]}, ["x tcp 1 2001:db8::/32"]),
    ],
)
def test_resolution(resolve: Resolve, rule: dict[str, Any], expected: list[str]) -> None:
    assert short(resolve([{"name": "x", **rule}])) == expected


def test_the_same_traffic_under_two_names_is_one_rule(resolve: Resolve) -> None:
    rules = [{"name": n, "port": 1, "from": ["app"]} for n in ("first", "second")]
    assert {rule["name"] for rule in resolve(rules)} == {"first"}


def test_one_host_in_every_group_needs_no_rules(resolve: Resolve) -> None:
    assert resolve([{"name": "x", "port": 1, "from": ["os", "os"]}], "os1") == []


def test_what_goes_out_is_what_the_others_let_in_and_what_lies_outside(resolve: Resolve) -> None:
    lets_in: dict[str, list[dict[str, Any]]] = {
        "os1": [{"name": "search", "port": 9200, "from": ["app"]}],
        "app1": [{"name": "app", "port": 7860, "from": ["os", "10.0.0.0/28"]}],
        "app2": [
            {"name": "page", "port": 443, "from": ["any"]},
            {"name": "x", "port": 1, "from": []},
        ],
    }
    outside = [{"name": "dns", "proto": "udp", "port": 53, "to": ["10.9.0.1"]}]
    found = {
        host: [
            f"{rule['name']} {rule['proto']} {rule['port']} {rule['destination']}"
            for rule in resolve(outside, host, lets_in)
        ]
        for host in lets_in
    }
    dns = "dns udp 53 10.9.0.1"
    assert found == {
        "os1": [dns, "app tcp 7860 10.0.0.21", "page tcp 443 10.0.0.22"],
        "app1": [dns, "search tcp 9200 10.0.0.31", "page tcp 443 10.0.0.22"],
        "app2": [dns, "search tcp 9200 10.0.0.31"],
    }


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"port": 1, "from": ["appp"]}, "'appp' in 'from' is neither a group of the inventory"),
        ({"port": 1, "from": "app"}, "'from' must be a list"),
        ({"port": 1}, "'from' must be a list"),
        ({"port": 1, "from": ["10.0.0.1/24"]}, "write 10.0.0.1 for the one or 10.0.0.0/24 for"),
        ({"port": 1, "from": ["bad"]}, "host odd has no base_address"),
        ({"port": 1, "from": ["n"]}, "base_address of host named is 'named.example.org'"),
        (
            {"ports": 1, "from": ["app"]},
            "unknown key 'ports', a rule has from, name, port, proto, to",
        ),
        ({"name": "", "port": 1, "from": ["app"]}, "without a name"),
    ],
)
def test_mistakes(resolve: Resolve, rule: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        resolve([{"name": "x", **rule}])
    assert sentence in str(refused.value)


SEARCH = {"name": "search", "port": 9200, "from": ["app", "os"]}
PAGE = {"name": "page", "port": 443, "from": ["any"]}
SSH = {"name": "ssh", "port": 22, "from": ["10.9.9.0/24"]}
LETS_IN = {
    "os1": [SSH, SEARCH],
    "app1": [SSH, PAGE, {"name": "app", "port": 7860, "from": ["os"]}],
    "app2": [SSH, PAGE],
}
OWN = {"os1": ["localhost", "10.0.0.31"], "app1": ["localhost", "10.0.0.21"]}


@pytest.mark.parametrize(
    ("host", "entry", "expected"),
    [
        ("os1", {}, []),
        ("os1", {"from": [SEARCH]}, ["10.0.0.21", "10.0.0.22"]),
        ("os1", {"from": [SEARCH], "to": ["app"]}, ["10.0.0.21", "10.0.0.22"]),
        ("os1", {"calls_tiers": True}, ["10.0.0.21"]),
        ("app1", {"calls_tiers": True}, ["10.0.0.31"]),
        ("app1", {"to": ["192.0.2.0/24", "2001:db8::1"]}, ["192.0.2.0/24", "2001:db8::1"]),
        ("app1", {"from": [PAGE]}, None),
        ("app1", {"to": ["any"], "calls_tiers": True}, None),
    ],
)
def test_a_unit_exchanges_packets_with_its_host_and_whom_its_role_names(
    filters: dict[str, Callable[..., Any]],
    host: str,
    entry: dict[str, Any],
    expected: list[str] | None,
) -> None:
    """Who lets in anybody, or an administrator's network, is no tier that a unit calls."""
    units = [{"units": ["x.service"], **entry}]
    found = filters["unit_addresses"](units, GROUPS, peers(LETS_IN), host)
    assert found == ({} if expected is None else {"x.service": [*OWN[host], *expected]})


def test_a_unit_asks_name_servers_and_what_the_site_adds_to_it(
    filters: dict[str, Callable[..., Any]],
) -> None:
    units = [{"units": ["x.service", "y.service", "z.service"]}]
    more = {"y.service": ["192.0.2.7"], "z.service": ["any"]}
    found = filters["unit_addresses"](units, GROUPS, peers(LETS_IN), "os1", ["10.0.0.53"], more)
    always = [*OWN["os1"], "10.0.0.53"]
    assert found == {"x.service": always, "y.service": [*always, "192.0.2.7"]}
