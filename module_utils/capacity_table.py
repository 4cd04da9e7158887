"""The report of a site's capacity as a table for a terminal, and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ansible.module_utils.capacity import MIB, number, shown, span
from ansible.module_utils.capacity_report import RESOURCES, advice_of, short

COLUMNS = (
    "host", "what", "over", "CPU, % of a core", "memory", "disk, MB/s", "network, MB/s",
    "there is", "set instead",
)  # fmt: skip


def summary(report: Mapping[str, Any]) -> str:
    """Return how much is too small, in one line."""
    count = sum(
        said["verdict"] in ("raise", "buy")
        for host in report["hosts"]
        for _, said in advice_of(host)
    ) + sum(bool(host["problem"]) for host in report["hosts"])
    if not count:
        return "nothing is too small"
    return f"{count} thing{'s are' if count > 1 else ' is'} too small or were not seen"


def _three(used: Mapping[str, float] | None, unit: float = 1.0) -> str:
    if not used:
        return "-"
    return " / ".join(number(used[name] / unit) for name in ("p50", "p95", "peak") if name in used)


def _sizes(used: Mapping[str, float] | None) -> str:
    if not used or "peak" not in used:
        return "-"
    unit, name = (MIB * 1024, "GB") if used["peak"] >= 1024 * MIB else (MIB, "MB")
    return f"{_three(used, unit)} {name}"


def _write(advice: Sequence[Mapping[str, Any]]) -> str:
    """Return what to set or to buy, in short; the reasons are below."""
    parts = []
    for said in advice:
        if said["verdict"] == "keep":
            continue
        if said["variable"] and said["value"]:
            parts.append(f"{said['variable']}: {said['value']}")
        elif said["value"]:
            parts.append(f"{said['of']}: {said['value']} (fixed by the role)")
        else:
            size = (
                f"{number(said['amount'])} cores" if said["of"] == "cpu" else shown(said["amount"])
            )
            size = "memory" if said["of"] == "heap" else size
            parts.append(f"buy {size}" if said["verdict"] == "buy" else f"{size} suffice")
    return ", ".join(parts) or "-"


def rows(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of the table: each host, its services and its disks."""
    found: list[tuple[str, ...]] = []
    for host in report["hosts"]:
        name, has = host["host"], host["reserved"]
        there = "-"
        if has["cores"]:
            there = f"{has['cores']} cores, {shown(has['memory'])}"
            there += f", limits {shown(has['limits'])}" if has["limits"] else ""
        found.append((name, "the host", *_figures(host), there, _write(host["advice"])))
        own = [service for service in host["services"] if not _is_minor(service)]
        for service in own:
            figures = (name, short(service["unit"]), *_figures(service))
            found.append((*figures, _limits(service), _write(service["advice"])))
        if minor := [service for service in host["services"] if _is_minor(service)]:
            what = f"{len(minor)} other unit{'s' if len(minor) > 1 else ''}"
            found.append((name, what, *_figures(_together(minor)), "-", "-"))
        for each in host["disks"]:
            left = each["days_until_full"]
            full = "" if left is None else f", full in {left:.0f} days"
            there = f"{shown(each['used'])} of {shown(each['size'])}{full}"
            said = _write([{"of": "disk", **each["advice"]}])
            row = (name, f"disk {each['mount']}", _over(each), "-", "-", "-", "-", there, said)
            found.append(row)
    return found


def _is_minor(service: Mapping[str, Any]) -> bool:
    pressed = any(said["verdict"] != "keep" for said in service["advice"])
    return bool(service["of_the_system"]) and not pressed


