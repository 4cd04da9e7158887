"""What hosts and services used over days, asked of Prometheus or of a store that answers as it."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

DAY = 86400
FINEST = 300  # seconds, as rates are those of five minutes; and of a week at most
FINEST_OF_A_WEEK = 60
MOST_POINTS = 50_000  # of one series within a question; VictoriaMetrics refuses 100,000
QUANTILES = {
    "p50": "quantile_over_time(0.5, {})",
    "p95": "quantile_over_time(0.95, {})",
    "peak": "max_over_time({})",
    "mean": "avg_over_time({})",
}
# What is counted on another device already.
DISKS = 'job="node",device!~"(loop|ram|zram|dm-|md|sr|fd).*"'
CARDS = r'job="node",device!~"lo|(veth|br|docker|bond|team|tun|wg).*|.*\\..*"'
FILES = 'job="node",fstype!~"tmpfs|ramfs|devtmpfs|efivarfs|nsfs"'
HOST = {
    "cpu": '100 * sum by (host) (rate(node_cpu_seconds_total{job="node",mode!~"idle|iowait"}[5m]))',
    "memory": "max by (host) (node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)",
    "disk_io": f"sum by (host) (rate(node_disk_read_bytes_total{{{DISKS}}}[5m])"
    f" + rate(node_disk_written_bytes_total{{{DISKS}}}[5m]))",
    "network": f"sum by (host) (rate(node_network_receive_bytes_total{{{CARDS}}}[5m])"
    f" + rate(node_network_transmit_bytes_total{{{CARDS}}}[5m]))",
}


class MetricsError(Exception):
    """A store does not tell what it is asked; the message says what and why."""


def resolution(days: int) -> int:
    """Return how many seconds lie between two looks at a series."""
    if days <= 7:
        return FINEST_OF_A_WEEK
    return max(FINEST, math.ceil(days * DAY / MOST_POINTS / 30) * 30)


def questions(days: int, services: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the questions, by a key that says where the answer belongs.

    :param days: over how many days
    :param services: C(unit), and the metrics C(memory), C(cpu) and C(pool) (C(used), C(limit)) of
        those that tell of themselves
    :raises MetricsError: where there are no days to ask for
    """
    if days < 1:
        raise MetricsError(f"days is {days}: it takes at least 1 to see what was used")
    step = resolution(days)
    window = f"[{days}d:{step}s]"

    def spread(key: str, expression: str) -> dict[str, str]:
        inner = f"({expression}){window}"
        return {f"{key} {name}": form.format(inner) for name, form in QUANTILES.items()}

    def counted(expression: str) -> str:
        return f"count_over_time(({expression}){window}) * {step} / {DAY}"

    asked = {"days": counted('max by (host) (up{job="node"} == 1)')}
    for name, expression in HOST.items():
        asked |= spread(f"host {name}", expression)
    free = f"max by (host, mountpoint) (node_filesystem_avail_bytes{{{FILES}}})"
    asked["disk size"] = f"max by (host, mountpoint) (node_filesystem_size_bytes{{{FILES}}})"
    asked["disk free"] = free
    asked["disk growth"] = f"-deriv(({free}){window})"
    for service in services:
        key = f"service {service['unit']}"
        if memory := service.get("memory"):
            asked |= spread(f"{key} memory", f"max by (host) ({memory})")
            asked[f"{key} days"] = counted(f"max by (host) ({memory})")
        if cpu := service.get("cpu"):
            asked |= spread(f"{key} cpu", f"100 * sum by (host) (rate({cpu}[5m]))")
        if pool := service.get("pool"):
            held = f"max by (host) ({pool['used']})"
            if pool["kind"] == "heap":  # the rest is garbage that nobody has collected yet
                held = f"max by (host) (min_over_time({pool['used']}[1h]))"
            asked |= spread(f"{key} pool", held)
            asked[f"{key} pool limit"] = f"max by (host) ({pool['limit']})"
            asked.setdefault(f"{key} days", counted(f"max by (host) ({pool['used']})"))
    return asked


class Store:
    """A store of metrics on this host."""

    def __init__(self, url: str, timeout: float = 120) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout

    def ask(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each series; what is not a number is left out.

        :raises MetricsError: where there is no answer
        """
        request = urllib.request.Request(  # noqa: S310 — the site's own address
            f"{self.url}/api/v1/query", urllib.parse.urlencode({"query": query}).encode()
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                said = json.load(answer)
            result = said["data"]["result"]
            found = [(each["metric"], float(each["value"][1])) for each in result]
        except urllib.error.HTTPError as error:
            raise MetricsError(f"{self.url} refuses the question: {_reason(error)}") from error
        except OSError as error:
            why = getattr(error, "reason", error)
            raise MetricsError(f"{self.url} does not answer: {why}") from error
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise MetricsError(f"{self.url} gives an answer that cannot be read") from error
        return [(labels, value) for labels, value in found if math.isfinite(value)]


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"


def fullest(urls: Sequence[str], days: int, timeout: float = 120) -> tuple[Store | None, list[str]]:
    """Return the store that goes back furthest, and why others do not answer.

    Which goes back further depends on when each began and on what it keeps. The first wins a tie.
    """
    lengths: list[tuple[float, Store]] = []
    problems: list[str] = []
    question = questions(days, [])["days"]
    for url in urls:
        store = Store(url, timeout)
        try:
            told = [value for _, value in store.ask(question)]
            lengths.append((max(told, default=0.0), store))
        except MetricsError as error:
            problems.append(str(error))
    chosen = max(lengths, key=lambda each: each[0], default=None)
    return (chosen[1] if chosen else None), problems


def used(store: Store, days: int, services: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what each host and its services used.

    :return: by host C(days), C(host) (resource to C(p50), C(p95), C(peak), C(mean)), C(disks)
        (mount point to C(size), C(free), C(growth) in bytes a second) and C(services)
    :raises MetricsError: where the store does not answer
    """
    found: dict[str, Any] = {}
    for key, query in questions(days, services).items():
        for labels, value in store.ask(query):
            if "host" in labels:
                nothing = {"days": 0.0, "host": {}, "disks": {}, "services": {}}
                host = found.setdefault(labels["host"], nothing)
                _sort(host, key.split(), labels, round(value, 3))
    return found


def _sort(host: dict[str, Any], key: list[str], labels: Mapping[str, str], value: float) -> None:
    if key[0] == "days":
        host["days"] = value
    elif key[0] == "disk":
        host["disks"].setdefault(labels.get("mountpoint", ""), {})[key[1]] = value
    elif key[0] == "host":
        host["host"].setdefault(key[1], {})[key[2]] = value
    else:
        service = host["services"].setdefault(key[1], {})
        if len(key) == 3:
            service[key[2]] = value
        else:
            service.setdefault(key[2], {})[key[3]] = value
