"""What to set and what to buy: from what was used, what there is, and for how long one looked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MIB, GIB = 1024**2, 1024**3
DAY = 86400
HOURS_A_MONTH = 730
LEAST_DAYS = 7  # a week has every day's work; less says what is too small, never what is too large
HEAP_LIVES = 0.6  # above it the collector runs again and again
LARGEST_HEAP = 31 * GIB  # above it pointers double in size
SMALLEST_HEAP = GIB
SMALLEST_LIMIT = 512 * MIB
CORES_BUSY = 0.7
MEMORY_FULL = 0.85
CACHE_FULL = 0.9
# Memory as it is sold.
SOLD = [2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024]
SUFFIXES = {"systemd": ("M", "G"), "java": ("m", "g"), "redis": ("mb", "gb")}

Spread = Mapping[str, float]


@dataclass(frozen=True)
class Advice:
    """What to do with one thing, and why.

    The verdict is C(keep), C(raise) or C(lower) (a variable), or C(buy). The amount is what the
    thing should have, also where that is what it has.
    """

    verdict: str
    reason: str
    variable: str = ""
    value: str = ""
    amount: float = 0.0

    @property
    def presses(self) -> bool:
        """Tell whether something is too small."""
        return self.verdict in ("raise", "buy")


def rounded(size: float) -> int:
    """Return a size as people write it, at least as large."""
    step = 64 * MIB if size <= 512 * MIB else 256 * MIB if size <= 4 * GIB else GIB
    return math.ceil(size / step) * step


def text(size: float, style: str) -> str:
    """Return a size as a service reads it (C(systemd), C(java) or C(redis))."""
    small, large = SUFFIXES[style]
    whole = int(size)
    return f"{whole // GIB}{large}" if whole % GIB == 0 else f"{whole // MIB}{small}"


def number(value: float) -> str:
    """Return a number with the digits that matter."""
    if value >= 10:
        return f"{value:.0f}"
    return f"{round(value, 1):g}" if value >= 0.1 else f"{value:.1g}"


def shown(size: float) -> str:
    """Return a size for people, C(1.8 GB)."""
    return f"{number(round(size / GIB, 1))} GB" if size >= 0.1 * GIB else f"{size / MIB:.0f} MB"


def span(days: float) -> str:
    """Return a time for people."""
    if days >= 1:
        return f"{number(round(days, 1))} days"
    if days >= 2 / 24:
        return f"{days * 24:.0f} h"
    return f"{days * 1440:.0f} min" if days * DAY >= 59 else f"{days * DAY:.0f} s"


def limit(
    used: Spread,
    has: float | None,
    days: float,
    headroom: float,
    variable: str,
    least: float = 0.0,
) -> Advice:
    """Say what a unit's limit of memory should be.

    :param used: memory
    :param has: the limit, if there is one
    :param days: for how long one looked
    :param headroom: how much more than in 95 % of the time, such as 1.3
    :param least: what it needs in any case
    """
    if not has:
        return Advice("keep", "no limit of its own", variable)
    usual, most = used["p95"], used["peak"]
    need = rounded(max(usual * headroom, most * 1.1, least))
    if need > rounded(has):
        by_peak = most * 1.1 > usual * headroom
        why = (
            f"the peak of {shown(most)} and 10 %"
            if by_peak
            else f"{shown(usual)} in 95 % of the time and {(headroom - 1) * 100:.0f} % headroom"
        )
        if least > max(usual * headroom, most * 1.1):
            why = f"{shown(least)} that it has to hold"
        return Advice(
            "raise", f"{why} are more than {shown(has)}", variable, text(need, "systemd"), need
        )
    need = max(need, SMALLEST_LIMIT)
    if need <= has / 2:
        if days < LEAST_DAYS:
            why = f"{shown(usual)}, too short a look ({span(days)}) to lower {shown(has)}"
            return Advice("keep", why, variable, amount=has)
        why = f"{shown(usual)} in 95 % of the time: {shown(need)} suffices"
        return Advice("lower", why, variable, text(need, "systemd"), need)
    why = f"95 % of the time at most {shown(usual)} of {shown(has)}"
    return Advice("keep", why, variable, amount=has)


def heap(lives: Spread | None, has: float, ram: float, days: float, variable: str) -> Advice:
    """Say what a Java heap should be.

    :param lives: what is in it after a collection, if that is known
    :param ram: memory of the host
    """
    most = min(ram / 2, LARGEST_HEAP)
    # What a kernel says of 16 GB is some less; half of it is not to be less than 8.
    if has > most * 1.05:
        value = max(1, int(round(most / GIB, 1))) * GIB
        why = (
            f"{shown(has)} are more than half of the host's {shown(ram)}, and the file cache needs "
            "the other half"
        )
        return Advice("lower", why, variable, text(value, "java"), value)
    if lives is None:
        return Advice("keep", "what lives in it is known from metrics alone", variable, amount=has)
    usual = lives["p95"]
    need = max(rounded(usual / HEAP_LIVES), SMALLEST_HEAP)
    share = f"{shown(usual)} live in it, {usual / has * 100:.0f} % of {shown(has)}"
    if usual / has > HEAP_LIVES:
        if need > most and has >= most * 0.95:
            bound = (
                f"above {shown(LARGEST_HEAP)} pointers double in size: another node"
                if has >= LARGEST_HEAP * 0.95
                else f"it is half of the host's {shown(ram)}: more memory or another node"
            )
            return Advice("buy", f"{shown(usual)} live in it and {bound}", variable, amount=has)
        value = min(need, rounded(most))
        why = f"{share}: the collector needs {(1 - HEAP_LIVES) * 100:.0f} %"
        return Advice("raise", why, variable, text(value, "java"), value)
    if need <= has / 2 and days >= LEAST_DAYS:
        why = f"{shown(usual)} live in it: {shown(need)} suffices"
        return Advice("lower", why, variable, text(need, "java"), need)
    return Advice("keep", share, variable, amount=has)


def cache(holds: Spread, has: float, days: float, headroom: float, variable: str) -> Advice:
    """Say what a cache may hold. One that is empty is left alone: it costs nothing."""
    held = f"{holds['p95'] / MIB:.0f} MB of {has / MIB:.0f} MB"
    if has and holds["p95"] >= has * CACHE_FULL:
        need = rounded(holds["p95"] * headroom)
        why = f"it is full ({held}), so it drops answers"
        return Advice("raise", why, variable, text(need, "redis"), need)
    return Advice("keep", held, variable, amount=has)


def quota(used: Spread, has: float | None, variable: str) -> Advice:
    """Say what a unit's share of CPU should be, in percent of one core."""
    if not has:
        return Advice("keep", "no limit of its own", variable)
    if used["p95"] >= has * 0.9:
        need = math.ceil(used["p95"] / CORES_BUSY / 50) * 50
        why = f"{used['p95']:.0f} % of a core in 95 % of the time, of {has:.0f} %"
        return Advice("raise", why, variable, f"{need}%", need)
    why = f"95 % of the time at most {used['p95']:.0f} % of {has:.0f} %"
    return Advice("keep", why, variable, amount=has)