def _together(services: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return small units as one: what each used in 95 % of the time, added, is no less than all."""
    used: dict[str, Any] = {}
    for name in RESOURCES[:3]:
        listed = [service["used"][name] for service in services if service["used"][name]]
        if listed:
            used[name] = {key: sum(each[key] for each in listed) for key in listed[0]}
    return {"over": services[0]["over"], "used": used}


def _over(told: Mapping[str, Any]) -> str:
    return span(told["over"]["days"]) if told["over"]["source"] != "nothing" else "not seen"


def _figures(told: Mapping[str, Any]) -> tuple[str, ...]:
    used = told["used"]
    return (
        _over(told),
        _three(used.get("cpu")),
        _sizes(used.get("memory")),
        _three(used.get("disk_io"), 1e6),
        _three(used.get("network"), 1e6),
    )


def _limits(service: Mapping[str, Any]) -> str:
    has, pool = service["reserved"], service["pool"]
    parts = []
    if pool and pool["limit"]:
        parts.append(f"{pool['kind']} {shown(pool['limit'])}")
    if has.get("memory_max"):
        parts.append(f"limit {shown(has['memory_max'])}")
    if has.get("memory_high"):
        parts.append(f"slowed at {shown(has['memory_high'])}")
    if has.get("cpu_quota"):
        parts.append(f"CPU {has['cpu_quota']:.0f} %")
    if has.get("tasks_max") and not parts:
        parts.append(f"{has['tasks_max']} tasks")
    return ", ".join(parts) or ("no limit" if has else "-")


def notes(report: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return what stands below the table, by title."""
    power, found = report["power"], []
    hosts = report["hosts"]
    why = [
        f"{host['host']}, {what}: {said['reason']}"
        for host in hosts
        for what, said in advice_of(host)
        if said["verdict"] != "keep"
    ]
    found.append(("Why", why))
    width = max((len(each["file"]) for each in report["inventory"]), default=0)
    lines = [f"{each['file'].ljust(width)}   {each['line']}" for each in report["inventory"]]
    found.append(("To write into the inventory", lines))
    unseen = [f"{host['host']}: {host['problem']}" for host in hosts if host["problem"]]
    unseen += report["problems"]
    if not report["store"]:
        unseen.append("no store of metrics answered: these are samples of a minute")
    found.append(("Not seen", unseen))
    drawn = []
    if power["watts"]:
        cost = f" and {power['cost']:.2f} {power['currency']}" if power["price"] else ""
        drawn.append(f"{number(power['watts'])} W, {power['kwh']} kWh{cost} a month")
        drawn += [
            f"{host['host']}: {number(host['power']['watts'])} W"
            + (f", {host['power']['cost']:.2f} {power['currency']} a month" if cost else "")
            for host in hosts
            if host["power"]
        ]
    if power["without_watts"]:
        names = ", ".join(power["without_watts"])
        drawn.append(f"{names}: no capacity_watts_idle and capacity_watts_busy, or not seen")
    found.append(("Power", drawn))
    spare = [f"{each['group']}: {each['reason']}" for each in report["standby"]]
    found.append(("A spare that is off", spare))
    return [(title, said) for title, said in found if said]


def table(report: Mapping[str, Any]) -> str:
    """Return the report for a terminal."""
    listed = [COLUMNS, *rows(report)]
    widths = [max(len(row[column]) for row in listed) for column in range(len(COLUMNS))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in listed]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += ["", "Three figures are what was used half of the time, in 95 % of it, and at most."]
    for title, said in notes(report):
        lines += ["", f"{title}:", *(f"  {each}" for each in said)]
    return "\n".join(lines)


def _cell(tag: str, value: str) -> str:
    return f"<{tag}>{escape(value)}</{tag}>"


def page(report: Mapping[str, Any]) -> str:
    """Return the report as a page; it looks as the page that it is linked from."""
    body = "\n".join(
        "<tr>" + _cell("th", row[0]) + "".join(_cell("td", each) for each in row[1:]) + "</tr>"
        for row in rows(report)
    )
    below = "\n".join(
        f"<h2>{escape(title)}</h2>\n<ul>" + "".join(_cell("li", each) for each in said) + "</ul>"
        for title, said in notes(report)
    )
    head = "".join(_cell("th", name) for name in COLUMNS)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Capacity</title>
<link rel="stylesheet" href="/page.css">
<main class="wide">
<p><a href="/">Operations</a></p>
<h1>Capacity</h1>
<p>Made at {escape(report["made"])}, from the metrics of at most {escape(str(report["days"]))} days
and a look at each host. Three figures are what was used half of the time, in 95 % of it, and at
most.</p>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
{below}
</main>
</html>
"""
