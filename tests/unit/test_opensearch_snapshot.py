"""What a manifest proves, which snapshots may go, and what a restore refuses."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.opensearch_client import OpenSearchError
from ansible.module_utils.opensearch_snapshot import (
    DAY,
    GOOD,
    HIDDEN,
    MOST_METADATA,
    RUNNING,
    SECURITY_INDEX,
    Manifest,
    Record,
    Snapshot,
    Target,
    choose,
    differs,
    digest_of,
    newest_good,
    plan_prune,
    plan_restore,
    prove,
    sample_points,
    select,
    shown,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_800_000_000.0
LIBRARY = Record(100, (59, 44), "cafe")
MANIFEST = Manifest("3.5.0", {"research_assistant": LIBRARY})


def test_a_manifest_comes_back_from_the_metadata_as_it_went_in() -> None:
    assert Manifest.read(MANIFEST.metadata()) == MANIFEST


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"taken_by": "somebody"},
        {"research_stack": None},
        {"research_stack": {"server": "3.5.0"}},
        {"research_stack": {"server": "3.5.0", "indices": {"a": [1, 2]}}},
        {"research_stack": {"server": "3.5.0", "indices": {"a": ["x", [1], "d"]}}},
        {"research_stack": {"server": "3.5.0", "indices": []}},
    ],
)
def test_what_is_no_manifest_is_none(metadata: Any) -> None:
    assert Manifest.read(metadata) is None


def test_a_manifest_that_the_server_would_not_keep_is_refused() -> None:
    fitting = Manifest("3.5.0", {f"research_assistant-{n:02}": LIBRARY for n in range(15)})
    fitting.metadata()
    large = Manifest("3.5.0", {f"research_assistant-{n:02}": LIBRARY for n in range(30)})
    with pytest.raises(OpenSearchError, match=f"keeps {MOST_METADATA}: name fewer indices"):
        large.metadata()


@pytest.mark.parametrize(
    ("checkpoint", "number", "points"),
    [
        (-1, 4, []),
        (0, 4, [0]),
        (2, 4, [0, 1, 2]),
        (99, 4, [0, 25, 50, 75]),
        (100, 4, [0, 25, 50, 75]),
    ],
)
def test_samples_are_spread_over_everything(
    checkpoint: int, number: int, points: list[int]
) -> None:
    assert sample_points(checkpoint, number) == points


@given(st.integers(-1, 10**9), st.integers(1, 64))
def test_sample_points_are_bounded(checkpoint: int, number: int) -> None:
    points = sample_points(checkpoint, number)
    assert points == sorted(set(points))
    assert all(0 <= point <= checkpoint for point in points)
    assert len(points) == min(number, checkpoint + 1)


def test_a_digest_changes_with_identity_and_content() -> None:
    first = {"_id": "1", "_index": "a", "_source": {"title": "x", "year": 1905}}
    other_order = {"_id": "1", "_index": "b", "_source": {"year": 1905, "title": "x"}}
    assert digest_of([first]) == digest_of([other_order])
    different = [
        {**first, "_id": "2"},
        {**first, "_routing": "r"},
        {**first, "_source": {"title": "x", "year": 1906}},
    ]
    assert len({digest_of([one]) for one in [first, *different]}) == 4


@pytest.mark.parametrize(
    ("found", "writes", "reason"),
    [
        (Record(100, (59, 44), "cafe"), 0, None),
        # Three operations came in between the manifest and the snapshot; two replaced documents.
        (Record(98, (60, 46), "cafe"), 3, None),
        (Record(100, (69, 44), "cafe"), 10, None),
        (Record(99, (59, 44), "cafe"), 0, "99 documents instead of 100"),
        (Record(96, (60, 46), "cafe"), 3, "96 documents instead of 100"),
        (Record(101, (60, 46), "cafe"), 3, "101 documents instead of 100"),
        (Record(100, (59, 44), "beef"), 0, "sampled documents is another"),
        (Record(100, (59, 44), ""), 0, "sampled documents is another"),
        (Record(100, (58, 44), "cafe"), 0, "last 1 operations are missing"),
        # What one shard has more does not make up for what another has less.
        (Record(100, (50, 60), "cafe"), 16, "last 9 operations are missing"),
        (Record(100, (59,), "cafe"), 0, "1 shards instead of 2"),
    ],
)
def test_proof(found: Record, writes: int, reason: str | None) -> None:
    proof = prove(LIBRARY, found)
    assert proof.writes == writes
    assert proof.ok == (reason is None)
    assert (reason or "") in "; ".join(proof.reasons)


def upto(operations: list[tuple[int, bool]], checkpoint: int) -> Record:
    """Return what is measured, up to a checkpoint, of an index with these operations.

    :param operations: document, and whether it was written or deleted, by sequence number
    """
    last = {document: number for number, (document, _) in enumerate(operations)}
    alive = [n for n in last.values() if operations[n][1] and n <= checkpoint]
    return Record(len(alive), (len(operations) - 1,), "")


some_operations = st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40)


@given(some_operations, some_operations, st.integers(1, 10))
def test_people_who_write_meanwhile_are_no_loss_and_a_loss_is_none_of_theirs(
    before: list[tuple[int, bool]], meanwhile: list[tuple[int, bool]], lost: int
) -> None:
    recorded = upto(before, len(before) - 1)
    found = upto(before + meanwhile, len(before) - 1)
    proof = prove(recorded, found)
    assert proof.ok
    assert proof.writes == len(meanwhile)
    fewer = Record(recorded.documents - len(meanwhile) - lost, found.checkpoints, "")
    assert not prove(recorded, fewer).ok


def test_an_index_of_which_no_sample_was_taken_is_proved_by_its_count() -> None:
    unsure = MANIFEST.without_sample(["research_assistant"]).indices["research_assistant"]
    assert prove(unsure, Record(100, (59, 44), "beef")).ok
    assert not prove(unsure, Record(99, (59, 44), "beef")).ok


def snapshot(
    name: str, days: float, state: str = GOOD, manifest: Manifest | None = MANIFEST
) -> Snapshot:
    """Return a snapshot of some days ago."""
    return Snapshot(name, state, NOW - days * DAY, ("research_assistant",), manifest)


@pytest.mark.parametrize(
    ("snapshots", "keep", "max_age", "doomed"),
    [
        ([], 2, 5, []),
        ([snapshot("a", 0.5)], 1, 5, []),
        ([snapshot("a", 1), snapshot("b", 2), snapshot("c", 3)], 2, 0, ["c"]),
        ([snapshot("a", 1), snapshot("b", 2), snapshot("c", 3)], 0, 2, ["c"]),
        ([snapshot("a", 1), snapshot("b", 2), snapshot("c", 3)], 0, 0, []),
        # All are too old: the newest stays.
        ([snapshot("a", 90), snapshot("b", 91)], 5, 30, ["b"]),
        # What is newer than the newest good one does not replace it, and is evidence.
        ([snapshot("a", 1, "FAILED"), snapshot("b", 90)], 1, 30, []),
        ([snapshot("a", 1), snapshot("b", 2, "PARTIAL")], 9, 0, ["b"]),
        ([snapshot("a", 1), snapshot("b", 2, RUNNING)], 1, 1, []),
        # Somebody else's counts for nothing and stays.
        ([snapshot("a", 1), snapshot("b", 99, manifest=None), snapshot("c", 3)], 1, 9, ["c"]),
        ([snapshot("a", 9, "PARTIAL"), snapshot("b", 10, "FAILED")], 1, 1, []),
    ],
)
def test_prune(snapshots: list[Snapshot], keep: int, max_age: int, doomed: list[str]) -> None:
    assert sorted(plan_prune(snapshots, NOW, keep, max_age)) == doomed


some_snapshots = st.lists(
    st.builds(
        snapshot,
        name=st.text("abcdefgh", min_size=1, max_size=4),
        days=st.floats(-1, 100, allow_nan=False),
        state=st.sampled_from([GOOD, GOOD, GOOD, "PARTIAL", "FAILED", RUNNING]),
        manifest=st.sampled_from([MANIFEST, MANIFEST, None]),
    ),
    max_size=12,
    unique_by=lambda one: one.name,
)


@given(some_snapshots, st.integers(0, 6), st.integers(0, 60))
def test_pruning_never_takes_the_last_hope(
    snapshots: list[Snapshot], keep: int, max_age: int
) -> None:
    doomed = plan_prune(snapshots, NOW, keep, max_age)
    left = [one for one in snapshots if one.name not in doomed]
    assert newest_good(left) == newest_good(snapshots)
    taken = [one for one in snapshots if one.name in doomed]
    assert all(one.manifest is not None and one.state != RUNNING for one in taken)
    good = [one for one in left if one.good]
    if keep:
        assert len(good) <= keep
        # A good one goes only for its age or because enough newer ones stay.
        for one in (one for one in taken if one.good):
            newer = [other for other in good if other.started >= one.started]
            assert len(newer) >= keep or (max_age and NOW - one.started > max_age * DAY)
    # Pruned once is pruned: a second run finds nothing to do.
    assert plan_prune(left, NOW, keep, max_age) == {}


def test_the_newest_good_one_is_restored_unless_another_is_named() -> None:
    listed = [snapshot("old", 3), snapshot("new", 2), snapshot("broken", 1, "PARTIAL")]
    assert choose(listed).name == "new"
    assert choose(listed, "old").name == "old"
    for name, sentence in (
        ("broken", "snapshot broken is PARTIAL, not SUCCESS"),
        ("nothing", "holds no snapshot nothing"),
    ):
        with pytest.raises(OpenSearchError, match=sentence):
            choose(listed, name)
    with pytest.raises(OpenSearchError, match="holds no complete snapshot"):
        choose([snapshot("broken", 1, "PARTIAL")])
    with pytest.raises(OpenSearchError, match="could be proved"):
        choose([snapshot("foreign", 1, manifest=None)], "foreign")


HELD = Manifest(
    "3.5.0",
    dict.fromkeys(
        ("research_assistant", "research_assistant-users", ".tasks", SECURITY_INDEX), LIBRARY
    ),
)
BOTH = {name: name for name in ("research_assistant", "research_assistant-users")}


@pytest.mark.parametrize(
    ("patterns", "rename", "security", "chosen"),
    [
        (["*"], "", False, BOTH),
        (["research_assistant"], "", False, {"research_assistant": "research_assistant"}),
        (["research_assistant"], "before", False, {"research_assistant": "before"}),
        ([".*"], "", False, {".tasks": ".tasks"}),
        (["*"], "", True, {**BOTH, SECURITY_INDEX: SECURITY_INDEX}),
        ([SECURITY_INDEX], "", False, "no index of the snapshot is called so"),
        (["payroll"], "", False, "no index of the snapshot is called so"),
        (["*"], "before", False, "only one index can become before"),
    ],
)
def test_what_is_restored(patterns: list[str], rename: str, security: bool, chosen: Any) -> None:
    if isinstance(chosen, str):
        with pytest.raises(OpenSearchError, match=chosen):
            select(HELD, patterns, rename, security)
    else:
        assert select(HELD, patterns, rename, security) == chosen


def test_a_security_index_that_is_not_there_is_no_security_index() -> None:
    with pytest.raises(OpenSearchError, match="does not hold the security index"):
        select(MANIFEST, ["*"], "", security=True)


OTHER = Record(7, (6, -1), "beef")
EMPTY = Record(0, (-1, -1), "0")


@pytest.mark.parametrize(
    ("target", "fate"),
    [
        (Target("research_assistant", "x"), "restore"),
        (Target("research_assistant", "x", "close"), "restore"),
        (Target("research_assistant", "x", "open", EMPTY), "replace"),
        (Target("research_assistant", "x", "open", LIBRARY), "done"),
        (Target("research_assistant", "x", "open", Record(99, (69, 44), "cafe")), "done"),
        (Target("research_assistant", "x", "open", ours=True), "resume"),
        (Target("research_assistant", "x", "open", OTHER), None),
        (Target("research_assistant", "x", "open"), None),
        (Target(SECURITY_INDEX, SECURITY_INDEX, "open", OTHER), "close"),
        (Target(SECURITY_INDEX, SECURITY_INDEX, "open", LIBRARY), "done"),
    ],
)
def test_what_becomes_of_a_target(target: Target, fate: str | None) -> None:
    if fate is None:
        with pytest.raises(OpenSearchError, match="x is open and holds other documents than"):
            plan_restore("nightly", HELD, [target])
    else:
        plan = plan_restore("nightly", HELD, [target])
        assert getattr(plan, fate) == [target]
        assert plan.to_restore == ([target] if fate in {"restore", "replace", "close"} else [])


def test_one_refusal_stops_all() -> None:
    absent = Target("research_assistant-users", "research_assistant-users")
    live = Target("research_assistant", "research_assistant", "open", OTHER)
    with pytest.raises(OpenSearchError, match="research_assistant is open"):
        plan_restore("nightly", HELD, [absent, live])


S3: dict[str, Any] = {
    "type": "s3",
    "settings": {"bucket": "b", "client.default.secret_key": "x", "readonly": "f"},
}


def test_secrets_of_a_repository_are_not_shown() -> None:
    assert shown(None) is None
    assert shown(S3) == {
        "type": "s3",
        "settings": {"bucket": "b", "client.default.secret_key": HIDDEN, "readonly": "f"},
    }


@pytest.mark.parametrize(
    ("found", "different"),
    [
        (None, True),
        (S3, False),
        ({"type": "fs", "settings": S3["settings"]}, True),
        ({"type": "s3", "settings": {"bucket": "b", "readonly": "f"}}, False),
        ({"type": "s3", "settings": {"bucket": "c", "readonly": "f"}}, True),
        ({"type": "s3", "settings": {**S3["settings"], "client.default.secret_key": "y"}}, True),
        ({"type": "s3", "settings": {**S3["settings"], "compress": "true"}}, True),
    ],
)
def test_a_repository_differs(found: Any, different: bool) -> None:
    assert differs(found, S3) == different
