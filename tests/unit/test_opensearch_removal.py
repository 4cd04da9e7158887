"""Whether a node can leave for good: before the drain, after it, and why a drain stands still."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible.module_utils import opensearch_drain
from ansible.module_utils.opensearch_client import OpenSearchError
from ansible.module_utils.opensearch_disk import Disk
from ansible.module_utils.opensearch_drain import Drain, await_drained
from ansible.module_utils.opensearch_removal import (
    has_left,
    has_shards,
    may_drain,
    may_remove,
    stuck,
)
from ansible.module_utils.opensearch_verdict import ClusterState, Node, Shard, UnreadableError

NAMES = ("os1", "os2", "os3", "os4")
ROLES = ("cluster_manager", "data", "ingest")
FULL = Disk(total=100, available=50, stored=10)


def node(name: str, **changes: Any) -> Node:
    return Node(**{"id": f"id-{name}", "name": name, "version": "3.5.0", "roles": ROLES, **changes})


def shard(name: str | None, **changes: Any) -> Shard:
    values = {"index": "papers", "number": 0, "primary": True, "state": "STARTED"}
    return Shard(**{**values, "node": name and f"id-{name}", **changes})


def replica(name: str | None, **changes: Any) -> Shard:
    return shard(name, primary=False, **changes)


def state(*shards: Shard, names: tuple[str, ...] = NAMES, **changes: Any) -> ClusterState:
    """Return a healthy cluster of four nodes, the last of which has no vote, but for changes."""
    values: dict[str, Any] = {
        "elected": "id-os1",
        "nodes": tuple(node(name) for name in names),
        "shards": shards or (shard("os1"), replica("os2")),
        "voters": frozenset({"id-os1", "id-os2", "id-os3"}),
        "excluded": frozenset(),
        "allocation": "all",
    }
    return ClusterState(**{**values, **changes})


def codes(verdict: Any) -> list[str]:
    return sorted({reason.code for reason in verdict.reasons})


def racks(**places: str) -> tuple[Node, ...]:
    return tuple(node(name, attributes={"rack": rack}) for name, rack in places.items())


AWARE = {"cluster.routing.allocation.awareness.attributes": "rack"}
FORCED = {**AWARE, "cluster.routing.allocation.awareness.force.rack.values": "a,b,c"}
THREE = (shard("os1"), replica("os2"), replica("os3"))
EXCLUDE = "cluster.routing.allocation.exclude._name"


@pytest.mark.parametrize(
    ("found", "reasons"),
    [
        (state(), []),
        # A drain that has begun is gone on with.
        (state(shard("os4", state="RELOCATING", relocating="id-os1"), replica("os2")), []),
        (state(settings={EXCLUDE: "os4"}), []),
        (state(elected=None), ["no_manager"]),
        (state(allocation="primaries"), ["allocation_disabled"]),
        (state(shard(None, state="UNASSIGNED")), ["primary_not_started"]),
        (state(shard("os1"), replica(None, state="UNASSIGNED")), ["shard_unassigned"]),
        (state(*THREE, replica("os4")), ["replicas_do_not_fit"]),
        (
            state(
                *THREE, replica("os4"), indices={"papers": {"index.auto_expand_replicas": "0-all"}}
            ),
            [],
        ),
        (state(*THREE, settings={EXCLUDE: "os3"}), ["replicas_do_not_fit"]),
        (
            state(*THREE, settings={EXCLUDE: "os*"}),
            ["disk_watermark", "replicas_do_not_fit"],
        ),
        (
            state(indices={"papers": {"index.routing.allocation.require.temp": "hot"}}),
            ["replicas_do_not_fit"],
        ),
        # Only racks a and b are left, and as long as os4 is there a rack takes one of three copies.
        (
            state(*THREE, nodes=racks(os1="a", os2="b", os3="b", os4="c"), settings=AWARE),
            ["replicas_do_not_fit"],
        ),
        (state(nodes=racks(os1="a", os2="b", os3="b", os4="c"), settings=AWARE), []),
        (
            state(*THREE, nodes=racks(os1="a", os2="b", os3="a", os4="b"), settings=FORCED),
            ["replicas_do_not_fit"],
        ),
        (state(names=("os1", "os2", "os4")), ["too_few_managers"]),
        (
            state(names=("os1", "os4"), voters=frozenset({"id-os4"})),
            ["replicas_do_not_fit"],
        ),
        (
            state(shard("os4"), names=("os4",), elected="id-os4", voters=frozenset({"id-os4"})),
            ["disk_watermark", "manager_quorum", "replicas_do_not_fit"],
        ),
        (state(voters=frozenset({"id-os1", "id-away", "id-gone"})), ["manager_quorum"]),
        (state(excluded=frozenset({"id-os1"})), ["too_few_managers"]),
    ],
)
def test_may_drain(found: ClusterState, reasons: list[str]) -> None:
    assert codes(may_drain(found, "os4", dict.fromkeys(NAMES, FULL))) == reasons


def test_fewer_managers_can_be_accepted_and_are_noted() -> None:
    found = state(names=("os1", "os2", "os4"))
    verdict = may_drain(found, "os4", dict.fromkeys(NAMES, FULL), accept_fewer_managers=True)
    assert verdict.ok
    assert [note.code for note in verdict.notes] == ["too_few_managers"]


@pytest.mark.parametrize(
    ("others", "stored", "reasons"),
    [
        (Disk(100, 50, 0), 120, []),
        (Disk(100, 50, 0), 121, ["disk_watermark"]),
        # Between the low and the high watermark a node takes no new shard.
        (Disk(100, 13, 0), 1, ["disk_watermark"]),
        (Disk(100, 9, 0), 0, ["disk_watermark"]),
    ],
)
def test_may_drain_looks_at_the_disks(others: Disk, stored: int, reasons: list[str]) -> None:
    disks = {**dict.fromkeys(NAMES, others), "os4": Disk(100, 50, stored)}
    assert codes(may_drain(state(), "os4", disks)) == reasons


def test_a_disk_that_was_not_read_is_no_answer() -> None:
    with pytest.raises(UnreadableError, match="os2"):
        may_drain(state(), "os4", {"os4": FULL, "os1": FULL})


@pytest.mark.parametrize(
    ("found", "reasons"),
    [
        (state(), []),
        (state(elected=None), ["no_manager"]),
        (state(shard("os1"), replica("os4")), ["not_drained"]),
        (state(shard("os4")), ["not_drained", "shard_without_other_copy"]),
        (
            state(shard("os4", state="RELOCATING", relocating="id-os1"), replica("os2")),
            ["relocating"],
        ),
        (
            state(shard("os1", state="RELOCATING", relocating="id-os4"), replica("os2")),
            ["relocating"],
        ),
        (state(shard("os1"), replica("os4", state="INITIALIZING")), ["not_drained"]),
        (state(shard("os1"), replica(None, state="UNASSIGNED")), ["shard_unassigned"]),
        # The last copy lies on the disk of nobody else, perhaps on this one's.
        (state(shard(None, state="UNASSIGNED")), ["primary_not_started"]),
        (state(*THREE, nodes=tuple(map(node, ("os1", "os2", "os4")))), ["replicas_do_not_fit"]),
        (state(voters=frozenset({"id-os1", "id-os2", "id-os4"})), ["still_votes"]),
        (state(elected="id-os4"), ["still_elected"]),
        (state(voters=frozenset({"id-os1", "id-away", "id-gone"})), ["manager_quorum"]),
    ],
)
def test_may_remove(found: ClusterState, reasons: list[str]) -> None:
    assert codes(may_remove(found, "os4")) == reasons


def test_a_node_that_has_left_can_be_removed() -> None:
    gone = state(names=("os1", "os2", "os3"))
    for verdict in (may_remove(gone, "os4"), may_drain(gone, "os4", {})):
        assert verdict.ok
        assert [note.code for note in verdict.notes] == ["node_absent"]


@pytest.mark.parametrize(
    ("found", "reasons"),
    [
        (state(shard("os1"), replica("os4")), []),
        (state(), ["no_shards"]),
        (state(names=("os1", "os2", "os3")), ["node_absent"]),
        (state(shard("os4"), replica("os1", state="INITIALIZING")), ["initializing"]),
        (
            state(shard("os1", state="RELOCATING", relocating="id-os4")),
            ["no_shards", "relocating"],
        ),
        (state(nodes=(node("os1"), node("os4", roles=("cluster_manager",)))), []),
    ],
)
def test_has_shards(found: ClusterState, reasons: list[str]) -> None:
    assert codes(has_shards(found, "os4")) == reasons


def test_has_left() -> None:
    assert codes(has_left(state(), "os4")) == ["still_member"]
    gone = state(names=("os1", "os2", "os3"))
    assert has_left(gone, "os4").ok
    lost = state(shard(None, state="UNASSIGNED"), names=("os1", "os2", "os3"), elected=None)
    assert codes(has_left(lost, "os4")) == ["no_manager", "primary_not_started"]


@pytest.mark.parametrize(
    ("explanation", "text"),
    [
        ({"can_move_to_other_node": "yes"}, ""),
        (
            {
                "can_move_to_other_node": "no",
                "node_allocation_decisions": [
                    {"deciders": [{"decider": "awareness", "decision": "NO"}]},
                    {"deciders": [{"decider": "disk_threshold", "decision": "NO"}]},
                ],
            },
            "papers[0] does not move: awareness, disk_threshold",
        ),
        (
            {"can_move_to_other_node": "no", "node_allocation_decisions": []},
            "papers[0] does not move: there is no other data node",
        ),
        (None, "nothing explains why papers[0] does not move"),
    ],
)
def test_stuck(explanation: Any, text: str) -> None:
    assert stuck(explanation, shard("os4")) == text


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that lets a drain see a list of states, one a look, the last for ever."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))

    def drain(*seen: Any, explanation: Any = None, timeout: float = 600) -> Drain:
        left = list(seen)

        def read(_: Any) -> ClusterState:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            found: ClusterState = answer
            return found

        class Client:
            def request(self, *_: Any, **__: Any) -> Any:
                return explanation

        def count(_client: Any, names: list[str]) -> int:
            shown = left[0] if isinstance(left[0], ClusterState) else state()
            return 2**30 * len(opensearch_drain.left_on(shown, names))

        monkeypatch.setattr(opensearch_drain, "read_state", read)
        monkeypatch.setattr(opensearch_drain, "bytes_on", count)
        return await_drained(Client(), ["os4"], timeout, 2, 20)  # type: ignore[arg-type]

    return drain


MOVING = state(shard("os4", state="RELOCATING", relocating="id-os1"))
STILL = state(shard("os4"))


def test_a_drain_ends_when_nothing_is_left(look: Any) -> None:
    drain = look(STILL, MOVING, OpenSearchError("no answer"), state())
    assert drain.drained
    assert drain.history[0] == "0 s 1 shards, 1.0 GB left"
    assert drain.history[-1].endswith("0 shards, 0 B left")
    assert drain.as_dict()["seconds_per_gb"] == pytest.approx(drain.seconds)


def test_a_drain_on_which_nothing_moves_says_why(look: Any) -> None:
    decided = [{"deciders": [{"decider": "same_shard", "decision": "NO"}]}]
    drain = look(STILL, explanation={"node_allocation_decisions": decided})
    assert not drain.drained
    assert drain.reasons == ["papers[0] does not move: same_shard"]
    assert drain.seconds < 60


def test_a_drain_that_moves_is_waited_for_until_time_is_up(look: Any) -> None:
    drain = look(MOVING, timeout=100)
    assert (drain.drained, drain.reasons, drain.shards_left) == (False, [], 1)


def test_silence_is_not_a_drained_node(look: Any) -> None:
    drain = look(OpenSearchError("no answer"), timeout=10)
    assert not drain.drained
    assert drain.as_dict()["reasons"] == ["no answer"]


def test_a_refusal_is_not_waited_for(look: Any) -> None:
    with pytest.raises(OpenSearchError):
        look(OpenSearchError("HTTP 403", final=True))
