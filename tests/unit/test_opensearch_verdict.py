"""The health gate's verdicts: (what a cluster says of itself, a question) -> yes or no, and why."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.opensearch_verdict import (
    ClusterState,
    Node,
    Shard,
    UnreadableError,
    cluster_serves,
    has_joined,
    is_back,
    may_stop,
    restart_order,
)

NAMES = ("os1", "os2", "os3")
ROLES = ("cluster_manager", "data", "ingest")


def node(name: str, **changes: Any) -> Node:
    return Node(**{"id": f"id-{name}", "name": name, "version": "3.5.0", "roles": ROLES, **changes})


def shard(name: str | None, number: int = 0, **changes: Any) -> Shard:
    values = {"index": "papers", "number": number, "primary": True, "state": "STARTED"}
    return Shard(**{**values, "node": name and f"id-{name}", **changes})


def state(**changes: Any) -> ClusterState:
    """Return a healthy cluster of three nodes with one shard in two copies, but for the changes."""
    values: dict[str, Any] = {
        "elected": "id-os3",
        "nodes": tuple(node(name) for name in NAMES),
        "shards": (shard("os1"), shard("os2", primary=False)),
        "voters": frozenset(f"id-{name}" for name in NAMES),
        "excluded": frozenset(),
        "allocation": "all",
    }
    return ClusterState(**{**values, **changes})


def codes(verdict: Any) -> list[str]:
    return sorted({reason.code for reason in verdict.reasons})


def notes(verdict: Any) -> list[str]:
    return sorted({note.code for note in verdict.notes})


lone = {"nodes": (node("os1"),), "shards": (shard("os1"),), "voters": frozenset({"id-os1"})}


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, []),
        ({"elected": None}, ["no_manager"]),
        ({"elected": "id-gone"}, ["no_manager"]),
        ({"allocation": "none"}, ["allocation_disabled"]),
        ({"allocation": "primaries"}, ["allocation_disabled"]),
        ({"shards": (shard("os1"),)}, ["shard_without_other_copy"]),
        ({"shards": (shard("os2"),)}, []),
        (
            {"shards": (shard("os1"), shard("os2", primary=False, state="INITIALIZING"))},
            ["shard_without_other_copy"],
        ),
        (
            {"shards": (shard("os1"), shard("os2", primary=False, search_only=True))},
            ["shard_without_other_copy"],
        ),
        # A last copy that moves away is still the last copy.
        (
            {"shards": (shard("os1", state="RELOCATING", relocating="id-os2"),)},
            ["relocating", "shard_without_other_copy"],
        ),
        # One that moves here has its copy elsewhere until it has arrived; it is let arrive.
        ({"shards": (shard("os2", state="RELOCATING", relocating="id-os1"),)}, ["relocating"]),
        ({"shards": (shard(None, state="UNASSIGNED"),)}, ["primary_not_started"]),
        (
            {"shards": (shard("os2"), shard("os1", primary=False, state="INITIALIZING"))},
            ["initializing"],
        ),
        ({"nodes": (node("os1"), node("os3"))}, ["manager_quorum", "shard_without_other_copy"]),
        ({"voters": frozenset({"id-os1"})}, ["manager_quorum"]),
        ({"voters": frozenset({"id-os2", "id-os3"})}, []),
    ],
)
def test_may_stop(changes: dict[str, Any], reasons: list[str]) -> None:
    if "nodes" in changes:
        changes = {**changes, "shards": (shard("os1"),)}
    assert codes(may_stop(state(**changes), "os1")) == reasons


def test_the_only_node_may_stop_and_the_outage_is_said() -> None:
    verdict = may_stop(state(elected="id-os1", **lone), "os1")
    assert verdict.ok
    assert notes(verdict) == ["unavoidable_outage"]


def test_a_node_outside_the_cluster_may_stop() -> None:
    verdict = may_stop(state(), "os9")
    assert verdict.ok
    assert notes(verdict) == ["node_absent"]


def test_an_accepted_outage_is_noted_and_nothing_else_is_accepted() -> None:
    found = state(shards=(shard("os1"),), voters=frozenset({"id-os1"}))
    verdict = may_stop(found, "os1", accept_outage=True)
    assert verdict.ok
    assert notes(verdict) == ["manager_quorum", "shard_without_other_copy"]
    moving = state(shards=(shard("os1", state="RELOCATING"),), allocation="none")
    refused = may_stop(moving, "os1", accept_outage=True)
    assert codes(refused) == ["allocation_disabled", "relocating"]


@pytest.mark.parametrize(
    ("changes", "wanted", "reasons"),
    [
        ({}, {}, []),
        ({}, {"node": "os1", "nodes": 3}, []),
        ({}, {"nodes": 4}, ["nodes_missing"]),
        ({}, {"node": "os9"}, ["node_absent"]),
        ({"elected": None}, {}, ["no_manager"]),
        ({"shards": (shard(None, state="UNASSIGNED"),)}, {}, ["primary_not_started"]),
        ({"shards": (shard("os1", state="INITIALIZING"),)}, {}, ["primary_not_started"]),
        ({"shards": (shard("os1", state="RELOCATING"),)}, {}, []),
        ({"shards": (shard(None, primary=False, state="UNASSIGNED"),)}, {}, []),
    ],
)
def test_cluster_serves(
    changes: dict[str, Any], wanted: dict[str, Any], reasons: list[str]
) -> None:
    assert codes(cluster_serves(state(**changes), **wanted)) == reasons


def test_has_joined() -> None:
    assert has_joined(state(), "os1", "3.5.0").ok
    assert codes(has_joined(state(), "os1", "3.8.0")) == ["wrong_version"]
    assert codes(has_joined(state(), "os9")) == ["node_absent"]
    assert codes(has_joined(state(elected=None), "os1")) == ["no_manager"]


def explanation(*deciders: str, node: str = "os1") -> dict[str, Any]:
    """Return the part of an allocation explanation that is looked at."""
    listed = [{"decider": name, "decision": "NO", "explanation": "…"} for name in deciders]
    listed.append({"decider": "replica_after_primary_active", "decision": "YES"})
    return {"node_allocation_decisions": [{"node_name": node, "deciders": listed}]}


YELLOW = {"shards": (shard("os2"), shard(None, primary=False, state="UNASSIGNED"))}


@pytest.mark.parametrize(
    ("changes", "explained", "reasons", "noted"),
    [
        ({}, None, [], []),
        ({"allocation": "primaries"}, None, ["allocation_disabled"], []),
        ({"shards": (shard("os2", state="INITIALIZING"),)}, None, ["initializing"], []),
        (YELLOW, explanation("node_version"), [], ["node_version_yellow"]),
        (YELLOW, explanation("same_shard"), [], ["not_wanted_here"]),
        (YELLOW, explanation("filter"), [], ["not_wanted_here"]),
        (YELLOW, explanation("disk_threshold"), ["shard_unassigned"], []),
        (YELLOW, explanation(), ["shard_unassigned"], []),
        # Explained for other nodes only: nothing speaks against this one.
        (YELLOW, explanation("same_shard", node="os2"), ["shard_unassigned"], []),
        (YELLOW, None, ["unreadable_answer"], []),
        (YELLOW, "<html>", ["unreadable_answer"], []),
        (YELLOW, {"node_allocation_decisions": [{}]}, ["unreadable_answer"], []),
    ],
)
def test_is_back(
    changes: dict[str, Any], explained: Any, reasons: list[str], noted: list[str]
) -> None:
    verdict = is_back(state(**changes), "os1", "3.5.0", lambda _shard: explained)
    assert (codes(verdict), notes(verdict)) == (reasons, noted)


def test_the_elected_manager_restarts_last() -> None:
    found = state(
        nodes=(
            node("m1", roles=("cluster_manager",)),
            node("m2", roles=("cluster_manager",)),
            node("hot", roles=("data",), temp="hot"),
            node("warm", roles=("data",), temp="warm"),
        ),
        elected="id-m1",
    )
    names = ["m1", "m2", "hot", "warm", "away"]
    assert restart_order(found, names) == ["away", "warm", "hot", "m2", "m1"]


RECORDED: dict[str, Any] = {
    "cluster_manager_node": "4Arl",
    "nodes": {"4Arl": {"name": "os3", "attributes": {"temp": "hot"}}},
    "metadata": {"cluster_coordination": {"term": 14, "last_committed_config": ["4Arl"]}},
    "routing_table": {
        "indices": {
            ".opendistro_security": {
                "shards": {
                    "0": [
                        {
                            "state": "STARTED",
                            "primary": True,
                            "searchOnly": False,
                            "node": "4Arl",
                            "relocating_node": None,
                            "shard": 0,
                            "index": ".opendistro_security",
                        }
                    ]
                }
            }
        }
    },
}
SETTINGS: dict[str, Any] = {"persistent": {}, "transient": {}}
MEMBERS = {"nodes": {"4Arl": {"name": "os3", "version": "3.5.0", "roles": ["data"]}}}


def test_a_recorded_answer_is_read() -> None:
    found = ClusterState.from_answers(RECORDED, SETTINGS, MEMBERS)
    assert found.nodes == (Node("4Arl", "os3", "3.5.0", ("data",), "hot"),)
    assert found.shards == (Shard(".opendistro_security", 0, True, "STARTED", "4Arl"),)
    assert found.allocation == "all"


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"persistent": {"cluster.routing.allocation.enable": "none"}, "transient": {}}, "none"),
        (
            {
                "persistent": {"cluster.routing.allocation.enable": "all"},
                "transient": {"cluster.routing.allocation.enable": "primaries"},
            },
            "primaries",
        ),
    ],
)
def test_the_allocation_left_behind_is_found(settings: dict[str, Any], value: str) -> None:
    assert ClusterState.from_answers(RECORDED, settings, MEMBERS).allocation == value


@pytest.mark.parametrize(
    ("answer", "settings", "members"),
    [
        (None, SETTINGS, MEMBERS),
        ("{truncated", SETTINGS, MEMBERS),
        ({}, SETTINGS, MEMBERS),
        ({**RECORDED, "routing_table": None}, SETTINGS, MEMBERS),
        ({**RECORDED, "metadata": {}}, SETTINGS, MEMBERS),
        (RECORDED, {}, MEMBERS),
        (RECORDED, SETTINGS, {"nodes": {}}),
        (RECORDED, SETTINGS, None),
    ],
)
def test_an_answer_that_cannot_be_read_is_no_state(
    answer: Any, settings: Any, members: Any
) -> None:
    with pytest.raises(UnreadableError):
        ClusterState.from_answers(answer, settings, members)
