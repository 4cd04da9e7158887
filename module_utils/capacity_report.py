"""The report of a site's capacity, for people on a terminal, for programs, and as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from ansible.module_utils.capacity import (
    DAY,
    MIB,
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
    shown,
    span,
    standby,
    watts,
)

RESOURCES = ("cpu", "memory", "disk_io", "network")
COLUMNS = (
    "host", "what", "over", "CPU, % of a core", "memory", "disk, MB/s", "network, MB/s",
    "there is", "set instead",
)  # fmt: skip
NOTHING = {"source": "nothing", "days": 0.0}


@dataclass(frozen=True)
class Settings:
    """What the inventory says of the report."""

    days: int
    price: float = 0.0
    currency: str = "EUR"
    headroom: float = 1.3
    disk_percent: float = 90.0
    disk_comes_in: float = 90.0
    standby_groups: Sequence[str] = ("edge", "app")


@dataclass
class Host:
    """A host, its answers, and what its metrics say."""

    given: Mapping[str, Any]
    metrics: Mapping[str, Any]
    advice: list[tuple[str, Advice]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in the inventory."""
        return str(self.given["name"])

    @property
    def usage(self) -> Mapping[str, Any]:
        """What was seen in the samples."""
        return self.given["looked"].get("usage") or {}

    @property
    def reserved(self) -> Mapping[str, Any]:
        """What there is."""
        return self.given["looked"].get("reserved") or {}

    @property
    def sampled(self) -> dict[str, Any]:
        """For how long it was looked at."""
        seconds = self.usage.get("seconds", 0.0)
        return {"source": "samples", "days": seconds / DAY} if seconds else dict(NOTHING)

    @property
    def problem(self) -> str:
        """Why it was not looked at, in one line."""
        looked = self.given["looked"]
        if not (looked.get("failed") or looked.get("unreachable") or not self.usage):
            return ""
        said = str(looked.get("msg") or "it was not asked")
        line = next((each for each in reversed(said.splitlines()) if each.strip()), said).strip()
        line = line.removeprefix("Task failed: ").removeprefix("Module failed: ")
        return f"the host cannot be reached: {line}" if looked.get("unreachable") else line


def assess(
    hosts: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]],
    settings: Settings,
    now: str,
) -> dict[str, Any]:
    """Return the report.

    :param hosts: C(name), C(watts_idle), C(watts_busy), C(services) (what the roles export as
        C(capacity)) and C(looked) (what host_usage answered, or why it did not)
    :param metrics: what metrics_usage answered
    :param groups: the tiers, with their hosts
    :param settings: what the inventory says
    :param now: the time, for people
    """
    known = metrics["hosts"]
    read = [Host(each, known.get(each["name"], {})) for each in hosts]
    told = [_host(each, groups, settings) for each in read]
    lines = inventory_lines([said for host in read for said in host.advice], groups)
    spare = [
        _standby(name, groups.get(name, []), told, settings) for name in settings.standby_groups
    ]
    advice = [said for host in told for _, said in _advice(host)]
    powered = [host["power"] for host in told if host["power"]]
    return {
        "made": now,
        "days": settings.days,
        "store": metrics["store"],
        "problems": list(metrics["problems"]),
        "met": not any(said["verdict"] in ("raise", "buy") for said in advice)
        and not any(host["problem"] for host in told),
        "hosts": told,
        "inventory": lines,
        "power": {
            **{
                name: round(sum(power[name] for power in powered), digits)
                for name, digits in (("watts", 1), ("kwh", 1), ("cost", 2))
            },
            "currency": settings.currency,
            "price": settings.price,
            "without_watts": [host["host"] for host in told if not host["power"]],
        },
        "standby": [each for each in spare if each],
    }


