"""The report of a site's capacity: of each host, service and disk what is used and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible.module_utils.capacity import (
    DAY,
    Advice,
    cache,
    cores,
    disk,
    heap,
    host_memory,
    inventory_lines,
    limit,
    month,
    quota,
    standby,
    watts,
)

RESOURCES = ("cpu", "memory", "disk_io", "network")
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
    advice = [said for host in told for _, said in advice_of(host)]
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
    if not limits:  # it was not looked at; of units with the same metrics one runs
        by_metrics = {str({**each, "unit": ""}): unit for unit, each in reversed(told.items())}
        running = set(host.metrics.get("services") or {}) & set(by_metrics.values())
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
    over = {"source": "metrics", "days": days} if in_metrics else host.sampled
    looked = days if in_metrics.get("memory") else host.sampled["days"]
    advice: list[tuple[str, Advice]] = []
    pool, least = _pool(host, service, in_metrics, has, advice, settings)
    if used["memory"]:
        variable = service.get("memory_variable", "")
        said = limit(
            used["memory"], has.get("memory_max"), looked, settings.headroom, variable, least
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
        from_metrics = growth is not None or not host.reserved
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
            "over": {"source": "metrics", "days": days} if from_metrics else host.sampled,
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


def short(unit: str) -> str:
    """Return a unit's name for people."""
    return unit.removesuffix(".service")


def advice_of(host: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield everything that is said of a host, with what it is said of."""
    for said in host["advice"]:
        yield said["of"], said
    for service in host["services"]:
        for said in service["advice"]:
            yield f"{short(service['unit'])}, {said['of']}", said
    for each in host["disks"]:
        yield f"disk {each['mount']}", each["advice"]
