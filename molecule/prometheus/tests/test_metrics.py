"""Who is asked, by whom, and what is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

OPS = ("prometheus-1", "prometheus-2")
ALL = (*OPS, "prometheus-3")
Query = Callable[..., list[dict[str, Any]]]

ASK = "curl -sS --max-time 3 --cacert /etc/research-pki/ca.pem"
OWN = "--cert /etc/research-pki/host.pem --key /etc/research-pki/host.pem.key"


@pytest.fixture(scope="module")
def counted(hosts: dict[str, Any]) -> None:
    """Have pending updates counted now: the timer waits up to five minutes for its first time."""
    hosts["prometheus-3"].check_output("systemctl start research-pending.service")


@pytest.mark.parametrize("ops", OPS)
def test_every_target_is_up(query: Query, wait: Callable[..., Any], ops: str) -> None:
    wait(lambda: len(query("up == 1", ops)) == len(query("up", ops)) > 0, 40)
    found = {(each["metric"]["job"], each["metric"]["host"]) for each in query("up", ops)}
    nodes = {(job, name) for job in ("node", "probe_tls") for name in ALL}
    assert found == nodes | {("prometheus", ops), ("alertmanager", ops)}
    instances = {each["metric"]["instance"] for each in query('up{job="node"}', ops)}
    assert instances == {f"{name}:9100" for name in ALL}


@pytest.mark.parametrize(
    "metric",
    [
        'node_systemd_unit_state{HOST,name="research-pending.timer",state="active"} == 1',
        'node_systemd_service_restart_total{HOST,name="prometheus-node-exporter.service"}',
        'node_network_address_info{HOST,address="10.78.0.153"}',
        'node_filesystem_avail_bytes{HOST,mountpoint="/"}',
        'node_filesystem_readonly{HOST,mountpoint="/"} == 0',
        "node_timex_offset_seconds{HOST}",
        "node_memory_MemAvailable_bytes{HOST}",
        "node_vmstat_oom_kill{HOST}",
        "node_pressure_cpu_waiting_seconds_total{HOST}",
        "node_textfile_scrape_error{HOST} == 0",
        "research_security_updates_pending{HOST} >= 0",
        "research_reboot_required_since_timestamp_seconds{HOST} == 0",
        'research_unit_last_success_timestamp_seconds{HOST,unit="research-pending.service"}',
        "probe_ssl_earliest_cert_expiry{HOST} - time() > 86400 * 300",
    ],
)
@pytest.mark.usefixtures("counted")
def test_what_rules_rely_on_is_told_of_a_host(
    query: Query, wait: Callable[..., Any], metric: str
) -> None:
    assert wait(lambda: query(metric.replace("HOST", 'host="prometheus-3"')), 30)


def test_who_shows_no_certificate_of_a_monitoring_host_is_refused(hosts: dict[str, Any]) -> None:
    url = "https://prometheus-3:9100/metrics"
    assert "node_load1" in hosts["prometheus-1"].check_output(f"{ASK} {OWN} {url}")
    without = hosts["prometheus-1"].run(f"{ASK} {url}")
    assert without.rc != 0
    assert "certificate required" in without.stderr
    # A host that is none, on the host itself, where no firewall is in between.
    own = hosts["prometheus-3"].run(f"{ASK} {OWN} {url}")
    assert own.rc != 0
    assert "node_load1" not in own.stdout
    assert (
        hosts["prometheus-1"]
        .run("curl -s http://prometheus-3:9100/metrics")
        .stdout.startswith("Client sent an HTTP request to an HTTPS server")
    )


def test_elsewhere_does_not_get_through(hosts: dict[str, Any]) -> None:
    for port in (9100, 9090, 9093, 9115, 9094):
        tried = hosts["prometheus-3"].run(f"timeout 2 bash -c '</dev/tcp/prometheus-1/{port}'")
        assert tried.rc != 0, port
    listening = hosts["prometheus-1"].check_output("ss -Hltn")
    for port in (9090, 9093, 9115):
        assert f"127.0.0.1:{port}" in listening
        assert f"0.0.0.0:{port}" not in listening and f"*:{port}" not in listening


@pytest.mark.parametrize(
    ("host", "unit"),
    [
        ("prometheus-3", "prometheus-node-exporter"),
        ("prometheus-3", "research-pending"),
        ("prometheus-1", "prometheus"),
        ("prometheus-1", "prometheus-alertmanager"),
        ("prometheus-1", "prometheus-blackbox-exporter"),
    ],
)
def test_units_can_do_little(hosts: dict[str, Any], host: str, unit: str) -> None:
    analysed = hosts[host].check_output(f"systemd-analyze security --no-pager {unit}")
    level = float(re.findall(r"exposure level for .*: ([\d.]+)", analysed)[0])
    assert level <= 2.0, analysed


def test_how_a_unit_ended_is_told(hosts: dict[str, Any]) -> None:
    """Also of a unit whose author did not think of it, and of one that fails."""
    host = hosts["prometheus-3"]
    file = "/var/lib/prometheus/node-exporter/unit-dpkg-db-backup.service.prom"
    host.check_output("systemctl start dpkg-db-backup.service")
    good = host.file(file).content_string
    assert 'research_unit_last_result{unit="dpkg-db-backup.service"} 1' in good
    succeeded = re.findall(r"last_success_timestamp_seconds{.*} (\d+)", good)
    host.check_output(
        "mkdir -p /run/systemd/system/dpkg-db-backup.service.d && printf '[Service]\\nExecStart=\\n"
        "ExecStart=/bin/false\\n' >/run/systemd/system/dpkg-db-backup.service.d/zz-fails.conf && "
        "systemctl daemon-reload"
    )
    assert host.run("systemctl start dpkg-db-backup.service").rc != 0
    bad = host.file(file).content_string
    host.check_output(
        "rm -r /run/systemd/system/dpkg-db-backup.service.d && systemctl daemon-reload && "
        "systemctl reset-failed"
    )
    assert 'research_unit_last_result{unit="dpkg-db-backup.service"} 0' in bad
    assert re.findall(r"last_success_timestamp_seconds{.*} (\d+)", bad) == succeeded
