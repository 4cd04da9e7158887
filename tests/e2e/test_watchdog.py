"""Searches go on while processes hang, and what hangs is replaced without anybody's doing.

A process is stopped by SIGSTOP: systemd still calls it active, and its port still accepts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Host, Lab, SearchTraffic, main_process
from tests.e2e.test_failover import active_edge, holds_vip
from tests.waiting import wait_until

pytestmark = [pytest.mark.usefixtures("everything_up"), pytest.mark.long, pytest.mark.timeout(600)]

Searching = Callable[[], SearchTraffic]
Record = Callable[[str], None]


def replaced(host: Host, unit: str, hung: str, seconds: float) -> float:
    """Wait for another main process of a unit, and return how long that took."""

    def other() -> bool:
        return main_process(host, unit) not in {hung, "0"}

    return wait_until(other, seconds, f"{unit} of {host.name} is replaced")


def said_by_watchdog(host: Host, unit: str) -> str:
    """Return what the watchdog said of a unit last."""
    journal = host.check("journalctl -o cat -u research-watchdog -n 50")
    lines = [line for line in journal.splitlines() if line.startswith(f"{unit}.service hangs")]
    assert lines, f"the watchdog of {host.name} does not name {unit}:\n{journal}"
    return lines[-1]


def test_a_proxy_that_hangs_loses_the_address_and_is_replaced(
    lab: Lab, searching: Searching, record: Record
) -> None:
    edge = active_edge(lab)
    hung = main_process(edge, "haproxy")
    with searching() as traffic:
        edge.check("systemctl kill --signal=STOP haproxy")
        moved = wait_until(lambda: not holds_vip(edge), 10, f"the VIP left {edge.name}")
        recovered = moved + replaced(edge, "haproxy", hung, 40)
        time.sleep(2)
    summary = traffic.summary("HAProxy of the active edge hangs")
    record(f"{summary}; VIP left after {moved:.1f} s, HAProxy replaced after {recovered:.1f} s")
    assert "does not answer" in said_by_watchdog(edge, "haproxy")
    assert "haproxy accepts a connection and does not answer" in edge.check(
        "journalctl -o cat -t research-edge-alive -n 5"
    )
    assert traffic.longest_gap <= 5
    wait_until(lambda: bool(active_edge(lab)), 15, "the VIP is on one edge")


def test_a_cache_primary_that_hangs_is_replaced_after_another_took_over(
    lab: Lab, searching: Searching, record: Record
) -> None:
    follows = "grep -q '^replicaof ' /var/lib/valkey/server.conf"
    (host,) = [host for host in lab.group("cache") if host.run(follows).code != 0]
    hung = main_process(host, "valkey-server")
    with searching() as traffic:
        host.check("systemctl kill --signal=STOP valkey-server")
        recovered = replaced(host, "valkey-server", hung, 60)
        wait_until(lambda: host.run(follows).code == 0, 60, f"{host.name} follows another")
    summary = traffic.summary(f"cache primary {host.name} hangs")
    record(f"{summary}; replaced after {recovered:.1f} s")
    assert "does not answer" in said_by_watchdog(host, "valkey-server")
    assert traffic.longest_gap <= 5


def test_a_search_node_that_hangs_is_replaced(
    lab: Lab, searching: Searching, record: Record
) -> None:
    node = lab["os2"]
    hung = main_process(node, "opensearch")
    with searching() as traffic:
        node.check("systemctl kill --signal=STOP opensearch")
        recovered = replaced(node, "opensearch", hung, 120)
    record(f"{traffic.summary('search node hangs')}; replaced after {recovered:.1f} s")
    assert "does not answer" in said_by_watchdog(node, "opensearch")
    wait_until(lambda: "9200" in node.run("ss -ltn").out, 180, "os2 listens again")
