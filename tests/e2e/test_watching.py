"""The lab is watched and its logs come together: what one needs at three in the morning."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.e2e.conftest import Host, Lab, Reader
from tests.receivers import receivers
from tests.waiting import wait_until

HERE = "10.77.0.1"  # this machine, as the hosts of the lab see it


@pytest.fixture
def ops(lab: Lab) -> Host:
    return lab.group("ops")[0]


def asked(ops: Host, expression: str) -> list[dict[str, Any]]:
    """Ask Prometheus for a vector."""
    query = urlencode({"query": expression})
    answer = json.loads(ops.check(f"curl -sS 'http://127.0.0.1:9090/api/v1/query?{query}'"))
    assert answer["status"] == "success", answer
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def lines(ops: Host, query: str) -> list[dict[str, str]]:
    """Ask the store of logs."""
    command = (
        f"curl -sS http://127.0.0.1:9428/select/logsql/query --data '{urlencode({'query': query})}'"
    )
    return [json.loads(line) for line in ops.check(command).splitlines()]


def test_every_target_tells(ops: Host, lab: Lab) -> None:
    wait_until(lambda: not asked(ops, "up == 0"), 90, "all that is asked answers")
    told = {sample["metric"]["host"] for sample in asked(ops, 'up{job="node"}')}
    assert told == set(lab.hosts)
    jobs = {sample["metric"]["job"] for sample in asked(ops, "up")}
    assert jobs >= {"node", "app", "edge", "opensearch", "cache", "sentinel", "probe_https"}


def test_a_fault_is_told_at_the_receivers_and_so_is_its_end(ops: Host, lab: Lab) -> None:
    host = lab["cache2"]
    with receivers(HERE, web=8099, mail=8025) as inbox:

        def told(*, over: bool) -> bool:
            return any(
                (notice.alert, notice.host, notice.over) == ("UnitFailed", host.name, over)
                and notice.runbook == "docs/runbooks/alerts/UnitFailed.md"
                for notice in inbox.notices()
            )

        host.check("systemd-run --unit=e2e-watched false")
        try:
            wait_until(lambda: told(over=False), 120, "somebody was told")
        finally:
            host.check("systemctl reset-failed e2e-watched")
        wait_until(lambda: told(over=True), 120, "somebody was told that it is over")


def test_figures_are_for_monitoring_hosts_alone(lab: Lab) -> None:
    command = (
        "curl -s -m 5 --cacert /etc/research-pki/ca.pem --cert /etc/research-pki/host.pem"
        " --key /etc/research-pki/host.pem.key -o /dev/null -w '%{http_code}'"
        " https://os1:9100/metrics"
    )
    assert lab["ops1"].run(command).out == "200"
    assert lab["cache1"].run(command).out == "000"


def test_a_request_is_found_by_its_id_at_the_edge_and_in_the_application(
    ops: Host, reader: Reader
) -> None:
    answer = reader.get("/api/search", q=f"found by its id {time.time()}")
    identity = answer.headers["x-request-id"]
    found: list[dict[str, str]] = []

    def both() -> bool:
        found[:] = lines(ops, f'_time:10m (request_id:="{identity}" or "{identity}")')
        return {line["unit"] for line in found} >= {"haproxy.service", "research-app.service"}

    wait_until(both, 60, f"the lines of request {identity}")
    assert all(line["request_id"] == identity for line in found), found


def test_who_signed_in_by_ssh_is_found(ops: Host) -> None:
    wait_until(
        lambda: bool(lines(ops, '_time:1h identifier:~"^sshd" "Accepted" | limit 1')), 60, "a line"
    )


def test_the_administrators_page_asks_who_it_is_and_is_for_their_networks(
    ops: Host, lab: Lab, authority: Path
) -> None:
    page = "curl -s -m 5 -o /dev/null -w '%{http_code}' --cacert"
    here = f"{page} {authority} --resolve {ops.name}:443:{ops.address} https://{ops.name}/"
    asked = subprocess.run(here, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert asked.stdout == "401"
    there = f"{page} /etc/research-pki/ca.pem https://{ops.name}/"
    assert ops.run(there).out == "403"
    assert lab["cache1"].run(there).out == "000"
