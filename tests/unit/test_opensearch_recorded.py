"""The gate on states of a real cluster (recorded/record made them), read as the gate reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.opensearch_client import Client, OpenSearchError, describe
from ansible.module_utils.opensearch_gate import (
    await_verdict,
    explainer,
    read_disks,
    read_state,
)
from ansible.module_utils.opensearch_removal import may_drain, may_remove
from ansible.module_utils.opensearch_verdict import Verdict, cluster_serves, is_back, may_stop

RECORDED = Path(__file__).parent / "recorded" / "opensearch"


class Replay(Client):
    """Answers as a cluster did when its state was recorded."""

    def __init__(self, name: str, **instead: Any) -> None:
        answers = json.loads((RECORDED / f"{name}.json").read_text())
        self.answers: dict[str, Any] = {**answers, **instead}

    def request(self, method: str, path: str, body: Any = None, **_: Any) -> Any:
        """Return what was recorded, errors as errors."""
        if path == "/_cluster/allocation/explain":
            return self.answers["explanations"].get(f"{body['index']}[{body['shard']}]")
        kinds = {"state": "/_cluster/state", "settings": "/_cluster/settings", "disks": "/stats"}
        kind = next((kind for kind, part in kinds.items() if part in path), "nodes")
        answer = self.answers[kind]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, dict) and "error" in answer:
            text = f"{method} {path}: HTTP {answer['status']} {describe(answer['error'])}"
            raise OpenSearchError(text, status=answer["status"], final=answer["status"] == 403)
        return answer


def ask(client: Client, question: str, node: str) -> Verdict:
    """Ask the gate once."""

    def verdict() -> Verdict:
        state = read_state(client, defaults=True)
        if question == "may_stop":
            return may_stop(state, node)
        if question == "is_back":
            return is_back(state, node, None, explainer(client))
        if question == "may_drain":
            return may_drain(state, node, read_disks(client))
        if question == "may_remove":
            return may_remove(state, node)
        return cluster_serves(state)

    return await_verdict(verdict, 0, 1)[0]


def said(verdict: Verdict) -> set[str]:
    return {reason.code for reason in verdict.reasons}


@pytest.mark.parametrize(
    ("name", "question", "node", "reasons"),
    [
        ("green", "cluster_serves", "", set()),
        ("green", "may_stop", "os1", set()),
        # One index has a single copy, on os3.
        ("green", "may_stop", "os3", {"shard_without_other_copy"}),
        ("green", "is_back", "os2", set()),
        ("green", "may_drain", "os2", {"too_few_managers"}),
        (
            "green",
            "may_remove",
            "os1",
            {"not_drained", "replicas_do_not_fit", "still_elected", "still_votes"},
        ),
        ("yellow-os3-gone", "is_back", "os3", {"node_absent"}),
        # The missing copy has no place on os2, by a filter, and waits for os3.
        ("yellow-os3-gone", "is_back", "os2", set()),
        ("yellow-os3-gone", "is_back", "os1", set()),
        # Green, and a copy moves from os3 to os1: neither is disturbed.
        ("green-rebalancing", "cluster_serves", "", set()),
        ("green-rebalancing", "may_stop", "os1", {"relocating"}),
        ("green-rebalancing", "may_stop", "os3", {"relocating", "shard_without_other_copy"}),
        ("green-rebalancing", "is_back", "os2", set()),
        ("green-rebalancing", "may_remove", "os2", {"not_drained", "still_elected", "still_votes"}),
        ("allocation-primaries", "may_stop", "os1", {"allocation_disabled"}),
        ("allocation-primaries", "is_back", "os1", {"allocation_disabled"}),
        ("allocation-primaries", "may_drain", "os1", {"allocation_disabled", "too_few_managers"}),
        # With os2 excluded there is no place for two copies without os1.
        ("excluded-os2", "may_drain", "os1", {"replicas_do_not_fit", "too_few_managers"}),
        ("relocating-last-copy", "may_stop", "os3", {"relocating", "shard_without_other_copy"}),
        ("relocating-last-copy", "may_stop", "os2", {"relocating"}),
        ("relocating-last-copy", "cluster_serves", "", set()),
        # Two managers cannot outvote each other, so one alone votes.
        ("vote-of-os3-taken", "may_stop", "os1", set()),
        (
            "vote-of-os3-taken",
            "may_stop",
            "os2",
            {"manager_quorum", "relocating", "shard_without_other_copy"},
        ),
        # By its filter one index may be on os3 alone.
        ("vote-of-os3-taken", "may_remove", "os3", {"relocating", "replicas_do_not_fit"}),
        # Every copy is there, and still nobody else may go: one more, and no manager is left.
        ("green-os3-gone", "cluster_serves", "", set()),
        ("green-os3-gone", "may_stop", "os1", {"manager_quorum"}),
        ("red-os3-gone", "cluster_serves", "", {"primary_not_started"}),
        (
            "red-os3-gone",
            "may_stop",
            "os1",
            {"manager_quorum", "primary_not_started", "shard_without_other_copy"},
        ),
        ("yellow-os3-gone", "cluster_serves", "", set()),
        ("yellow-os3-gone", "may_stop", "os1", {"manager_quorum", "shard_without_other_copy"}),
        # In the middle of an upgrade: os1 has the new version, os2 the old one, os3 is down for it.
        ("mixed-versions-os3-gone", "cluster_serves", "", set()),
        (
            "mixed-versions-os3-gone",
            "may_stop",
            "os1",
            {"manager_quorum", "shard_without_other_copy"},
        ),
        # A copy may go to os1, and has not yet; os2 is too old for the other one.
        ("mixed-versions-os3-gone", "is_back", "os1", {"shard_unassigned"}),
        ("mixed-versions-os3-gone", "is_back", "os2", set()),
        ("no-manager", "may_stop", "os1", {"unreadable_answer"}),
        ("no-manager", "cluster_serves", "", {"unreadable_answer"}),
    ],
)
def test_a_recorded_state(name: str, question: str, node: str, reasons: set[str]) -> None:
    assert said(ask(Replay(name), question, node)) == reasons


def test_the_yellow_that_an_upgrade_explains_is_noted() -> None:
    verdict = ask(Replay("mixed-versions-os3-gone"), "is_back", "os2")
    assert "node_version_yellow" in {note.code for note in verdict.notes}


QUESTIONS = ["cluster_serves", "may_stop", "is_back", "may_drain", "may_remove"]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kind", ["state", "settings", "nodes", "disks"])
@pytest.mark.parametrize(
    "answer",
    [
        '{"cluster_manager_node":"ThRETbQASlOf_mqiD3Kg0w","nodes":{"ThRET',
        "<html>502 Bad Gateway</html>",
        None,
        {},
        [],
        OpenSearchError("os1 does not answer: Read timed out"),
        {"status": 503, "error": {"error": {"type": "cluster_manager_not_discovered_exception"}}},
    ],
    ids=["truncated", "html", "nothing", "empty", "list", "time-out", "503"],
)
def test_what_cannot_be_read_is_a_no(question: str, kind: str, answer: Any) -> None:
    if kind == "disks" and question != "may_drain":
        pytest.skip("is not asked for disks")
    verdict = ask(Replay("green", **{kind: answer}), question, "os1")
    assert "unreadable_answer" in said(verdict)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_refusal_ends_the_waiting(question: str) -> None:
    refusal = {
        "status": 403,
        "error": {"error": {"reason": "no permissions for [cluster:monitor/state]"}},
    }
    with pytest.raises(OpenSearchError, match="HTTP 403 no permissions"):
        ask(Replay("green", state=refusal), question, "os1")
