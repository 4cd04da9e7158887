"""Alerts and their runbooks: they fire when they should, keep silent when they should, and help.

A table in tests/unit/alerts/SUBJECT.yml says for each alert of that file of rules on what it
`fires` and on what it is `silent`, as the series that Prometheus has, one value a minute
(`{'up{job="node",host="a"}': 1x2 0x20}`), or an hour with `every: 1h`. `fires` has the alerts that
are then seen `at` that minute: their labels (without severity and subject, which are the rule's)
and summary.
healthy.yml has whole sites, at which no alert may as much as wait.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

PROJECT = Path(__file__).resolve().parent.parent.parent
RULES = PROJECT / "roles/prometheus/templates/rules"
RUNBOOKS = PROJECT / "docs/runbooks/alerts"
TABLES = Path(__file__).parent / "alerts"
DEFAULTS = yaml.safe_load((PROJECT / "roles/prometheus/defaults/main.yml").read_text())
# Without site.yml, which holds what an inventory adds.
SUBJECTS = sorted(
    {path.name.removesuffix(".yml.j2") for path in RULES.glob("[!_]*.yml.j2")} - {"site"}
)
# What an inventory may set; each changes which rules there are.
SITE = {"prometheus_virtual_address": "192.0.2.10"}
SETTINGS: dict[str, dict[str, Any]] = {
    "a site": SITE,
    "one without a virtual address": {},
    "one with a weekly timer": {"prometheus_timer_hours_of": {"research-weekly.service": 200}},
    "the lab": {**SITE, "prometheus_patience": 0.05, "prometheus_scrape_seconds": 15},
}


TEMPLATES = jinja2.Environment(  # noqa: S701 - rules, not pages
    loader=jinja2.FileSystemLoader(RULES),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def rendered(subject: str, settings: dict[str, Any] = SITE) -> str:
    """Return a file of rules as the role makes it."""
    return TEMPLATES.get_template(f"{subject}.yml.j2").render({**DEFAULTS, **settings})


def alerts_of(subject: str) -> dict[str, dict[str, Any]]:
    """Return the alerts of a file by name."""
    groups = yaml.safe_load(rendered(subject))["groups"]
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    return {rule["alert"]: rule for rule in rules}


ALERTS = {name: rule for subject in SUBJECTS for name, rule in alerts_of(subject).items()}


def run(*command: str | Path) -> None:
    """Run promtool, and show what it finds wrong."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("site", SETTINGS)
def test_prometheus_takes_the_rules(site: str, promtool: Path, tmp_path: Path) -> None:
    for subject in SUBJECTS:
        (tmp_path / f"{subject}.yml").write_text(rendered(subject, SETTINGS[site]))
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *sorted(tmp_path.iterdir()))


def spelt_out(values: str) -> str:
    """Return values as promtool means them: to it 0x10 is sixteen."""
    return re.sub(r"(?<!\S)([\d.]+)x(\d+)(?!\S)", r"\1+0x\2", values)