def _host(host: Host, groups: Mapping[str, Sequence[str]], settings: Settings) -> dict[str, Any]:
    has, over, used = host.reserved, host.sampled, dict(host.usage.get("host") or {})
    in_metrics = host.metrics.get("host") or {}
    if in_metrics.get("cpu"):
        over = {"source": "metrics", "days": host.metrics["days"]}
        used |= in_metrics
    services = [_service(host, unit, settings) for unit in _units(host)]
    heaps = sum((each["pool"] or {}).get("limit") or 0 for each in services if _is_heap(each))
    advice = []
    if has and used.get("cpu"):
        advice.append(("cpu", cores(used["cpu"], has["cores"], over["days"])))
    if has and used.get("memory"):
        said = host_memory(
            used["memory"], has["memory"], over["days"], settings.headroom, least=2 * heaps
        )
        advice.append(("memory", said))
    return {
        "host": host.name,
        "groups": [name for name, own in groups.items() if host.name in own and name != "all"],
        "problem": host.problem,
        "over": over,
        "used": {name: used.get(name) for name in RESOURCES},
        "reserved": {name: has.get(name) for name in ("cores", "memory", "network_megabits")}
        | {"limits": sum(each["reserved"].get("memory_max") or 0 for each in services)},
        "advice": _plain(advice),
        "services": services,
        "disks": list(_disks(host, settings)),
        "watts_idle": float(host.given["watts_idle"] or 0),
        "power": _power(host, used, settings),
    }


def _units(host: Host) -> list[dict[str, Any]]:
    """Return the units that run, those first that the roles tell of."""
    told = {each["unit"]: dict(each) for each in host.given["services"]}
    limits = host.reserved.get("units") or {}
    running = {unit for unit, found in limits.items() if found["active"]}
    if not limits:  # it was not looked at
        running = set(host.metrics.get("services") or {})
    first = [service for unit, service in told.items() if unit in running]
    return first + [{"unit": unit, "other": True} for unit in sorted(running - set(told))]


def _is_heap(service: Mapping[str, Any]) -> bool:
    return bool(service["pool"]) and service["pool"]["kind"] == "heap"


