"""Dashboards: while readers search, each panel shows something, and no query is in error."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable

import pytest
import yaml
from ansible.module_utils.dashboards import promql, read

from tests.e2e.conftest import ROOT, Host, Lab, SearchTraffic

PANELS = sorted((ROOT / "roles/dashboards/files/panels").glob("*.yml"))
VALUES = {"answered": 0.999, "fast": 0.95, "seconds": 1.0}
# Queries that may show nothing, by dashboard and panel, and why.
MAY_BE_EMPTY = {
    "application: Errors": "an endpoint is counted from its first error on",
    "application: Jobs that ended, an hour": "a kind of job is counted from its first end on",
    "application: Time of a job": "there is none where no job ended",
    "backups: Age of the last good backup": "backups come with a later issue",
    "backups: Age of the last good snapshot of the indices": "snapshots come with a later issue",
    "backups: Time since a restore was proved to work": "drills come with a later issue",
    "hosts: Services that run with something else than is on disk": "no role tells it yet",
    "hosts: Time until the disk is full": "no disk may be filling",
    "search_cluster: Elected manager": "no role tells it yet",
    "search_cluster: Why copies have no node": "no role tells it yet",
}
SETTLE_SECONDS = 40


def queries() -> dict[tuple[str, str], str]:
    """Return each query, by its dashboard and panel and by its legend."""
    return {
        (f"{path.stem}: {panel.title}", query.legend): promql(query)
        for path in PANELS
        for panel in read(yaml.safe_load(path.read_text()), VALUES).panels()
        for query in panel.queries
    }


def ask(host: Host, exprs: list[str]) -> list[dict[str, object]]:
    """Ask the Prometheus of a host, in one session."""
    url = "http://127.0.0.1:9090/api/v1/query"
    script = "".join(
        f"curl -s -m 20 -G {url} --data-urlencode {shlex.quote('query=' + expr)}; echo; "
        for expr in exprs
    )
    lines = host.check(script, timeout=240).splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.timeout(400)
def test_each_panel_shows_something_under_load(
    lab: Lab, searching: Callable[..., SearchTraffic], record: Callable[[str], None]
) -> None:
    asked = queries()
    with searching():
        time.sleep(SETTLE_SECONDS)  # rates need some samples, and rules are looked at in turn
        answers = ask(lab["ops1"], list(asked.values()))
    errors, empty = [], set()
    for (panel, legend), answer in zip(asked, answers, strict=True):
        if answer["status"] != "success":
            errors.append(f"{panel}, {legend}: {answer.get('error')}")
        elif not answer["data"]["result"]:  # type: ignore[index]
            empty.add(panel)
    assert not errors
    assert not empty - set(MAY_BE_EMPTY)
    assert set(MAY_BE_EMPTY) <= {panel for panel, _ in asked}
    panels = {panel for panel, _ in asked}
    record(
        f"dashboards: {len(asked)} queries of {len(panels)} panels, none in error, "
        f"{len(empty)} empty as may be"
    )


def test_the_page_lists_the_dashboards(lab: Lab) -> None:
    listed = lab["ops1"].check("curl -s http://127.0.0.1:8428/vmui/custom-dashboards")
    shown = {each["title"] for each in json.loads(listed)["dashboardsSettings"]}
    written = {yaml.safe_load(path.read_text())["title"] for path in PANELS}
    assert written == shown
