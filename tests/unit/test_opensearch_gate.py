"""Waiting for a verdict, and the one error that a cluster's refusals become."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import opensearch_client
from ansible.module_utils.opensearch_client import Client, OpenSearchError, describe
from ansible.module_utils.opensearch_gate import await_verdict
from ansible.module_utils.opensearch_verdict import UnreadableError, Verdict
from opensearchpy import exceptions as errors


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a clock pass only while somebody sleeps."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))


def answers(*listed: Any) -> Callable[[], Verdict]:
    """Return a question that is answered by a list: a reason, nothing (a yes), or an error."""
    left = list(listed)

    def ask() -> Verdict:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        verdict = Verdict()
        if answer:
            verdict.no("code", answer)
        return verdict

    return ask


def test_a_yes_ends_the_waiting_and_the_history_tells_of_changes_only() -> None:
    verdict, history = await_verdict(answers("busy", "busy", "slow", ""), 60, 2)
    assert verdict.ok
    assert history == ["0 s busy", "4 s slow", "6 s yes"]


def test_time_ends_it_too() -> None:
    verdict, history = await_verdict(answers("busy"), 10, 2)
    assert not verdict.ok
    assert history == ["0 s busy"]


def test_without_time_it_asks_once() -> None:
    assert not await_verdict(answers("busy", ""), 0, 2)[0].ok


@pytest.mark.parametrize("error", [UnreadableError("lacks x"), OpenSearchError("no answer")])
def test_what_cannot_be_read_is_a_no_until_it_can(error: Exception) -> None:
    assert await_verdict(answers(error, ""), 10, 2)[0].ok
    verdict, _ = await_verdict(answers(error), 4, 2)
    assert [reason.code for reason in verdict.reasons] == ["unreadable_answer"]


def test_a_refusal_is_not_waited_for() -> None:
    with pytest.raises(OpenSearchError):
        await_verdict(answers(OpenSearchError("HTTP 403", status=403, final=True)), 60, 2)


def test_a_unit_that_failed_ends_the_waiting() -> None:
    verdict, _ = await_verdict(answers("not yet"), 60, 2, lambda: "the unit failed")
    assert [reason.code for reason in verdict.reasons] == ["code", "unit_failed"]


class Transport:
    """Stands for the client's transport: raises, or returns an answer."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    def perform_request(self, *_: Any, **__: Any) -> Any:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def ca(tmp_path: Path) -> str:
    """Return a file of certificates that every machine has."""
    path = tmp_path / "ca.pem"
    path.touch()
    return str(path)


@pytest.fixture
def client(ca: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Client]:
    """Return a function that makes a client whose transport has one outcome."""

    class Fake:
        def __init__(self, **_: Any) -> None:
            self.transport = Transport(None)

    monkeypatch.setattr(opensearch_client, "OpenSearch", Fake)

    def make(outcome: Any) -> Client:
        made = Client(
            {"urls": ["https://os1:9200"], "ca": ca, "client_certificate": ca, "client_key": ca}
        )
        monkeypatch.setattr(made._client, "transport", Transport(outcome))
        return made

    return make


@pytest.mark.parametrize(
    ("outcome", "message", "final"),
    [
        (errors.ConnectionError("N/A", "refused", "refused"), "does not answer: refused", False),
        (errors.ConnectionTimeout("TIMEOUT", "slow", "slow"), "does not answer: slow", False),
        (errors.SSLError("N/A", "x", "unknown CA"), "TLS with .* failed: unknown CA", True),
        (errors.AuthenticationException(401, "", ""), "GET /x: HTTP 401", True),
        (
            errors.AuthorizationException(403, "e", {"error": {"reason": "no permissions"}}),
            "HTTP 403 no permissions",
            True,
        ),
        (errors.TransportError(503, "e", {"error": "not initialized"}), "not initialized", False),
        (errors.SerializationError("truncated"), "GET /x: truncated", False),
    ],
)
def test_every_failure_is_one_error(
    client: Callable[[Any], Client], outcome: Exception, message: str, final: bool
) -> None:
    with pytest.raises(OpenSearchError, match=message) as caught:
        client(outcome).request("GET", "/x")
    assert caught.value.final is final


def test_absence_is_an_answer(client: Callable[[Any], Client]) -> None:
    assert client(errors.NotFoundError(404, "missing", {})).get("/x") is None
    with pytest.raises(OpenSearchError):
        client(errors.TransportError(500, "broken", {})).get("/x")


def test_a_missing_file_is_named_before_anything_is_sent(ca: str) -> None:
    with pytest.raises(OpenSearchError, match="client key /nowhere is missing"):
        Client({"urls": ["https://x"], "ca": ca, "client_key": "/nowhere"})


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ({"error": {"type": "t", "reason": "why"}}, "why"),
        ({"error": {"type": "t"}}, "t"),
        ({"status": "x", "message": "denied"}, "denied"),
        ({}, ""),
        ("plain", "plain"),
        (None, ""),
    ],
)
def test_describe(info: Any, text: str) -> None:
    assert describe(info) == text
