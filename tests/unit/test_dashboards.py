"""Dashboards: panels are written once, and Grafana and vmui show the same ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.module_utils.dashboards import (
    UNITS,
    Dashboard,
    DashboardError,
    Panel,
    grafana,
    promql,
    read,
    vmui,
)

from filter_plugins.rendered_dashboard import rendered_dashboard
from tests.unit.test_alert_rules import SETTINGS, SUBJECTS, rendered, run

PROJECT = Path(__file__).resolve().parent.parent.parent
ROLE = PROJECT / "roles/dashboards"
WRITTEN = {path.stem: path for path in sorted((ROLE / "files/panels").glob("*.yml"))}
VALUES = {"answered": 0.999, "fast": 0.95, "seconds": 1.0}
# What is asked beside the rules' own, by who tells it.
KNOWN = yaml.safe_load((Path(__file__).parent / "dashboards/metrics.yml").read_text())


def dashboard(name: str) -> Dashboard:
    """Return a dashboard of the role."""
    return read(yaml.safe_load(WRITTEN[name].read_text()), VALUES)


def small(**panel: Any) -> dict[str, Any]:
    """Return a dashboard of one panel, as it is written."""
    shown = {"title": "Load", "queries": [{"expr": "up", "legend": "{{host}}"}], **panel}
    rows = [{"title": "All", "panels": [shown]}]
    return {"name": "small", "title": "Small", "about": "A panel.", "rows": rows}


def only_panel(**panel: Any) -> Panel:
    """Return the panel of a small dashboard."""
    return next(read(small(**panel), VALUES).panels())


# How it is read


@pytest.mark.parametrize(
    ("panel", "sentence"),
    [
        ({"kind": "pie"}, "small, All, Load: kind 'pie' is none of 'lines', 'stack', 'number'"),
        ({"unit": "feet"}, "small, All, Load: unit 'feet' is none of"),
        ({"width": 3}, "small, All, panel: has an unknown key 'width'"),
        ({"queries": []}, "small, All, Load: has no queries"),
        ({"queries": [{"expr": "up"}]}, "small, All, Load, query: lacks 'legend'"),
        (
            {"queries": [{"expr": "up > $most", "legend": ""}]},
            "small, All, Load: $most is none of answered, fast, seconds",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(panel: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DashboardError, match=re.escape(sentence)):
        read(small(**panel), VALUES)
    with pytest.raises(AnsibleFilterError, match=re.escape(sentence)):
        rendered_dashboard(yaml.safe_dump(small(**panel)), "vmui", VALUES)


def test_a_form_that_is_none_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="form 'kibana' is none of grafana, vmui"):
        rendered_dashboard(yaml.safe_dump(small()), "kibana")


def test_numbers_and_windows_are_filled_in() -> None:
    queries = [{"expr": "rate(a[$window])\n  > 1 - $answered", "legend": ""}]
    panel = only_panel(queries=queries, unit="bytes")
    assert promql(panel.queries[0]) == "rate(a[5m]) > 1 - 0.999"
    dashboard = read(small(queries=queries, unit="bytes"), VALUES)
    (shown,) = vmui(dashboard)["rows"][0]["panels"]
    assert shown["expr"] == ["(rate(a) > 1 - 0.999) / 1048576"]
    assert shown["unit"] == "MiB"
    _, shown = grafana(dashboard)["panels"]
    assert shown["targets"][0]["expr"] == "rate(a[$__rate_interval]) > 1 - 0.999"
    assert shown["fieldConfig"]["defaults"]["unit"] == "bytes"


def test_panels_of_grafana_lie_beside_each_other_and_never_over() -> None:
    for name in WRITTEN:
        taken: set[tuple[int, int]] = set()
        for panel in grafana(dashboard(name))["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            squares = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not squares & taken, f"{name}: {panel['title']}"
            taken |= squares


# What the role has


@pytest.mark.parametrize("name", WRITTEN)
def test_both_programs_show_the_same_panels(name: str) -> None:
    ours = dashboard(name)
    theirs = [panel for panel in grafana(ours)["panels"] if panel["type"] != "row"]
    page = [panel for row in vmui(ours)["rows"] for panel in row["panels"]]
    for panel, one, other in zip(ours.panels(), theirs, page, strict=True):
        unit = UNITS[panel.unit]
        assert one["title"] == other["title"] == panel.title
        assert one["description"] == other["description"] == panel.about
        assert [target["legendFormat"] for target in one["targets"]] == other["alias"]
        asked = [target["expr"].replace("[$__rate_interval]", "") for target in one["targets"]]
        assert [unit.vmui_query.format(expr) for expr in asked] == other["expr"]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_dashboard_is_named_as_its_file_and_each_panel_once(name: str) -> None:
    ours = dashboard(name)
    assert ours.name == name
    titles = [panel.title for panel in ours.panels()]
    assert len(set(titles)) == len(titles)
    assert len(grafana(ours)["uid"]) <= 40  # Grafana takes no longer one


@pytest.mark.parametrize("name", WRITTEN)
def test_lines_of_a_panel_have_different_names(name: str) -> None:
    for panel in dashboard(name).panels():
        legends = [query.legend for query in panel.queries]
        assert len(set(legends)) == len(legends) and all(legends), panel.title


def test_the_role_shows_all_and_the_overview_first() -> None:
    shown = yaml.safe_load((ROLE / "vars/main.yml").read_text())["dashboards_shown"]
    assert shown[0] == "overview"
    assert sorted(shown) == list(WRITTEN)


def test_prometheus_understands_each_query(promtool: Path, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{name}:{number}_{index}", "expr": promql(query)}
        for name in WRITTEN
        for number, panel in enumerate(dashboard(name).panels())
        for index, query in enumerate(panel.queries)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run(promtool, "check", "rules", file)


WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


def metrics(expr: str) -> set[str]:
    """Return the names of the metrics that a query asks for."""
    expr = re.sub(r'"[^"]*"', '""', expr)
    expr = re.sub(r"\b(by|without|on|ignoring|group_left|group_right) *\([^)]*\)", " ", expr)
    expr = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", expr)
    found = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?! *\(|[\w:])", expr)
    return {name for name in found if name.lower() not in WORDS}


def test_names_of_metrics_are_found() -> None:
    expr = 'sum by (host) (rate(a_total{x="b"}[5m])) / on (host) group_left (y) max(c:d) or e > 1e3'
    assert metrics(expr) == {"a_total", "c:d", "e"}


def known_to_the_rules() -> set[str]:
    """Return what rules ask for and what they record."""
    found = set()
    for subject in SUBJECTS:
        for group in yaml.safe_load(rendered(subject, SETTINGS["a site"]))["groups"]:
            for rule in group["rules"]:
                found |= metrics(rule["expr"]) | {rule.get("record", "ALERTS")}
    return found


def test_each_metric_is_one_that_somebody_tells() -> None:
    listed = {name for names in KNOWN.values() for name in names}
    asked = {
        name
        for each in WRITTEN
        for panel in dashboard(each).panels()
        for query in panel.queries
        for name in metrics(query.expr)
    }
    rules = known_to_the_rules()
    assert asked <= rules | listed
    assert not listed - asked, "listed and not asked for"
    assert not listed & rules, "listed, though the rules know it"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_role_writes_both_forms(tmp_path: Path) -> None:
    """The real thing, run against this machine."""
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    folders = {"dashboards_folder": tmp_path / "vmui", "dashboards_grafana_folder": tmp_path / "g"}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "module_defaults": {"file_tree": {"manifest": str(tmp_path / "manifest.json")}},
        "vars": {name: str(path) for name, path in folders.items()},
        "roles": ["dashboards"],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    command = ["ansible-playbook", "-i", "localhost,", str(tmp_path / "play.yml")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "changed=1" in done.stdout, done.stdout + done.stderr
    for folder, form in zip(folders.values(), (vmui, grafana), strict=True):
        written = {
            path.stem.partition("-")[2]: json.loads(path.read_text()) for path in folder.iterdir()
        }
        assert written == {name: form(dashboard(name)) for name in WRITTEN}
