"""What is to be set or bought: from what was used, what there is, and for how long one looked."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.capacity import (
    Advice,
    cache,
    cores,
    disk,
    heap,
    host_memory,
    inventory_lines,
    limit,
    month,
    number,
    quota,
    rounded,
    span,
    standby,
    text,
    watts,
)

MIB, GIB = 1024**2, 1024**3
MONTH = 30.0
A_MINUTE = 60 / 86400


def spread(p50: float, p95: float, peak: float) -> dict[str, float]:
    return {"p50": p50, "p95": p95, "peak": peak, "mean": p50}


@pytest.mark.parametrize(
    ("given", "want", "style", "written"),
    [
        (100 * MIB, 128 * MIB, "systemd", "128M"),
        (600 * MIB, 768 * MIB, "systemd", "768M"),
        (2000 * MIB, 2048 * MIB, "systemd", "2G"),
        (2100 * MIB, 2304 * MIB, "systemd", "2304M"),
        (4.1 * GIB, 5 * GIB, "java", "5g"),
        (700 * MIB, 768 * MIB, "java", "768m"),
        (300 * MIB, 320 * MIB, "redis", "320mb"),
        (5 * GIB, 5 * GIB, "redis", "5gb"),
    ],
)
def test_sizes_are_round_and_written_as_each_service_reads_them(
    given: float, want: int, style: str, written: str
) -> None:
    assert rounded(given) == want
    assert text(rounded(given), style) == written


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (20, "20 s"),
        (60, "1 min"),
        (3 * 3600, "3 h"),
        (1.5 * 86400, "1.5 days"),
        (864000, "10 days"),
    ],
)
def test_times(seconds: float, said: str) -> None:
    assert span(seconds / 86400) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (0.00412, "0.004"), (0.31, "0.3"), (1.84, "1.8"), (2.0, "2"), (157.4, "157")],
)
def test_small_numbers_keep_a_digit(value: float, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize(
    ("used", "has", "days", "verdict", "value", "reason"),
    [
        pytest.param(
            spread(1.0 * GIB, 1.2 * GIB, 1.5 * GIB), 2 * GIB, MONTH, "keep", "",
            "95 % of the time at most 1.2 GB of 2 GB", id="it fits",
        ),
        pytest.param(
            spread(1.0 * GIB, 1.8 * GIB, 1.9 * GIB), 2 * GIB, MONTH, "raise", "2560M",
            "1.8 GB in 95 % of the time and 30 % headroom are more than 2 GB", id="no headroom",
        ),
        pytest.param(
            spread(0.5 * GIB, 0.6 * GIB, 2 * GIB), 2 * GIB, MONTH, "raise", "2304M",
            "the peak of 2 GB and 10 % are more than 2 GB", id="a peak that is near the limit",
        ),
        pytest.param(
            spread(0.2 * GIB, 0.3 * GIB, 0.35 * GIB), 2 * GIB, MONTH, "lower", "512M",
            "0.3 GB in 95 % of the time: 0.5 GB suffices", id="far below it",
        ),
        pytest.param(
            spread(0.2 * GIB, 0.3 * GIB, 0.35 * GIB), 2 * GIB, 3.0, "keep", "",
            "0.3 GB, too short a look (3 days) to lower 2 GB", id="some days do not lower",
        ),
        pytest.param(
            spread(0.2 * GIB, 0.3 * GIB, 0.35 * GIB), 2 * GIB, A_MINUTE, "keep", "",
            "0.3 GB, too short a look (1 min) to lower 2 GB", id="a minute does not lower",
        ),
        pytest.param(
            spread(1.8 * GIB, 1.9 * GIB, 1.9 * GIB), 2 * GIB, A_MINUTE, "raise", "2560M",
            "1.9 GB in 95 % of the time and 30 % headroom are more than 2 GB",
            id="a minute raises",
        ),
        pytest.param(
            spread(1.0 * GIB, 1.0 * GIB, 1.0 * GIB), None, MONTH, "keep", "",
            "no limit of its own", id="no limit",
        ),
    ],
)  # fmt: skip
def test_memory_limits(
    used: dict[str, float], has: int | None, days: float, verdict: str, value: str, reason: str
) -> None:
    said = limit(used, has, days, 1.3, "app_memory_max")
    assert (said.verdict, said.value, said.reason) == (verdict, value, reason)
    assert said.variable == "app_memory_max"


def test_a_limit_is_never_below_what_lies_in_it() -> None:
    small = spread(10 * MIB, 10 * MIB, 10 * MIB)
    said = limit(small, 4 * GIB, MONTH, 1.3, "cache_memory_limit", least=1.5 * GIB)
    assert (said.verdict, said.value) == ("lower", "1536M")


@pytest.mark.parametrize(
    ("lives", "has", "ram", "days", "verdict", "value", "reason"),
    [
        (2.0, 4.0, 16.0, MONTH, "keep", "", "2 GB live in it, 50 % of 4 GB"),
        (
            3.2, 4.0, 16.0, MONTH, "raise", "6g",
            "3.2 GB live in it, 80 % of 4 GB: the collector needs 40 %",
        ),
        (
            3.9, 4.0, 8.0, MONTH, "buy", "",
            "3.9 GB live in it and it is half of the host's 8 GB: more memory or another node",
        ),
        (
            1.0, 10.0, 16.0, MONTH, "lower", "8g",
            "10 GB are more than half of the host's 16 GB, and the file cache needs the other half",
        ),
        (0.3, 6.0, 16.0, MONTH, "lower", "1g", "0.3 GB live in it: 1 GB suffices"),
        (0.3, 6.0, 16.0, 2.0, "keep", "", "0.3 GB live in it, 5 % of 6 GB"),
        (20.0, 31.0, 128.0, MONTH, "buy", "",
         "20 GB live in it and above 31 GB pointers double in size: another node"),
    ],
)  # fmt: skip
def test_heaps(
    lives: float, has: float, ram: float, days: float, verdict: str, value: str, reason: str
) -> None:
    held = spread(lives * GIB * 0.9, lives * GIB, lives * GIB)
    said = heap(held, int(has * GIB), int(ram * GIB), days, "opensearch_heap")
    assert (said.verdict, said.value, said.reason) == (verdict, value, reason)


@pytest.mark.parametrize(
    ("has", "verdict", "reason"),
    [
        (4, "keep", "what lives in it is known from metrics alone"),
        (
            12,
            "lower",
            "12 GB are more than half of the host's 16 GB, and the file cache needs the other half",
        ),
    ],
)
def test_a_heap_without_metrics(has: int, verdict: str, reason: str) -> None:
    said = heap(None, has * GIB, 16 * GIB, 0.0, "opensearch_heap")
    assert (said.verdict, said.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("holds", "verdict", "value", "reason"),
    [
        (100, "keep", "", "100 MB of 256 MB"),
        (250, "raise", "384mb", "it is full (250 MB of 256 MB), so it drops answers"),
    ],
)
def test_caches(holds: int, verdict: str, value: str, reason: str) -> None:
    held = spread(holds * MIB, holds * MIB, holds * MIB)
    said = cache(held, 256 * MIB, MONTH, 1.3, "cache_maxmemory")
    assert (said.verdict, said.value, said.reason) == (verdict, value, reason)


@pytest.mark.parametrize(
    ("used", "has", "verdict", "value"),
    [
        (spread(10, 50, 90), 150.0, "keep", ""),
        (spread(10, 140, 150), 150.0, "raise", "200%"),
        (spread(10, 140, 150), None, "keep", ""),
    ],
)
def test_shares_of_cpu(used: dict[str, float], has: float | None, verdict: str, value: str) -> None:
    said = quota(used, has, "app_cpu_quota")
    assert (said.verdict, said.value) == (verdict, value)


@pytest.mark.parametrize(
    ("used", "has", "days", "verdict", "reason"),
    [
        (spread(100, 150, 300), 4, MONTH, "keep", "95 % of the time at most 38 % of 4 cores"),
        (
            spread(200, 320, 400), 4, MONTH, "buy",
            "80 % of 4 cores in 95 % of the time, above 70 %: 5 cores",
        ),
        (
            spread(200, 400, 400), 4, MONTH, "buy",
            "100 % of 4 cores in 95 % of the time, above 70 %: at least 6 cores",
        ),
        (spread(10, 20, 60), 8, MONTH, "lower", "at most 8 % of 8 cores: 2 suffice"),
        (spread(10, 20, 60), 8, A_MINUTE, "keep", "95 % of the time at most 2 % of 8 cores"),
        (spread(10, 20, 60), 2, MONTH, "keep", "95 % of the time at most 10 % of 2 cores"),
    ],
)  # fmt: skip
def test_cores(used: dict[str, float], has: int, days: float, verdict: str, reason: str) -> None:
    said = cores(used, has, days)
    assert (said.verdict, said.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("p95", "ram", "days", "least", "verdict", "reason"),
    [
        (4.0, 8.0, MONTH, 0.0, "keep", "95 % of the time at most 4 GB of 8 GB"),
        (7.2, 8.0, MONTH, 0.0, "buy", "7.2 GB of 8 GB in 95 % of the time, above 85 %: 12 GB"),
        (1.0, 16.0, MONTH, 0.0, "lower", "1 GB in 95 % of the time: 2 GB suffice"),
        (1.0, 16.0, MONTH, 16.0, "keep", "95 % of the time at most 1 GB of 16 GB"),
        (1.0, 16.0, 1.0, 0.0, "keep", "95 % of the time at most 1 GB of 16 GB"),
    ],
)
def test_the_memory_of_a_host(
    p95: float, ram: float, days: float, least: float, verdict: str, reason: str
) -> None:
    used = spread(p95 * GIB, p95 * GIB, p95 * GIB)
    said = host_memory(used, int(ram * GIB), days, 1.3, least * GIB)
    assert (said.verdict, said.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("size", "free", "per_day", "days", "left", "verdict", "reason"),
    [
        (100, 60, 0.1, MONTH, 600, "keep", "40 % full, grows by 0.1 GB a day"),
        (
            100, 25, 0.5, MONTH, 50, "buy",
            "at 85 % in 20 days, and a disk takes 90 to come: 310 GB for a year",
        ),
        (100, 10, 0.0, MONTH, None, "buy", "90 % full, above 85 %"),
        (
            100, 10, 0.1, MONTH, 100, "buy",
            "90 % full, above 85 %: 150 GB for a year",
        ),
        (
            100, 25, 0.5, 2.0, 50, "buy",
            "at 85 % in 20 days, and a disk takes 90 to come: 310 GB for a year"
            " (by 2 days of metrics)",
        ),
        (100, 60, -0.1, MONTH, None, "keep", "40 % full, does not grow"),
        (100, 60, 30.0, 0.2, None, "keep", "40 % full, no trend from less than a day of metrics"),
        (100, 60, None, 0.0, None, "keep", "40 % full, no trend from less than a day of metrics"),
    ],
)  # fmt: skip
def test_disks(
    size: float,
    free: float,
    per_day: float | None,
    days: float,
    left: float | None,
    verdict: str,
    reason: str,
) -> None:
    growth = None if per_day is None else per_day * GIB / 86400
    full, said = disk(size * GIB, free * GIB, growth, days, percent=85, comes_in=90)
    assert (full if full is None else round(full)) == left
    assert (said.verdict, said.reason) == (verdict, reason)


def test_power_grows_with_the_share_of_the_cores_that_work() -> None:
    assert watts(40, 100, 0.0) == 40
    assert watts(40, 100, 0.5) == 70
    assert watts(40, 100, 1.4) == 100  # a counter that was late is no more than all cores


def test_a_month_has_730_hours() -> None:
    assert month(100, 0.30) == (73.0, 21.9)
    assert month(100, 0.0) == (73.0, 0.0)


def member(name: str, peak: float | None = 50, **more: Any) -> dict[str, Any]:
    return {"name": name, "tiers": ["app"], "cores": 4, "peak": peak, "idle": 40.0, **more}


@pytest.mark.parametrize(
    ("hosts", "verdict", "reason"),
    [
        pytest.param(
            [member("app1"), member("app2"), member("app3")], "lower",
            "without app3 the others reach 19 % of their cores at the peak; app3 as a spare that is"
            " off saves 40 W, 29.2 kWh and 8.76 EUR a month",
            id="three, and two bear it",
        ),
        pytest.param(
            [member("app1"), member("app2")], "lower",
            "without app2 the other reaches 25 % of its cores at the peak; app2 as a spare that is"
            " off saves 40 W, 29.2 kWh and 8.76 EUR a month; until it is started nobody takes over"
            " from app1",
            id="two",
        ),
        pytest.param(
            [member("app1", 250), member("app2", 250), member("app3", 250)], "keep",
            "without app3 the others reach 94 % of their cores at the peak, above 70 %",
            id="two do not bear it",
        ),
        pytest.param([member("app1")], "keep", "app1 is alone", id="one"),
        pytest.param(
            [member("app1"), member("app2", tiers=["app", "cache"])], "keep",
            "app2 does other work too (cache)", id="a host that does more",
        ),
        pytest.param(
            [member("app1"), member("app2", peak=None)], "keep",
            "app2 was not seen", id="a host without figures",
        ),
        pytest.param(
            [member("app1", peak=None), member("app2", peak=None)], "keep",
            "app1, app2 were not seen", id="none with figures",
        ),
    ],
)  # fmt: skip
def test_a_spare_that_is_off(hosts: list[dict[str, Any]], verdict: str, reason: str) -> None:
    said, _ = standby("app", hosts, 0.30, "EUR")
    assert (said.verdict, said.reason) == (verdict, reason)


def test_a_spare_without_watts_tells_the_load_alone() -> None:
    hosts = [member("app1", idle=0.0), member("app2", idle=0.0), member("app3", idle=0.0)]
    said, saved = standby("app", hosts, 0.30, "EUR")
    assert said.reason.endswith("at the peak; what that saves is known with capacity_watts_idle")
    assert saved is None


def test_a_line_of_every_host_goes_to_the_narrowest_file() -> None:
    advice = Advice("raise", "because", "log_shipper_memory_max", "512M", 5)
    every = {"all": ["a1", "o1"], "app": ["a1"]}
    found = inventory_lines([("a1", advice), ("o1", advice)], every)
    assert [each["file"] for each in found] == ["group_vars/all.yml"]
    alone = {"all": ["a1"], "app": ["a1"], "ops": ["a1"]}
    assert [each["file"] for each in inventory_lines([("a1", advice)], alone)] == [
        "group_vars/app.yml"
    ]


GROUPS = {"app": ["app1", "app2"], "cache": ["cache1"], "all": ["app1", "app2", "cache1"]}


def said(verdict: str, amount: float, value: str = "") -> Advice:
    return Advice(verdict, "because", "app_memory_max", value, amount)


@pytest.mark.parametrize(
    ("advice", "lines"),
    [
        pytest.param(
            {"app1": said("raise", 3, "3G"), "app2": said("keep", 2)},
            [("group_vars/app.yml", "app_memory_max: 3G")],
            id="one host of a group needs more, all are alike",
        ),
        pytest.param(
            {"app1": said("raise", 3, "3G"), "app2": said("raise", 4, "4G")},
            [("group_vars/app.yml", "app_memory_max: 4G")],
            id="the one that needs most",
        ),
        pytest.param(
            {"app1": said("lower", 1, "1G"), "app2": said("keep", 2)},
            [],
            id="one host alone does not lower a group",
        ),
        pytest.param(
            {"app1": said("lower", 1, "1G"), "app2": said("lower", 0.5, "512M")},
            [("group_vars/app.yml", "app_memory_max: 1G")],
            id="all of them do",
        ),
        pytest.param(
            {"app1": said("raise", 3, "3G")},
            [("host_vars/app1.yml", "app_memory_max: 3G")],
            id="a host that alone has the service",
        ),
        pytest.param({"app1": said("keep", 2), "app2": said("keep", 2)}, [], id="nothing"),
        pytest.param({"app1": Advice("raise", "because", "", "3G", 3)}, [], id="no variable"),
    ],
)
def test_the_lines_of_the_inventory(
    advice: dict[str, Advice], lines: list[tuple[str, str]]
) -> None:
    found = inventory_lines(advice.items(), GROUPS)
    assert [(each["file"], each["line"]) for each in found] == lines
    assert all(each["reason"] == "because" for each in found)
