"""The report of a site: every host in one table, what was not seen, and every value escaped."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from ansible.module_utils.capacity_report import Settings, assess
from ansible.module_utils.capacity_table import page, summary, table

MIB, GIB = 1024**2, 1024**3
NOW = "2026-11-29 12:00 UTC"
SETTINGS = Settings(days=30, price=0.30, currency="EUR")
GROUPS = {
    "all": ["app1", "app2", "os1", "edge1"],
    "edge": ["edge1"],
    "app": ["app1", "app2"],
    "opensearch": ["os1"],
    "cache": [],
}


def spread(p50: float, p95: float, peak: float) -> dict[str, float]:
    return {"p50": p50, "p95": p95, "peak": peak, "mean": p50}


def looked(**units: tuple[float, int | None]) -> dict[str, Any]:
    """Return what host_usage says: units with their memory and their limit."""
    names = {f"{name.replace('_', '-')}.service": each for name, each in units.items()}
    none = {"memory_high": None, "cpu_quota": None, "tasks_max": None, "heap": None}
    return {
        "usage": {
            "seconds": 60.0,
            "samples": 60,
            "host": {
                "cpu": spread(20, 40, 80),
                "memory": spread(1 * GIB, 1 * GIB, 1 * GIB),
                "disk_io": spread(0, 1e6, 2e6),
                "network": spread(0, 1e5, 2e5),
            },
            "units": {
                unit: {
                    "cpu": spread(1, 2, 3),
                    "memory": spread(memory, memory, memory),
                    "disk_io": spread(0, 0, 0),
                }
                for unit, (memory, _) in names.items()
            },
        },
        "reserved": {
            "cores": 4,
            "memory": 8 * GIB,
            "network_megabits": 1000,
            "filesystems": [
                {"mount": "/", "kind": "ext4", "size": 100 * GIB, "free": 60 * GIB},
                {"mount": "/var/lib/opensearch", "kind": "ext4", "size": 10 * GIB, "free": 4 * GIB},
            ],
            "units": {
                unit: {"active": True, "memory_max": has, **none}
                for unit, (_, has) in names.items()
            },
        },
    }


APP = {
    "unit": "research-app.service",
    "memory_variable": "app_memory_max",
    "cpu_variable": "app_cpu_quota",
}
SEARCH = {
    "unit": "opensearch.service",
    "memory_variable": "opensearch_memory_max",
    "pool": {"kind": "heap", "variable": "opensearch_heap", "used": "u", "limit": "l"},
    "disk": {"path": "/var/lib/opensearch/nodes", "percent": "85%"},
}
SITE: list[dict[str, Any]] = [
    {
        "name": "app1",
        "watts_idle": 40,
        "watts_busy": 100,
        "services": [APP],
        "looked": looked(research_app=(1.9 * GIB, 2 * GIB), rsyslog=(30 * MIB, 256 * MIB)),
    },
    {
        "name": "app2",
        "watts_idle": 40,
        "watts_busy": 100,
        "services": [APP],
        "looked": looked(research_app=(0.2 * GIB, 2 * GIB)),
    },
    {
        "name": "os1",
        "watts_idle": 0,
        "watts_busy": 0,
        "services": [SEARCH],
        "looked": looked(opensearch=(5 * GIB, None)),
    },
    {
        "name": "edge1",
        "watts_idle": 0,
        "watts_busy": 0,
        "services": [],
        "looked": {"unreachable": True, "msg": "Failed to connect: \nssh: no route <to> host"},
    },
]
METRICS: dict[str, Any] = {
    "store": "http://127.0.0.1:8428",
    "problems": [],
    "hosts": {
        "app2": {
            "days": 29.9,
            "host": {
                "cpu": spread(100, 120, 150),
                "memory": spread(1 * GIB, 1.1 * GIB, 1.2 * GIB),
                "disk_io": spread(0, 1, 2),
                "network": spread(0, 1, 2),
            },
            "disks": {"/": {"size": 100 * GIB, "free": 60 * GIB, "growth": 0.01 * GIB / 86400}},
            "services": {
                "research-app.service": {
                    "days": 29.9,
                    "memory": spread(1.0 * GIB, 1.1 * GIB, 1.2 * GIB),
                }
            },
        },
        "os1": {
            "days": 29.9,
            "host": {},
            "disks": {"/var/lib/opensearch": {"growth": 0.1 * GIB / 86400}},
            "services": {
                "opensearch.service": {
                    "days": 29.9,
                    "pool": {**spread(2 * GIB, 3 * GIB, 3 * GIB), "limit": 4 * GIB},
                }
            },
        },
    },
}


@pytest.fixture
def report() -> dict[str, Any]:
    return assess(copy.deepcopy(SITE), copy.deepcopy(METRICS), GROUPS, SETTINGS, NOW)


def host(report: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in report["hosts"] if each["host"] == name)
    return found


def test_metrics_of_days_are_preferred_to_a_minute(report: dict[str, Any]) -> None:
    assert host(report, "app2")["over"] == {"source": "metrics", "days": 29.9}
    assert host(report, "app2")["used"]["cpu"]["p95"] == 120
    # No figures of CPU in its metrics: the minute has them.
    assert host(report, "os1")["over"] == {"source": "samples", "days": pytest.approx(60 / 86400)}
    assert host(report, "app1")["over"]["source"] == "samples"
    services = {each["unit"]: each for each in host(report, "app2")["services"]}
    assert services["research-app.service"]["used"]["memory"]["p95"] == 1.1 * GIB
    assert services["research-app.service"]["used"]["cpu"]["p95"] == 2


def test_a_host_that_cannot_be_reached_is_there_with_the_reason(report: dict[str, Any]) -> None:
    found = host(report, "edge1")
    assert found["problem"] == "the host cannot be reached: ssh: no route <to> host"
    assert found["over"] == {"source": "nothing", "days": 0.0}
    assert found["services"] == [] and found["disks"] == []


def test_it_is_still_told_of_what_its_metrics_say() -> None:
    site = [{**SITE[1], "looked": {"failed": True, "msg": "psutil is missing"}}]
    found = host(assess(site, METRICS, GROUPS, SETTINGS, NOW), "app2")
    assert found["problem"] == "psutil is missing"
    assert found["used"]["cpu"]["p95"] == 120
    assert [(each["mount"], each["size"]) for each in found["disks"]] == [("/", 100 * GIB)]
    assert found["disks"][0]["over"]["source"] == "metrics"
    assert found["power"] is None  # how many cores it has is not known


def test_a_service_whose_heap_alone_is_told_was_seen(report: dict[str, Any]) -> None:
    search = host(report, "os1")["services"][0]
    assert search["over"] == {"source": "metrics", "days": 29.9}
    # Its memory is that of the minute all the same, which lowers nothing.
    short = {"memory_max": 32 * GIB, "active": True, "heap": None, "cpu_quota": None}
    site = [{**SITE[2], "looked": looked(opensearch=(5 * GIB, 32 * GIB))}]
    site[0]["looked"]["reserved"]["units"]["opensearch.service"] = short
    said = host(assess(site, METRICS, GROUPS, SETTINGS, NOW), "os1")["services"][0]["advice"]
    assert [each["verdict"] for each in said if each["of"] == "memory"] == ["keep"]


def test_what_is_not_known_is_not_said_to_be_without_limit() -> None:
    site = [{**SITE[1], "looked": {"failed": True, "msg": "psutil is missing"}}]
    shown = table(assess(site, METRICS, GROUPS, SETTINGS, NOW))
    assert "research-app" in shown
    assert "no limit" not in shown


def test_one_of_two_units_with_the_same_metrics_is_told_where_nobody_looked() -> None:
    cache = {
        "unit": "valkey-server.service",
        "pool": {"kind": "cache", "variable": "v", "used": "u"},
    }
    services = [cache, {**cache, "unit": "redis-server.service"}]
    site = [{**SITE[3], "name": "cache1", "services": services}]
    told = {each["unit"]: {"days": 3.0, "pool": {"limit": GIB}} for each in services}
    metrics = {**METRICS, "hosts": {"cache1": {"days": 3.0, "services": told}}}
    found = host(assess(site, metrics, GROUPS, SETTINGS, NOW), "cache1")
    assert [each["unit"] for each in found["services"]] == ["valkey-server.service"]


def test_the_lines_to_write_are_of_real_variables(report: dict[str, Any]) -> None:
    lines = {(each["file"], each["line"]) for each in report["inventory"]}
    assert ("group_vars/app.yml", "app_memory_max: 2560M") in lines
    assert ("group_vars/opensearch.yml", "opensearch_heap: 4g") not in lines
    assert len(lines) == 1


def test_a_search_nodes_disk_counts_as_full_at_its_watermark(report: dict[str, Any]) -> None:
    disks = {each["mount"]: each for each in host(report, "os1")["disks"]}
    data = disks["/var/lib/opensearch"]
    assert data["days_until_full"] == pytest.approx(40, abs=1)
    assert data["advice"]["verdict"] == "buy"
    assert data["advice"]["reason"].startswith("at 85 % in 25 days")
    assert disks["/"]["advice"]["verdict"] == "keep"


def test_watts_and_their_cost(report: dict[str, Any]) -> None:
    # 20 % and 100 % of one of four cores.
    assert host(report, "app1")["power"] == {"watts": 43.0, "kwh": 31.4, "cost": 9.42}
    assert host(report, "app2")["power"] == {"watts": 55.0, "kwh": 40.1, "cost": 12.04}
    assert host(report, "os1")["power"] is None
    assert report["power"] == {
        "watts": 98.0, "kwh": 71.5, "cost": 21.46, "currency": "EUR", "price": 0.3,
        "without_watts": ["os1", "edge1"],
    }  # fmt: skip


def test_what_a_spare_saves_is_told_of_the_tiers_that_may_have_one(report: dict[str, Any]) -> None:
    said = {each["group"]: each for each in report["standby"]}
    assert set(said) == {"edge", "app"}
    assert said["edge"]["reason"] == "edge1 is alone"
    assert said["app"]["saved"] == {"host": "app2", "watts": 40, "kwh": 29.2, "cost": 8.76}


def test_something_presses_and_that_is_the_verdict(report: dict[str, Any]) -> None:
    assert report["met"] is False
    easy = assess([SITE[1]], {**METRICS, "hosts": {}}, GROUPS, SETTINGS, NOW)
    assert easy["met"] is True
    # A host that was not seen may need anything.
    assert assess([SITE[3]], METRICS, GROUPS, SETTINGS, NOW)["met"] is False


def test_the_report_is_plain_json(report: dict[str, Any]) -> None:
    assert json.loads(json.dumps(report)) == report


def test_the_table_has_every_host_service_and_disk(report: dict[str, Any]) -> None:
    lines = table(report).splitlines()
    head, rule, *rows = lines
    assert head.split()[:2] == ["host", "what"]
    assert set(rule) == {"-", " "}
    assert {line.split()[0] for line in rows[: rows.index("")]} == {"app1", "app2", "os1", "edge1"}
    shown = table(report)
    for said in (
        "research-app",
        "/var/lib/opensearch",
        "30 days",
        "1 min",
        "the host cannot be reached: ssh: no route <to> host",
        "group_vars/app.yml   app_memory_max: 2560M",
        "98 W, 71.5 kWh and 21.46 EUR a month",
        "os1, edge1: no capacity_watts_idle and capacity_watts_busy",
        "6 GB of 10 GB, full in 40 days",
        "buy 50 GB",
        "2 GB suffice",
        "1 other unit",
    ):
        assert said in shown, shown
    assert max(map(len, lines)) < 240


def test_without_a_price_there_is_no_cost() -> None:
    free = Settings(days=30, price=0.0, currency="EUR")
    shown = table(assess(copy.deepcopy(SITE), METRICS, GROUPS, free, NOW))
    assert "98 W, 71.5 kWh a month" in shown
    assert "EUR" not in shown


def test_that_no_store_answered_is_said() -> None:
    away = {
        "store": "",
        "hosts": {},
        "problems": ["http://127.0.0.1:9090 does not answer: refused"],
    }
    shown = table(assess(copy.deepcopy(SITE), away, GROUPS, SETTINGS, NOW))
    assert "http://127.0.0.1:9090 does not answer: refused" in shown
    assert "no store of metrics answered: these are samples of a minute" in shown


class Cells(HTMLParser):
    """Reads the first cells of rows, and every tag."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.firsts: set[str] = set()
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._in = tag

    def handle_data(self, data: str) -> None:
        if self._in == "th" and data.strip():
            self.firsts.add(data.strip())


def test_the_page_has_every_host_and_no_script(report: dict[str, Any]) -> None:
    read = Cells()
    read.feed(page(report))
    assert {"app1", "app2", "os1", "edge1"} <= read.firsts
    assert "script" not in read.tags


def test_every_value_of_the_page_is_escaped() -> None:
    bad = '<script>alert("1")</script>'
    site = copy.deepcopy(SITE)
    site[0]["name"] = bad
    site[0]["looked"]["reserved"]["filesystems"][0]["mount"] = f"/{bad}"
    site[2]["looked"] = {"failed": True, "msg": bad}
    settings = Settings(days=30, price=0.3, currency=bad)
    shown = page(assess(site, {**METRICS, "problems": [bad]}, {"app": [bad]}, settings, bad))
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") >= 5
    assert not re.search(r"<[^>]*alert", shown)


def test_a_summary_says_what_presses(report: dict[str, Any]) -> None:
    assert summary(report) == "4 things are too small or were not seen"
    easy = assess([SITE[1]], {**METRICS, "hosts": {}}, GROUPS, SETTINGS, NOW)
    assert summary(easy) == "nothing is too small"