def cores(used: Spread, has: int, days: float) -> Advice:
    """Say how many cores a host should have."""
    share = used["p95"] / has
    if share > CORES_BUSY * 100:
        need = math.ceil(used["p95"] / 100 / CORES_BUSY)
        why = (
            f"{share:.0f} % of {has} cores in 95 % of the time, above {CORES_BUSY * 100:.0f} %: "
            f"{'at least ' if share >= 95 else ''}{need} cores"
        )
        return Advice("buy", why, amount=need)
    need = max(2, math.ceil(used["peak"] / 50))
    if need <= has / 2 and days >= LEAST_DAYS:
        why = f"at most {used['peak'] / has:.0f} % of {has} cores: {need} suffice"
        return Advice("lower", why, amount=need)
    return Advice("keep", f"95 % of the time at most {share:.0f} % of {has} cores", amount=has)


def host_memory(
    used: Spread, has: float, days: float, headroom: float, least: float = 0.0
) -> Advice:
    """Say how much memory a host should have.

    :param least: what it needs in any case, such as two heaps of a search node
    """
    usual = used["p95"]
    need = next((size for size in SOLD if size * GIB >= max(usual * headroom, least)), SOLD[-1])
    if usual > has * MEMORY_FULL:
        why = (
            f"{shown(usual)} of {shown(has)} in 95 % of the time, above {MEMORY_FULL * 100:.0f} %: "
            f"{need} GB"
        )
        return Advice("buy", why, amount=need * GIB)
    if need * GIB <= has / 2 and days >= LEAST_DAYS:
        why = f"{shown(usual)} in 95 % of the time: {need} GB suffice"
        return Advice("lower", why, amount=need * GIB)
    return Advice("keep", f"95 % of the time at most {shown(usual)} of {shown(has)}", amount=has)