def scenario(case: dict[str, Any], name: str, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one of promtool's tests."""
    every = case.get("every", "1m")
    times = case["at"] if isinstance(case["at"], list) else [case["at"]]
    return {
        "interval": every,
        "input_series": [
            {"series": series, "values": spelt_out(values)}
            for series, values in case["series"].items()
        ],
        "alert_rule_test": [
            {"alertname": name, "eval_time": f"{time}{every[-1]}", "exp_alerts": alerts}
            for time in times
        ],
    }


def expected(alert: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an alert of a table as promtool expects it."""
    rule = ALERTS[name]
    runbook = rule["annotations"]["runbook"]
    labels = {**rule["labels"], **alert["labels"]}
    return {
        "exp_labels": labels,
        "exp_annotations": {"summary": alert["summary"], "runbook": runbook},
    }


def cases(subject: str) -> dict[str, dict[str, Any]]:
    """Return a table."""
    # All of it is text: elsewhere in YAML a lone 0x10 is a number.
    text = (TABLES / f"{subject}.yml").read_text()
    found: dict[str, dict[str, Any]] = yaml.load(text, yaml.BaseLoader)  # noqa: S506
    return found


@pytest.mark.parametrize("subject", SUBJECTS)
def test_alerts_fire_and_are_silent(subject: str, promtool: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rendered(subject))
    tests: dict[str, list[dict[str, Any]]] = {"1m": [], "1h": []}
    for name, case in cases(subject).items():
        for fires in case["fires"]:
            seen = [expected(alert, name) for alert in fires["alerts"]]
            tests[fires.get("every", "1m")].append(scenario(fires, name, seen))
        for silent in case["silent"]:
            tests[silent.get("every", "1m")].append(scenario(silent, name, []))
    for every, listed in tests.items():
        file = {"rule_files": ["rules.yml"], "evaluation_interval": every, "tests": listed}
        (tmp_path / f"{every}.yml").write_text(yaml.safe_dump(file, sort_keys=False))
    run(promtool, "test", "rules", tmp_path / "1m.yml", tmp_path / "1h.yml")


HEALTHY = cases("healthy")


def series_of(site: dict[str, Any]) -> dict[str, str]:
    """Return all series of a healthy site."""
    everywhere = [name for names in site["hosts"].values() for name in names]
    found = dict(site["once"])
    for kind, series in site["series"].items():
        for host in everywhere if kind == "node" else site["hosts"].get(kind, []):
            found |= {name.replace("{host}", host): values for name, values in series.items()}
    return found


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_site_is_silent(name: str, promtool: Path, tmp_path: Path) -> None:
    site = HEALTHY[name]
    for subject in SUBJECTS:
        (tmp_path / f"{subject}.rules").write_text(rendered(subject, site["settings"]))
    watchdog = 'alertname="Watchdog",alertstate="firing",severity="info",subject="watchdog"'
    only = {"labels": f"ALERTS{{{watchdog}}}", "value": 1}
    test = {
        "interval": "1m",
        "input_series": [
            {"series": series, "values": spelt_out(values)}
            for series, values in series_of(site).items()
        ],
        "promql_expr_test": [
            {"expr": "ALERTS", "eval_time": f"{at}m", "exp_samples": [only]}
            for at in (1, 20, 35, 90)
        ],
    }
    file = {"rule_files": ["*.rules"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(file, sort_keys=False))
    run(promtool, "test", "rules", tmp_path / "tests.yml")


def test_the_time_of_a_stage_is_that_of_all_hosts(promtool: Path, tmp_path: Path) -> None:
    """19 of 20 requests of the busy host are fast, none of the idle one's."""
    (tmp_path / "rules.yml").write_text(rendered("application"))
    bucket = "research_request_stage_seconds_bucket"
    counts = {("app1", "0.1"): 95, ("app1", "1.0"): 95, ("app2", "0.1"): 0, ("app2", "1.0"): 5}
    counts |= {(host, "+Inf"): counts[host, "1.0"] for host in ("app1", "app2")}
    series = {
        f'{bucket}{{job="app",host="{host}",stage="opensearch",le="{le}"}}': f"0+{each}x20"
        for (host, le), each in counts.items()
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": "round(research:request_stage_seconds:p95_by_stage, 0.001)",
                "eval_time": "15m",
                "exp_samples": [{"labels": '{stage="opensearch"}', "value": 0.1}],
            }
        ],
    }
    file = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(file, sort_keys=False))
    run(promtool, "test", "rules", tmp_path / "tests.yml")


def test_the_healthy_site_has_all_that_alerts_fire_on() -> None:
    """So that its silence means something."""
    fired_on = {
        series.partition("{")[0]
        for subject in SUBJECTS
        for case in cases(subject).values()
        for fires in case["fires"]
        for series in fires["series"]
    }
    had = {series.partition("{")[0] for site in HEALTHY.values() for series in series_of(site)}
    assert fired_on <= had


@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_alert_has_a_case_of_both_kinds(subject: str) -> None:
    table = cases(subject)
    assert list(table) == list(alerts_of(subject))
    assert not [name for name, case in table.items() if not case["fires"]]
    # The one that fires always has nothing to be silent on.
    assert [name for name, case in table.items() if not case["silent"]] in ([], ["Watchdog"])


def test_rules_and_runbooks_are_the_same_set() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"page", "warning", "info"}
    assert re.fullmatch(r"[a-z_]+", rule["labels"]["subject"])
    assert rule["annotations"]["runbook"] == f"{DEFAULTS['prometheus_runbook_url']}/{name}.md"
    assert set(rule["annotations"]) == {"summary", "runbook"}
    said = re.sub(r"{{.*?}}", "…", rule["annotations"]["summary"])
    assert re.fullmatch(r"[^\n]{12,160}\.", said)


def test_there_are_at_least_forty() -> None:
    assert len(ALERTS) >= 40


HEADINGS = ["What readers notice", "Look first", "What to do", "When to worry"]


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_has_the_four_parts_and_names_what_exists(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}: ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    for path in re.findall(r"playbooks/\w+\.yml", text):
        assert (PROJECT / path).is_file(), path
    for link in re.findall(r"\]\(([^)#]+\.md)", text):
        assert (RUNBOOKS / link).is_file(), link


def test_no_paragraph_stands_in_two_runbooks() -> None:
    seen: dict[str, str] = {}
    for path in sorted(RUNBOOKS.glob("*.md")):
        for paragraph in path.read_text().split("\n\n"):
            if len(paragraph) > 60 and not paragraph.startswith("    "):
                assert seen.setdefault(paragraph, path.name) == path.name, paragraph
