"""Dashboards: panels that are written once, and what they are for Grafana and for vmui."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KINDS = {"lines": "timeseries", "stack": "timeseries", "number": "stat", "states": "state-timeline"}
PLACEHOLDER = re.compile(r"\$(\w+)")
# How far a rate looks back: Grafana fits it to what is shown, and so does VictoriaMetrics where
# no window is given.
WINDOW = "[$window]"


class DashboardError(Exception):
    """A dashboard is written in a way that cannot be understood."""


@dataclass(frozen=True)
class Unit:
    """A unit: its name for Grafana, which scales it, and for vmui, for which the query does."""

    grafana: str
    vmui: str = ""
    vmui_query: str = "{}"


UNITS = {
    "": Unit("short"),
    "ratio": Unit("percentunit", "%", "100 * ({})"),
    "seconds": Unit("s", "s"),
    "age": Unit("s", "h", "({}) / 3600"),
    "days": Unit("s", "days", "({}) / 86400"),
    "bytes": Unit("bytes", "MiB", "({}) / 1048576"),
    "bytes/s": Unit("binBps", "KiB/s", "({}) / 1024"),
    "/s": Unit("suffix:/s", "/s"),
}


@dataclass(frozen=True)
class Query:
    """A query, with C($window) in it, and what its lines are called (C({{host}}) is a label)."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """A panel."""

    title: str
    queries: tuple[Query, ...]
    kind: str = "lines"
    unit: str = ""
    about: str = ""


@dataclass(frozen=True)
class Row:
    """Panels that belong together."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard."""

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]

    def panels(self) -> Iterator[Panel]:
        """Return all panels."""
        for row in self.rows:
            yield from row.panels


def read(written: Mapping[str, Any], values: Mapping[str, float]) -> Dashboard:
    """Return a dashboard from how it is written.

    :param written: C(name), C(title), C(about) and C(rows), each with C(title) and C(panels)
    :param values: what stands in queries as C($name)
    :raises DashboardError: where it cannot be understood
    """
    _known("dashboard", written, {"name", "title", "about", "rows"}, set())
    rows = []
    for row in written["rows"]:
        _known(f"{written['name']}, row", row, {"title", "panels"}, set())
        where = f"{written['name']}, {row['title']}"
        panels = tuple(_panel(where, panel, values) for panel in row["panels"])
        rows.append(Row(str(row["title"]), panels))
    return Dashboard(
        str(written["name"]), str(written["title"]), str(written["about"]), tuple(rows)
    )


def _panel(where: str, panel: Mapping[str, Any], values: Mapping[str, float]) -> Panel:
    _known(f"{where}, panel", panel, {"title", "queries"}, {"kind", "unit", "about"})
    where = f"{where}, {panel['title']}"
    kind, unit = str(panel.get("kind", "lines")), str(panel.get("unit", ""))
    for name, chosen, choices in (("kind", kind, KINDS), ("unit", unit, UNITS)):
        if chosen not in choices:
            raise DashboardError(
                f"{where}: {name} {chosen!r} is none of {', '.join(map(repr, choices))}"
            )
    if not panel["queries"]:
        raise DashboardError(f"{where}: has no queries")
    queries = []
    for query in panel["queries"]:
        _known(f"{where}, query", query, {"expr", "legend"}, set())
        queries.append(Query(_filled(where, str(query["expr"]), values), str(query["legend"])))
    return Panel(str(panel["title"]), tuple(queries), kind, unit, str(panel.get("about", "")))


def _known(where: str, given: Mapping[str, Any], needed: set[str], allowed: set[str]) -> None:
    wrong = [f"lacks {key!r}" for key in sorted(needed - set(given))]
    wrong += [f"has an unknown key {key!r}" for key in sorted(set(given) - needed - allowed)]
    if wrong:
        raise DashboardError(f"{where}: {wrong[0]}")


def _filled(where: str, expr: str, values: Mapping[str, float]) -> str:
    """Return a query on one line with its values in it, and C([$window]) left."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name == "window":
            return found.group(0)
        if name not in values:
            raise DashboardError(f"{where}: ${name} is none of {', '.join(sorted(values))}")
        return format(values[name], ".10g")

    return PLACEHOLDER.sub(value, " ".join(expr.split()))


def promql(query: Query, window: str = "5m") -> str:
    """Return a query as Prometheus takes it."""
    return query.expr.replace(WINDOW, f"[{window}]")


def vmui(dashboard: Dashboard) -> dict[str, Any]:
    """Return what vmui reads from a folder (C(-vmui.customDashboardsPath))."""
    return {
        "title": dashboard.title,
        "rows": [
            {"title": row.title, "panels": [_vmui_panel(panel) for panel in row.panels]}
            for row in dashboard.rows
        ],
    }


def _vmui_panel(panel: Panel) -> dict[str, Any]:
    unit = UNITS[panel.unit]
    return {
        "title": panel.title,
        "description": panel.about,
        "unit": unit.vmui,
        "expr": [unit.vmui_query.format(query.expr.replace(WINDOW, "")) for query in panel.queries],
        "alias": [query.legend for query in panel.queries],
        "width": 6,
    }


def grafana(dashboard: Dashboard) -> dict[str, Any]:
    """Return what Grafana (11 and later) takes, by hand or from a folder.

    Which data source it asks is chosen on the page; the first one is the default.
    """
    return {
        "uid": f"research-{dashboard.name}".replace("_", "-"),
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["research-stack"],
        "schemaVersion": 41,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": "research-stack",
                "tags": ["research-stack"],
                "asDropdown": True,
                "keepTime": True,
                "includeVars": True,
            }
        ],
        "templating": {
            "list": [
                {
                    "type": "datasource",
                    "name": "datasource",
                    "label": "Data source",
                    "query": "prometheus",
                    "current": {},
                    "hide": 0,
                }
            ]
        },
        "panels": list(_placed(dashboard.rows)),
    }


SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24


def _placed(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Return the panels in their places, row by row from left to right."""
    number, top = 0, 0
    for row in rows:
        number += 1
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        left, top, tallest = 0, top + 1, 0
        for panel in row.panels:
            width, height = (6, 5) if panel.kind == "number" else (12, 8)
            if left + width > COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            number += 1
            place = {"x": left, "y": top, "w": width, "h": height}
            yield {"id": number, "gridPos": place, **_grafana_panel(panel)}
            left, tallest = left + width, max(tallest, height)
        top += tallest


def _grafana_panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": KINDS[panel.kind],
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": promql(query, "$__rate_interval"),
                "legendFormat": query.legend,
                "range": True,
            }
            for number, query in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {"unit": UNITS[panel.unit].grafana, "custom": _drawn(panel.kind)},
            "overrides": [],
        },
        "options": _options(panel.kind),
    }


def _drawn(kind: str) -> dict[str, Any]:
    """Return how the lines of a kind of panel are drawn."""
    if kind not in {"lines", "stack"}:
        return {}
    stacked = kind == "stack"
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if stacked else 5,
        "showPoints": "never",
        "axisSoftMin": 0,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }


def _options(kind: str) -> dict[str, Any]:
    """Return the options of a kind of panel."""
    if kind == "number":
        newest = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"reduceOptions": newest, "colorMode": "none", "graphMode": "area"}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    if kind == "states":
        return {"mergeValues": True, "showValue": "auto", "legend": legend}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
