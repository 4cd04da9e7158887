"""The gate against a model that knows nothing of it: a random small cluster, and what a loss does.

The model works on the cluster's answers themselves, in its plainest words: take the node out, then
count what is left. It shares no line with the verdicts.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.opensearch_disk import Disk
from ansible.module_utils.opensearch_removal import may_drain, may_remove
from ansible.module_utils.opensearch_verdict import ClusterState, may_stop
from hypothesis import event, given, settings
from hypothesis import strategies as st

Answer = dict[str, Any]
ACTIVE = ("STARTED", "RELOCATING")
SHAPES = (["cluster_manager", "data"], ["data"], ["cluster_manager"])
MANY = settings(max_examples=700, deadline=None)


@st.composite
def copies(draw: st.DrawFn, nodes: list[str], index: str, number: int) -> list[Answer]:
    """Return the copies of one shard, no two of them on one node."""
    places = draw(st.permutations(nodes))[: draw(st.integers(1, min(3, len(nodes))))]
    listed: list[Answer] = []
    for place in places:
        usual = st.sampled_from(
            ["STARTED"] * 5 + ["RELOCATING"] * 3 + ["INITIALIZING", "UNASSIGNED"]
        )
        state = draw(usual)
        free = [name for name in nodes if name not in places]
        if state == "RELOCATING" and not free:
            state = "STARTED"
        listed.append(
            {
                "index": index,
                "shard": number,
                "primary": not listed,
                "searchOnly": draw(st.sampled_from([False] * 3 + [True])) and bool(listed),
                "state": state,
                "node": None if state == "UNASSIGNED" else place,
                "relocating_node": draw(st.sampled_from(free)) if state == "RELOCATING" else None,
            }
        )
    return listed


@st.composite
def answers(draw: st.DrawFn) -> tuple[Answer, Answer, Answer]:
    """Return the three answers of a random small cluster, healthy or not."""
    nodes = [f"n{number}" for number in range(draw(st.integers(1, 5)))]
    roles = {node: draw(st.sampled_from(SHAPES)) for node in nodes}
    managers = [node for node in nodes if "cluster_manager" in roles[node]]
    voters = draw(st.sets(st.sampled_from([*managers, "gone1", "gone2"]), min_size=1))
    excluded = draw(st.sets(st.sampled_from([*managers, "gone1"]), max_size=1))
    table = {
        f"i{i}": {"shards": {"0": draw(copies(nodes, f"i{i}", 0))}}
        for i in range(draw(st.integers(0, 3)))
    }
    state = {
        "cluster_manager_node": draw(st.sampled_from([*managers, None])),
        "nodes": {node: {"name": node.upper(), "attributes": {}} for node in nodes},
        "routing_table": {"indices": table},
        "metadata": {
            "cluster_coordination": {
                "last_committed_config": sorted(voters),
                "voting_config_exclusions": [
                    {"node_id": node, "node_name": node.upper()} for node in sorted(excluded)
                ],
            }
        },
    }
    allocation = draw(st.sampled_from(["all"] * 4 + ["primaries", "none"]))
    kept = {"persistent": {"cluster.routing.allocation.enable": allocation}, "transient": {}}
    members = {
        node: {"name": node.upper(), "version": "3.5.0", "roles": roles[node]} for node in nodes
    }
    return state, kept, {"nodes": members}


def served(state: Answer, without: str | None = None) -> set[tuple[str, int]]:
    """Return the shards of which a copy that can lead is left."""
    return {
        (copy["index"], copy["shard"])
        for table in state["routing_table"]["indices"].values()
        for listed in table["shards"].values()
        for copy in listed
        if copy["state"] in ACTIVE
        and not copy["searchOnly"]
        and copy["node"] not in (None, without)
    }


def every(state: Answer) -> list[Answer]:
    """Return all copies."""
    tables = state["routing_table"]["indices"].values()
    return [copy for table in tables for listed in table["shards"].values() for copy in listed]


def majority(state: Answer, without: str | None = None) -> bool:
    """Say whether those who vote and are left are more than half of all who vote."""
    voters = state["metadata"]["cluster_coordination"]["last_committed_config"]
    alive = [voter for voter in voters if voter in state["nodes"] and voter != without]
    return 2 * len(alive) > len(voters)


@MANY
@given(answers())
def test_may_stop_never_lets_a_copy_or_the_majority_go(
    found: tuple[Answer, Answer, Answer],
) -> None:
    state = found[0]
    cluster = ClusterState.from_answers(*found)
    for node in state["nodes"]:
        verdict = may_stop(cluster, node.upper())
        event(f"may_stop {verdict.ok}")
        if not verdict.ok:
            continue
        assert state["cluster_manager_node"] in state["nodes"]
        if len(state["nodes"]) == 1:
            assert [note.code for note in verdict.notes] == ["unavoidable_outage"]
            continue
        assert served(state, without=node) == {(c["index"], c["shard"]) for c in every(state)}
        assert majority(state, without=node)
        assert not [c for c in every(state) if c["state"] == "INITIALIZING" and c["node"] == node]


@MANY
@given(answers())
def test_may_remove_never_lets_a_copy_or_the_majority_go(
    found: tuple[Answer, Answer, Answer],
) -> None:
    state = found[0]
    cluster = ClusterState.from_answers(*found)
    for node in state["nodes"]:
        verdict = may_remove(cluster, node.upper())
        event(f"may_remove {verdict.ok}")
        if not verdict.ok:
            continue
        assert not [c for c in every(state) if node in (c["node"], c["relocating_node"])]
        assert served(state, without=node) == {(c["index"], c["shard"]) for c in every(state)}
        assert majority(state, without=node)
        assert state["cluster_manager_node"] not in (None, node)
        roles = {name: member["roles"] for name, member in found[2]["nodes"].items()}
        holders = [other for other in roles if other != node and "data" in roles[other]]
        counts = [
            len([copy for copy in table["shards"]["0"] if not copy["searchOnly"]])
            for table in state["routing_table"]["indices"].values()
        ]
        assert len(holders) >= max(counts, default=0)


@MANY
@given(answers(), st.integers(0, 100), st.integers(0, 100))
def test_may_drain_leaves_room_and_managers(
    found: tuple[Answer, Answer, Answer], stored: int, used: int
) -> None:
    state = found[0]
    cluster = ClusterState.from_answers(*found)
    roles = {name: member["roles"] for name, member in found[2]["nodes"].items()}
    disks = {node.upper(): Disk(100, 100 - used, stored) for node in state["nodes"]}
    for node in state["nodes"]:
        verdict = may_drain(cluster, node.upper(), disks)
        event(f"may_drain {verdict.ok}")
        if not verdict.ok:
            continue
        holders = [other for other in roles if other != node and "data" in roles[other]]
        assert stored + used * len(holders) <= 90 * len(holders)
        excluded = {
            entry["node_id"]
            for entry in state["metadata"]["cluster_coordination"]["voting_config_exclusions"]
        }
        managers = {name for name in roles if "cluster_manager" in roles[name]} - excluded
        assert managers - {node}
        if node in managers and len(managers) >= 3:
            assert len(managers) > 3
        assert served(state) == {(c["index"], c["shard"]) for c in every(state)}
