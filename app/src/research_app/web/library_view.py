"""The holdings as a plot of stacked bars, and as the table that says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KINDS = ("paper", "video", "podcast")
WIDTH, HEIGHT, LEFT, FOOT, TOP = 760, 280, 52, 22, 8
MOST_YEARS = 60
LABEL_WIDTH = 44


@dataclass(frozen=True)
class Part:
    """The documents of one kind in one year."""

    kind: str
    year: int
    count: int
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Line:
    """A line across the plot, and the count that it stands for."""

    value: int
    y: float


@dataclass(frozen=True)
class Label:
    """A year below the plot."""

    year: int
    x: float


@dataclass(frozen=True)
class Stack:
    """The plot, in units of its own box."""

    parts: list[Part]
    lines: list[Line]
    labels: list[Label]
    bar: float
    first: int
    last: int
    most: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


@dataclass(frozen=True)
class Row:
    """A year in the table, or all documents that have none."""

    year: int | None
    counts: list[int]
    total: int


def kinds_of(overview: dict[str, Any]) -> list[str]:
    """The kinds that there are, in the order of all pages."""
    found = {bucket["value"] for bucket in overview["kind"]}
    return [kind for kind in KINDS if kind in found] + sorted(found - set(KINDS))


def rows(overview: dict[str, Any]) -> list[Row]:
    """The table, the newest year first, and at its end what has no year."""
    kinds = kinds_of(overview)
    dated = [
        Row(year["value"], [year["kinds"].get(kind, 0) for kind in kinds], year["count"])
        for year in sorted(overview["year"], key=lambda year: -year["value"])
    ]
    totals = {bucket["value"]: bucket["count"] for bucket in overview["kind"]}
    undated = [
        totals[kind] - sum(row.counts[column] for row in dated) for column, kind in enumerate(kinds)
    ]
    return [*dated, Row(None, undated, sum(undated))] if any(undated) else dated


def scale(most: int) -> list[int]:
    """Two to five round numbers up to the greatest count."""
    step = 1
    while most / step > 5:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return list(range(0, most + 1, step))


def stack(overview: dict[str, Any]) -> Stack | None:
    """The plot; every year between the first and the last has its place."""
    years = overview["year"]
    if not years:
        return None
    last: int = max(year["value"] for year in years)
    first: int = max(min(year["value"] for year in years), last - MOST_YEARS + 1)
    shown = [year for year in years if year["value"] >= first]
    most = max(year["count"] for year in shown)
    step = (WIDTH - LEFT) / (last - first + 1)
    bar = min(0.78 * step, 56)
    room = HEIGHT - FOOT - TOP

    def x_of(year: int) -> float:
        return LEFT + (year - first + 0.5) * step

    parts = []
    for year in shown:
        below = 0
        for kind in kinds_of(overview):
            count = year.get("kinds", {}).get(kind, 0)
            below += count
            if count:
                parts.append(
                    Part(
                        kind,
                        year["value"],
                        count,
                        round(x_of(year["value"]) - bar / 2, 2),
                        round(TOP + room * (1 - below / most), 2),
                        round(room * count / most, 2),
                    )
                )
    every = max(1, -(-LABEL_WIDTH // max(1, int(step))))
    return Stack(
        parts=parts,
        lines=[Line(value, round(TOP + room * (1 - value / most), 2)) for value in scale(most)],
        labels=[
            Label(year, round(x_of(year), 2))
            for year in range(first, last + 1)
            if (last - year) % every == 0
        ],
        bar=round(bar, 2),
        first=first,
        last=last,
        most=most,
    )