def disk(
    size: float,
    free: float,
    growth: float | None,
    days: float,
    percent: float,
    comes_in: float,
) -> tuple[float | None, Advice]:
    """Return in how many days a disk is full, if it ever is, and what to do.

    :param growth: bytes a second, a straight line through what was measured
    :param days: for how long it was
    :param percent: how full it may be
    :param comes_in: days that a new one takes to come
    """
    used = size - free
    now = f"{used / size * 100:.0f} % full"
    grows = growth if growth is not None and growth > 0 and days >= 1 else 0.0
    left = free / grows / DAY if grows else None
    wanted = math.ceil((used + grows * 365 * DAY) / (percent / 100) / GIB / 10) * 10
    year = f": {wanted} GB for a year" if grows else ""
    year += f" (by {span(days)} of metrics)" if grows and days < LEAST_DAYS else ""
    if used >= size * percent / 100:
        return left, Advice("buy", f"{now}, above {percent:.0f} %{year}", amount=wanted * GIB)
    if growth is None or days < 1:
        return None, Advice("keep", f"{now}, no trend from less than a day of metrics")
    if not grows:
        return None, Advice("keep", f"{now}, does not grow")
    reached = (size * percent / 100 - used) / grows / DAY
    if reached < comes_in:
        why = f"at {percent:.0f} % in {reached:.0f} days, and a disk takes {comes_in:.0f} to come"
        return left, Advice("buy", why + year, amount=wanted * GIB)
    a_day = grows * DAY
    return left, Advice("keep", f"{now}, grows by {shown(a_day)} a day", amount=size)


def watts(idle: float, busy: float, share: float) -> float:
    """Return what a host draws while a share of its cores (0 to 1) works."""
    return idle + (busy - idle) * min(max(share, 0.0), 1.0)


def month(drawn: float, price: float) -> tuple[float, float]:
    """Return the kWh of a month and what they cost."""
    energy = drawn * HOURS_A_MONTH / 1000
    return round(energy, 1), round(energy * price, 2)


def standby(
    group: str, hosts: Sequence[Mapping[str, Any]], price: float, currency: str
) -> tuple[Advice, dict[str, Any] | None]:
    """Say whether the last host of a group may be off until it is needed, and what that saves.

    Its work goes to the others, so what is saved is what it draws when idle.

    :param hosts: C(name), C(tiers) (its groups), C(cores), C(peak) (percent of one core, none where
        it was not seen) and C(idle) (watts)
    """
    if len(hosts) < 2:
        return Advice("keep", f"{hosts[0]['name'] if hosts else group} is alone"), None
    unseen = [host["name"] for host in hosts if host["peak"] is None or not host["cores"]]
    if unseen:
        were = "were" if len(unseen) > 1 else "was"
        return Advice("keep", f"{', '.join(unseen)} {were} not seen"), None
    *rest, spare = hosts
    other = [tier for tier in spare["tiers"] if tier != group]
    if other:
        return Advice("keep", f"{spare['name']} does other work too ({', '.join(other)})"), None
    load = sum(host["peak"] for host in hosts) / sum(host["cores"] for host in rest)
    several = len(rest) > 1
    name = spare["name"]
    why = (
        f"without {name} the other{'s reach' if several else ' reaches'} {load:.0f} % of "
        f"{'their' if several else 'its'} cores at the peak"
    )
    if load > CORES_BUSY * 100:
        return Advice("keep", f"{why}, above {CORES_BUSY * 100:.0f} %"), None
    if not spare["idle"]:
        return Advice("lower", f"{why}; what that saves is known with capacity_watts_idle"), None
    energy, cost = month(spare["idle"], price)
    saved = {"host": name, "watts": spare["idle"], "kwh": energy, "cost": cost}
    why += f"; {name} as a spare that is off saves {number(spare['idle'])} W, {energy} kWh"
    why += f" and {cost:.2f} {currency} a month" if price else " a month"
    if not several:
        why += f"; until it is started nobody takes over from {rest[0]['name']}"
    return Advice("lower", why), saved


def inventory_lines(
    advice: Iterable[tuple[str, Advice]], groups: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Return the lines to write into an inventory, one for each variable.

    Hosts with the same service stay alike: each gets what the one needs that needs most, and less
    only where less suffices for all.

    :param advice: host and what is said of a variable on it
    :param groups: groups of the inventory that files may be named for, with their hosts
    """
    by_variable: dict[str, dict[str, Advice]] = {}
    for host, each in advice:
        if each.variable:
            by_variable.setdefault(each.variable, {})[host] = each
    lines = []
    for variable, said in by_variable.items():
        most = max(said.values(), key=lambda each: each.amount)
        if not any(each.verdict == "raise" for each in said.values()) and not all(
            each.verdict == "lower" for each in said.values()
        ):
            continue
        if not most.value:
            continue
        hosts = sorted(said)
        same = [name for name, own in groups.items() if sorted(own) == hosts]
        group = min(same, key=lambda name: (name == "all", name), default="")
        files = [f"group_vars/{group}.yml"] if group else [f"host_vars/{h}.yml" for h in hosts]
        lines += [
            {
                "file": file,
                "line": f"{variable}: {most.value}",
                "verdict": most.verdict,
                "hosts": hosts if group else [file.removeprefix("host_vars/")[: -len(".yml")]],
                "reason": most.reason,
            }
            for file in files
        ]
    return lines
