"""Searches go on while hosts and services die."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Host, Lab, SearchTraffic
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("everything_up")

Searching = Callable[..., SearchTraffic]
Record = Callable[[str], None]
VIP_QUERY = "ip -o -4 addr show | grep -c ' 10.77.0.10/' || true"


def holds_vip(host: Host) -> bool:
    return host.run(VIP_QUERY).out.strip() == "1"


def active_edge(lab: Lab) -> Host:
    holders = [host for host in lab.group("edge") if holds_vip(host)]
    assert len(holders) == 1, f"the VIP is on {[host.name for host in holders]}, not on one edge"
    return holders[0]


def test_a_drained_application_node_loses_no_search(
    lab: Lab, searching: Searching, record: Record
) -> None:
    app = lab["app1"]
    with searching(patience=8) as traffic:
        app.check("systemctl stop research-app", timeout=90)
        time.sleep(3)
        app.check("systemctl start research-app", timeout=90)
        time.sleep(4)
    record(traffic.summary("application node stopped and started"))
    assert traffic.failures == []


def test_a_killed_application_node_is_left_within_seconds(
    lab: Lab, searching: Searching, record: Record
) -> None:
    app = lab["app2"]
    with searching() as traffic:
        app.check("systemctl kill --signal=KILL research-app")
        time.sleep(10)
        app.check("systemctl start research-app", timeout=90)
    record(traffic.summary("application node killed"))
    assert traffic.longest_gap <= 5
    assert len(traffic.failures) <= 5, traffic.failures


def test_a_killed_proxy_loses_the_address_to_the_other_edge(
    lab: Lab, searching: Searching, record: Record
) -> None:
    edge = active_edge(lab)
    with searching() as traffic:
        edge.check("systemctl mask --runtime haproxy && systemctl kill --signal=KILL haproxy")
        try:
            moved = wait_until(lambda: not holds_vip(edge), 10, f"the VIP left {edge.name}")
            time.sleep(4)
        finally:
            edge.check("systemctl unmask --runtime haproxy && systemctl start haproxy")
    record(f"{traffic.summary('HAProxy killed')}; VIP left after {moved:.1f} s")
    assert traffic.longest_gap <= 5
    wait_until(lambda: bool(active_edge(lab)), 15, "the VIP is on one edge")


def test_a_dead_edge_host_loses_the_address_to_the_other(
    lab: Lab, searching: Searching, record: Record
) -> None:
    import subprocess

    edge = active_edge(lab)
    container = f"research-lab-{edge.name}"
    with searching() as traffic:
        subprocess.run(["podman", "pause", container], check=True, capture_output=True)
        try:
            time.sleep(8)
        finally:
            subprocess.run(["podman", "unpause", container], check=True, capture_output=True)
    record(traffic.summary("active edge host dead"))
    assert traffic.longest_gap <= 5
    time.sleep(3)
    active_edge(lab)


def test_a_stopped_search_node_is_not_noticed(
    lab: Lab, searching: Searching, record: Record
) -> None:
    node = lab["os2"]
    with searching() as traffic:
        node.check("systemctl stop opensearch", timeout=120)
        time.sleep(5)
        node.check("systemctl start opensearch", timeout=240)
        wait_until(lambda: "9200" in node.run("ss -ltn").out, 180, "os2 listens again")
        time.sleep(3)
    record(traffic.summary("search node stopped and started"))
    assert traffic.longest_gap <= 5
    assert len(traffic.failures) <= 2, traffic.failures


def test_a_failed_over_cache_primary_is_not_noticed(
    lab: Lab, searching: Searching, record: Record
) -> None:
    # A server that follows another keeps its name in the state that it writes itself.
    follows = "grep -q '^replicaof ' /var/lib/valkey/server.conf"
    (host,) = [host for host in lab.group("cache") if host.run(follows).code != 0]
    service = "valkey-server"
    with searching(patience=8) as traffic:  # none fails; a busy machine may be slow
        host.check(f"systemctl stop {service}", timeout=60)
        time.sleep(15)
        host.check(f"systemctl start {service}", timeout=60)
        time.sleep(3)
    record(traffic.summary(f"cache primary {host.name} stopped"))
    assert traffic.failures == []
    assert traffic.longest_gap <= 5
