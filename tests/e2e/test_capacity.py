"""scripts/capacity tells of every host of the lab, and its report is on the monitoring host."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import INVENTORY, ROOT, Lab

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
PAGE = "https://ops1/capacity.html"
ASK = "curl -sS --cacert /etc/research-pki/ca.pem --resolve ops1:443:127.0.0.1"


def capacity(*arguments: str) -> str:
    """Run the command, which looks at the hosts for some seconds, and return what it printed."""
    done = subprocess.run(
        [
            str(ROOT / "scripts" / "capacity"),
            str(INVENTORY),
            "--seconds",
            "5",
            "--days",
            "1",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capacity("--json"))
    return found


def test_every_host_was_seen_and_so_were_its_metrics(report: dict[str, Any], lab: Lab) -> None:
    hosts = {host["host"]: host for host in report["hosts"]}
    assert set(hosts) == set(lab.hosts)
    assert not {name: host["problem"] for name, host in hosts.items() if host["problem"]}
    assert {host["over"]["source"] for host in hosts.values()} == {"metrics"}
    assert report["problems"] == []
    for host in hosts.values():
        assert all(host["used"][name]["p95"] >= 0 for name in host["used"])
        assert "/" in {disk["mount"] for disk in host["disks"]}


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        ("edge", "haproxy.service"),
        ("app", "research-app.service"),
        ("app", "research-worker.service"),
        ("opensearch", "opensearch.service"),
        ("cache", "valkey-server.service"),
        ("ops", "prometheus.service"),
    ],
)
def test_services_have_figures_and_their_reservations(
    report: dict[str, Any], lab: Lab, group: str, unit: str
) -> None:
    names = {host.name for host in lab.group(group)}
    for host in [each for each in report["hosts"] if each["host"] in names]:
        service = next(each for each in host["services"] if each["unit"] == unit)
        assert service["used"]["memory"]["p95"] > 0
        if unit == "opensearch.service":
            assert service["pool"]["limit"] == 512 * 1024**2
            assert 0 < service["pool"]["used"]["p95"] < service["pool"]["limit"]
        if unit == "research-app.service":
            assert service["over"]["source"] == "metrics"
            assert service["reserved"]["memory_max"] == 2 * 1024**3


def test_the_table_has_every_host(lab: Lab) -> None:
    rows = capacity().split("\n\n")[0].splitlines()[2:]
    assert {row.split()[0] for row in rows} == set(lab.hosts)


def test_the_page_is_on_ops_for_who_is_signed_in(report: dict[str, Any], lab: Lab) -> None:
    ops = lab.group("ops")[0]
    assert ops.check(f"{ASK} -o /dev/null -w '%{{http_code}}' {PAGE}") == "401"
    vault = INVENTORY / "group_vars" / "all" / "vault.yml"
    shown = subprocess.run(["ansible-vault", "view", str(vault)], capture_output=True, check=True)
    password = yaml.safe_load(shown.stdout)["vault_ops_page_password"]
    ops.write("/run/capacity-test.curl", f'user = "admin:{password}"\n')
    try:
        page = ops.check(f"{ASK} --fail --config /run/capacity-test.curl {PAGE}")
        index = ops.check(f"{ASK} --fail --config /run/capacity-test.curl https://ops1/")
    finally:
        ops.run("rm -f /run/capacity-test.curl")
    assert all(f"<th>{name}</th>" in page for name in lab.hosts)
    assert 'href="/capacity.html"' in index
