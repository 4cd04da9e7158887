"""Real connections between the hosts, allowed ones and others."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

ADDRESSES = {"edge": "10.78.0.11", "app": "10.78.0.12", "cache": "10.78.0.13"}
PORTS = (443, 444, 6379, 6380, 7860, 7861, 7901, 7903)
# (from, to, port): what the inventory allows; every other pair of hosts and port must be closed.
OPEN = {
    ("app", "edge", 443),
    ("cache", "edge", 443),
    ("edge", "app", 7860),
    ("edge", "app", 7901),
    ("cache", "app", 7901),
    ("app", "cache", 6379),
}
LISTENER = """
import asyncio
async def main():
    for port in %r:
        await asyncio.start_server(lambda reader, writer: writer.close(), port=port)
    await asyncio.Event().wait()
asyncio.run(main())
"""
PROBE = """
import asyncio
async def probe(host, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1.5)
        writer.close()
        return 'open'
    except (asyncio.TimeoutError, TimeoutError):
        return 'dropped'
    except OSError as error:
        return f'refused {error}'
async def all_of(targets):
    for target, result in zip(targets, await asyncio.gather(*(probe(*t) for t in targets))):
        print(*target, result)
asyncio.run(all_of(%r))
"""


@pytest.fixture(scope="module")
def listening(hosts: dict[str, Any]) -> Iterator[None]:
    """Listen on all ports of all hosts."""
    for host in hosts.values():
        host.check_output(
            "systemd-run --collect --unit=listener python3 -c %s", LISTENER % (PORTS,)
        )
        host.check_output("timeout 5 sh -c 'until grep -q :1EDF /proc/net/tcp; do sleep 0.1; done'")
    yield
    for host in hosts.values():
        host.check_output("systemctl stop listener")


def test_exactly_the_wanted_connections_get_through(hosts: dict[str, Any], listening: None) -> None:
    """Every host tries every port of every other one."""
    found = {}
    for source, host in hosts.items():
        targets = [(ADDRESSES[t], p) for t in hosts if t != source for p in PORTS]
        names = {address: name for name, address in ADDRESSES.items()}
        for line in host.check_output("python3 -c %s", PROBE % targets).splitlines():
            address, port, *result = line.split()
            found[source, names[address], int(port)] = result[0]
    assert len(found) == 3 * 2 * len(PORTS)
    assert {key for key, result in found.items() if result == "open"} == OPEN
    assert {result for key, result in found.items() if key not in OPEN} == {"dropped"}


def test_a_host_reaches_itself(hosts: dict[str, Any], listening: None) -> None:
    """What a host sends to its own address passes no rule."""
    targets = [(ADDRESSES["cache"], 6379), ("127.0.0.1", 6379)]
    answers = hosts["cache"].check_output("python3 -c %s", PROBE % targets)
    assert answers.count("open") == 2


def test_ufw_says_what_the_inventory_says(hosts: dict[str, Any]) -> None:
    """An administrator who asks ufw sees the rules with the names they have in the roles."""
    status = hosts["edge"].check_output("ufw status verbose")
    assert "Status: active" in status
    assert "Default: deny (incoming), allow (outgoing), deny (routed)" in status
    rules = [line.split() for line in status.splitlines() if "ALLOW" in line]
    assert rules == [
        ["22/tcp", "ALLOW", "IN", "10.78.0.1", "#", "research:ssh"],
        ["80,443/tcp", "ALLOW", "IN", "Anywhere", "#", "research:https"],
        ["Anywhere", "ALLOW", "IN", "10.78.0.12/vrrp", "#", "research:vrrp"],
        ["80,443/tcp", "(v6)", "ALLOW", "IN", "Anywhere", "(v6)", "#", "research:https"],
    ]


def test_ipv6_is_closed_too(hosts: dict[str, Any]) -> None:
    """A host with an address that nobody thought of is no way in."""
    for host in hosts.values():
        assert "-P INPUT DROP" in host.check_output("ip6tables -S INPUT").splitlines()


def test_vrrp_is_let_in_from_the_other_edge_only(hosts: dict[str, Any]) -> None:
    """VRRP has no ports; the kernel calls it 112."""
    rules = hosts["edge"].check_output("iptables -S ufw-user-input")
    assert "-A ufw-user-input -s 10.78.0.12/32 -p 112 -j ACCEPT" in rules
    assert rules.count("-p 112") == 1


def test_the_firewall_comes_back_at_boot(hosts: dict[str, Any]) -> None:
    """The unit is enabled, and what it would load is what the kernel has."""
    host = hosts["edge"]
    before = host.check_output("iptables -S; ip6tables -S")
    assert host.service("ufw").is_enabled
    host.check_output("/usr/lib/ufw/ufw-init force-stop && systemctl restart ufw")
    assert host.check_output("iptables -S; ip6tables -S") == before


@pytest.mark.long
@pytest.mark.timeout(300)  # it runs the playbook three times
@pytest.mark.usefixtures("listening", "restored")
def test_a_host_that_may_open_nothing_still_reaches_whom_the_others_let_in(
    hosts: dict[str, Any], playbook: Any, login: list[str]
) -> None:
    """And what is named as lying outside; its answers to ssh pass, and the way back is as safe."""
    outside = {"name": "outside", "port": 7903, "to": ["10.78.0.8/29"]}
    closed = {"firewall_outgoing": "deny", "firewall_outgoing_rules": [outside]}
    assert "changed=1 " in playbook(**closed).stdout
    assert "changed=0 " in playbook(**closed).stdout
    host = hosts["cache"]
    targets = [(ADDRESSES[t], p) for t in ("app", "edge") for p in PORTS]
    found = {}
    for line in host.check_output("python3 -c %s", PROBE % targets).splitlines():
        address, port, *result = line.split()
        found[address, int(port)] = result[0]
    # Port 7903 passes here and is dropped there.
    open_to = {key for key, result in found.items() if result == "open"}
    assert open_to == {(ADDRESSES["edge"], 443), (ADDRESSES["app"], 7901)}
    status = host.check_output("ufw status verbose")
    assert "deny (outgoing)" in status
    rules = [" ".join(line.split()) for line in status.splitlines() if "ALLOW OUT" in line]
    assert rules == [
        "10.78.0.8/29 7903/tcp ALLOW OUT Anywhere # research:outside",
        "10.78.0.11 80,443/tcp ALLOW OUT Anywhere # research:https",
        "10.78.0.12 7900:7902/tcp ALLOW OUT Anywhere # research:app-range",
    ]
    assert subprocess.run([*login, "true"], check=False).returncode == 0
    assert "changed=1 " in playbook().stdout
    assert "allow (outgoing)" in host.check_output("ufw status verbose")
