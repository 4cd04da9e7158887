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
            found = self.answers["explanations"].get(f"{body['index']}[{body['shard']}]")
            return found
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