def _service(host: Host, service: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    unit = service["unit"]
    in_metrics = (host.metrics.get("services") or {}).get(unit) or {}
    sampled = (host.usage.get("units") or {}).get(unit) or {}
    has = dict((host.reserved.get("units") or {}).get(unit) or {})
    used = {name: in_metrics.get(name) or sampled.get(name) for name in RESOURCES[:3]}
    days = in_metrics.get("days", 0.0)
    over = {"source": "metrics", "days": days} if in_metrics.get("memory") else host.sampled
    advice: list[tuple[str, Advice]] = []
    pool, least = _pool(host, service, in_metrics, has, advice, settings)
    if used["memory"]:
        variable = service.get("memory_variable", "")
        said = limit(
            used["memory"], has.get("memory_max"), over["days"], settings.headroom, variable, least
        )
        advice.append(("memory", said))
    if used["cpu"]:
        said = quota(used["cpu"], has.get("cpu_quota"), service.get("cpu_variable", ""))
        advice.append(("cpu", said))
    host.advice += [(host.name, said) for _, said in advice]
    return {
        "unit": unit,
        "of_the_system": bool(service.get("other")),
        "over": over,
        "used": used,
        "reserved": has,
        "pool": pool,
        "advice": _plain(advice),
    }


def _pool(
    host: Host,
    service: Mapping[str, Any],
    in_metrics: Mapping[str, Any],
    has: Mapping[str, Any],
    advice: list[tuple[str, Advice]],
    settings: Settings,
) -> tuple[dict[str, Any] | None, float]:
    """Return memory that a service manages itself, and what its limit must hold for that."""
    told = service.get("pool")
    if not told:
        return None, 0.0
    held = dict(in_metrics.get("pool") or {})
    bound = held.pop("limit", None) or has.get("heap")
    days = in_metrics.get("days", 0.0)
    ram = host.reserved.get("memory")
    least = 0.0
    if bound and told["kind"] == "heap" and ram:
        said = heap(held if "p95" in held else None, bound, ram, days, told["variable"])
        advice.append(("heap", said))
    elif bound and told["kind"] == "cache" and "p95" in held:
        said = cache(held, bound, days, settings.headroom, told["variable"])
        advice.append(("cache", said))
        least = 1.5 * said.amount
    return {"kind": told["kind"], "used": held or None, "limit": bound}, least


def _disks(host: Host, settings: Settings) -> Iterator[dict[str, Any]]:
    trends = host.metrics.get("disks") or {}
    days = host.metrics.get("days", 0.0)
    there = host.reserved.get("filesystems") or [
        {"mount": mount, "size": found["size"], "free": found["free"]}
        for mount, found in sorted(trends.items())
        if found.get("size") and "free" in found
    ]
    for each in there:
        growth = trends.get(each["mount"], {}).get("growth")
        marks = [
            _percent(service["disk"]["percent"], settings.disk_percent)
            for service in host.given["services"]
            if service.get("disk") and _mount(service["disk"]["path"], there) == each["mount"]
        ]
        mark = min([*marks, settings.disk_percent])
        left, said = disk(each["size"], each["free"], growth, days, mark, settings.disk_comes_in)
        yield {
            "mount": each["mount"],
            "size": each["size"],
            "used": each["size"] - each["free"],
            "full_at_percent": mark,
            "growth_a_day": None if growth is None else round(growth * DAY),
            "days_until_full": None if left is None else round(left, 1),
            "over": {"source": "metrics", "days": days} if growth is not None else host.sampled,
            "advice": asdict(said),
        }


def _percent(written: str, otherwise: float) -> float:
    """Return a watermark; one in bytes of free space is none that this compares with."""
    text = str(written).removesuffix("%")
    return float(text) if text.replace(".", "", 1).isdigit() and "%" in str(written) else otherwise


def _mount(path: str, there: Sequence[Mapping[str, Any]]) -> str:
    """Return the mount point that a path lies below."""
    folder = path.rstrip("/") + "/"
    holding = [
        each["mount"] for each in there if folder.startswith(each["mount"].rstrip("/") + "/")
    ]
    return max(holding, key=len, default="")


def _power(host: Host, used: Mapping[str, Any], settings: Settings) -> dict[str, Any] | None:
    idle, number_of = float(host.given["watts_idle"] or 0), host.reserved.get("cores")
    if not idle or not number_of or not used.get("cpu"):
        return None
    busy = max(idle, float(host.given["watts_busy"] or 0))
    drawn = watts(idle, busy, used["cpu"]["mean"] / 100 / number_of)
    energy, cost = month(drawn, settings.price)
    return {"watts": round(drawn, 1), "kwh": energy, "cost": cost}


def _standby(
    group: str, names: Sequence[str], told: Sequence[Mapping[str, Any]], settings: Settings
) -> dict[str, Any] | None:
    by_name = {host["host"]: host for host in told}
    own = [by_name[name] for name in names if name in by_name]
    if not own:
        return None
    hosts = [
        {
            "name": host["host"],
            "tiers": host["groups"],
            "cores": host["reserved"]["cores"],
            "peak": (host["used"]["cpu"] or {}).get("peak"),
            "idle": host["watts_idle"],
        }
        for host in own
    ]
    said, saved = standby(group, hosts, settings.price, settings.currency)
    return {"group": group, "verdict": said.verdict, "reason": said.reason, "saved": saved}


def _plain(advice: Sequence[tuple[str, Advice]]) -> list[dict[str, Any]]:
    return [{"of": name, **asdict(said)} for name, said in advice]


def _advice(host: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield everything that is said of a host, with what it is said of."""
    for said in host["advice"]:
        yield said["of"], said
    for service in host["services"]:
        for said in service["advice"]:
            yield f"{_short(service['unit'])}, {said['of']}", said
    for each in host["disks"]:
        yield f"disk {each['mount']}", each["advice"]


def summary(report: Mapping[str, Any]) -> str:
    """Return how much is too small, in one line."""
    count = sum(
        said["verdict"] in ("raise", "buy") for host in report["hosts"] for _, said in _advice(host)
    ) + sum(bool(host["problem"]) for host in report["hosts"])
    if not count:
        return "nothing is too small"
    return f"{count} thing{'s are' if count > 1 else ' is'} too small or were not seen"


def _short(unit: str) -> str:
    return unit.removesuffix(".service")


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
            figures = (name, _short(service["unit"]), *_figures(service))
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
    return ", ".join(parts) or "no limit"


def notes(report: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return what stands below the table, by title."""
    power, found = report["power"], []
    hosts = report["hosts"]
    why = [
        f"{host['host']}, {what}: {said['reason']}"
        for host in hosts
        for what, said in _advice(host)
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


def page(report: Mapping[str, Any]) -> str:
    """Return the report as a page; it looks as the page that it is linked from."""
    cell: Callable[[str, str], str] = lambda tag, value: f"<{tag}>{escape(value)}</{tag}>"  # noqa: E731
    body = "\n".join(
        "<tr>" + cell("th", row[0]) + "".join(cell("td", each) for each in row[1:]) + "</tr>"
        for row in rows(report)
    )
    below = "\n".join(
        f"<h2>{escape(title)}</h2>\n<ul>" + "".join(cell("li", each) for each in said) + "</ul>"
        for title, said in notes(report)
    )
    head = "".join(cell("th", name) for name in COLUMNS)
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
