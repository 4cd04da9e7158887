"""An upgrade is judged before it starts: (the cluster, a version) -> yes or no, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.opensearch_disk import WATERMARK, Disk
from ansible.module_utils.opensearch_upgrade import (
    Before,
    Wanted,
    created_by,
    may_upgrade,
    newest,
    outdated,
    version,
)
from ansible.module_utils.opensearch_verdict import UnreadableError

BY_3_5_0 = "137267827"
BY_2_19_0 = str(0x08000000 | 2_190_099)
BY_1_3_0 = str(0x08000000 | 1_030_099)
BY_ELASTICSEARCH_7_10_2 = "7100299"

ROOMY = Disk(total=100, available=60, stored=10)
FULL = Disk(total=100, available=15, stored=10)
BEFORE = Before(
    nodes={"os1": "3.5.0", "os2": "3.5.0", "os3": "3.5.0"},
    indices={"papers": BY_3_5_0},
    plugins=frozenset({"opensearch-security"}),
    disks={"os1": ROOMY},
    settings={},
    snapshot_age=2.0,
)
WANTED = Wanted("3.8.0", frozenset({"opensearch-security"}), snapshot_hours=24)


def codes(before: Before, wanted: Wanted) -> list[str]:
    return [reason.code for reason in may_upgrade(before, wanted).reasons]


@pytest.mark.parametrize(
    ("changes", "wanted", "reasons"),
    [
        ({}, "3.8.0", []),
        ({}, "3.5.0", []),
        ({"nodes": {"os1": "3.8.0", "os2": "3.5.0"}}, "3.8.0", []),
        ({"nodes": {"os1": "3.8.0"}}, "3.5.0", ["downgrade"]),
        ({"nodes": {"os1": "2.19.1"}}, "3.8.0", []),
        ({"nodes": {"os1": "2.18.0"}}, "3.8.0", ["jump"]),
        ({"nodes": {"os1": "1.3.0"}}, "3.8.0", ["jump"]),
        ({"indices": {"papers": BY_2_19_0}}, "3.8.0", []),
        ({"indices": {"papers": BY_1_3_0}}, "3.8.0", ["index_too_old"]),
        ({"indices": {"papers": BY_ELASTICSEARCH_7_10_2}}, "3.8.0", ["index_too_old"]),
        ({"plugins": frozenset({"opensearch-security", "other"})}, "3.8.0", ["plugin_missing"]),
        ({"disks": {"os1": ROOMY, "os2": FULL}}, "3.8.0", ["disk_watermark"]),
        ({"disks": {"os1": FULL}, "settings": {f"{WATERMARK}.low": "14b"}}, "3.8.0", []),
        ({"settings": {f"{WATERMARK}.low": "70b"}}, "3.8.0", ["disk_watermark"]),
        ({"snapshot_age": None}, "3.8.0", ["snapshot_missing"]),
        ({"snapshot_age": 24.5}, "3.8.0", ["snapshot_old"]),
        # Nothing to do needs nothing.
        ({"snapshot_age": None, "disks": {"os1": FULL}}, "3.5.0", []),
    ],
)
def test_verdict(changes: dict[str, Any], wanted: str, reasons: list[str]) -> None:
    assert codes(replace(BEFORE, **changes), replace(WANTED, version=wanted)) == reasons


def test_finished_nodes_of_an_interrupted_upgrade_are_not_outdated() -> None:
    before = replace(BEFORE, nodes={"os1": "3.8.0", "os2": "3.5.0", "os3": "3.5.0"})
    assert outdated(before, WANTED) == ["os2", "os3"]


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (BY_3_5_0, ("OpenSearch", (3, 5, 0))),
        (BY_2_19_0, ("OpenSearch", (2, 19, 0))),
        (BY_ELASTICSEARCH_7_10_2, ("Elasticsearch", (7, 10, 2))),
    ],
)
def test_the_version_that_made_an_index(identifier: str, expected: tuple[str, Any]) -> None:
    assert created_by(identifier) == expected


@pytest.mark.parametrize("text", ["", "3.5", "3.x.0", "three"])
def test_what_is_no_version_is_not_guessed(text: str) -> None:
    with pytest.raises(UnreadableError, match="is no version"):
        version(text)


def test_only_a_complete_snapshot_counts() -> None:
    hour = 3_600_000
    snapshots: list[dict[str, Any]] = [
        {"state": "SUCCESS", "end_time_in_millis": 1 * hour},
        {"state": "SUCCESS", "end_time_in_millis": 3 * hour},
        {"state": "PARTIAL", "end_time_in_millis": 9 * hour},
        {"state": "IN_PROGRESS"},
    ]
    assert newest(snapshots, 10 * hour) == 7.0
    assert newest([], 10 * hour) is None
