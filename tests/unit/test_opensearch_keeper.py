"""Which copies the cluster has given up and may try again, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.opensearch_keeper import (
    EXPLAIN_PATH,
    LONGEST_PAUSE_SECONDS,
    PAUSE_SECONDS,
    RETRY_PATH,
    attend,
    leave,
    metrics,
    next_pause,
)

STARTED = {"primary": True, "state": "STARTED", "shard": 0}
RED = {
    "primary": True,
    "state": "UNASSIGNED",
    "shard": 0,
    "unassigned_info": {"reason": "ALLOCATION_FAILED", "failed_attempts": 5},
}
YELLOW = {**RED, "primary": False}
NEW = {**RED, "unassigned_info": {"reason": "INDEX_CREATED"}}


def explanation(
    primary: bool, decider: str, in_sync: bool = False, broken: bool = False
) -> dict[str, Any]:
    refusal = {"decider": decider, "decision": "NO"}
    store: dict[str, Any] = {"store": {"in_sync": True}} if in_sync else {}
    if broken:
        store["store"]["store_exception"] = {"type": "corrupt_index_exception"}
    return {
        "primary": primary,
        "node_allocation_decisions": [{"node_name": "os1", "deciders": [refusal], **store}],
    }


class Cluster:
    """Answers as OpenSearch does, and remembers what it was asked to do."""

    def __init__(self, copies: list[dict[str, Any]], explained: dict[str, Any]) -> None:
        self.retried, self.explained = 0, explained
        self.state: dict[str, Any] = {
            "cluster_manager_node": "a1",
            "nodes": {"a1": {"name": "os1"}, "b2": {"name": "os2"}},
            "routing_table": {"indices": {"library-quarantine": {"shards": {"0": copies}}}},
        }

    def request(self, method: str, path: str, body: Any = None) -> Any:
        if path == EXPLAIN_PATH:
            assert method == "POST"
            assert set(body) == {"index", "shard", "primary"}
            return self.explained
        if path == RETRY_PATH:
            self.retried += 1
            return {"acknowledged": True}
        return self.state


PRIMARY, REPLICA = "library-quarantine[0] (primary)", "library-quarantine[0] (replica)"


@pytest.mark.parametrize(
    ("copies", "explained", "tried"),
    [
        ([RED], explanation(True, "max_retry", in_sync=True), [PRIMARY]),
        ([RED], explanation(True, "max_retry"), []),  # its data are nowhere
        ([RED], explanation(True, "max_retry", in_sync=True, broken=True), []),
        ([RED], {"primary": True, "can_allocate": "yes"}, [PRIMARY]),  # nobody has asked
        ([RED], explanation(True, "filter", in_sync=True), []),  # by the cluster's own rules
        ([STARTED, YELLOW], explanation(False, "max_retry"), [REPLICA]),
        ([NEW], explanation(True, "max_retry", in_sync=True), []),  # nothing failed yet
        ([STARTED], {}, []),
    ],
)
def test_what_is_tried_again(
    copies: list[dict[str, Any]], explained: dict[str, Any], tried: list[str]
) -> None:
    cluster = Cluster(copies, explained)
    assert attend(cluster.request, cluster.state, "os1") == tried
    assert cluster.retried == bool(tried)


def test_a_replica_waits_for_its_primary() -> None:
    lost = {**RED, "unassigned_info": {"reason": "NODE_LEFT"}}
    cluster = Cluster([lost, YELLOW], explanation(False, "max_retry"))
    assert attend(cluster.request, cluster.state, "os1") == []


def test_the_elected_manager_alone_does_it() -> None:
    cluster = Cluster([RED], explanation(True, "max_retry", in_sync=True))
    assert attend(cluster.request, cluster.state, "os2") == []
    assert cluster.retried == 0
    cluster.state["cluster_manager_node"] = None
    assert attend(cluster.request, cluster.state, "os1") == []


def test_what_is_given_up_again_is_tried_ever_more_rarely() -> None:
    pause, pauses = PAUSE_SECONDS, []
    for _ in range(10):
        pause = next_pause(pause, [PRIMARY], [PRIMARY])
        pauses.append(pause)
    assert pauses[:3] == [60, 120, 240]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert next_pause(pause, [PRIMARY], []) == PAUSE_SECONDS
    assert next_pause(pause, [PRIMARY], [REPLICA]) == PAUSE_SECONDS


def values(text: str) -> dict[str, int]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: int(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_each_node_tells_whether_it_is_the_manager_and_the_manager_why_copies_wait() -> None:
    state = Cluster([STARTED, YELLOW, YELLOW, NEW], {}).state
    reasons = "research_opensearch_unassigned_shards"
    assert values(metrics(state, "os1")) == {
        "research_opensearch_manager": 1,
        f'{reasons}{{reason="ALLOCATION_FAILED"}}': 2,
        f'{reasons}{{reason="INDEX_CREATED"}}': 1,
    }
    assert values(metrics(state, "os2")) == {"research_opensearch_manager": 0}


def test_a_node_that_cannot_be_asked_is_no_manager() -> None:
    assert values(metrics({}, "os1")) == {"research_opensearch_manager": 0}


def test_what_is_told_is_replaced_in_one_step_and_readable(tmp_path: Path) -> None:
    path = tmp_path / "research_opensearch.prom"
    path.write_text("of before\n")
    leave(path, metrics({}, "os1"))
    assert values(path.read_text()) == {"research_opensearch_manager": 0}
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
