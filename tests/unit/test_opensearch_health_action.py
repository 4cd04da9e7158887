"""opensearch_health: what a long wait says on the controller, and when it is over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from action_plugins import opensearch_health as plugin

RECOVERING = {"code": "initializing", "text": "library[0] is recovering"}
GONE = {"code": "unit_failed", "text": "opensearch.service does not stay up"}


class Gate(plugin.ActionModule):
    """The action on a host where each call of the module takes its whole time and answers so."""

    def __init__(self, clock: Clock, timeout: Any, *answers: list[dict[str, str]] | None) -> None:
        self._task = SimpleNamespace(
            args={"question": "is_back", "node": "os2", "timeout": timeout}
        )
        self._clock, self.answers, self.parts = clock, list(answers), list[int]()

    def _execute_module(self, **options: Any) -> dict[str, Any]:
        part = options["module_args"]["timeout"]
        self.parts.append(part)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            return {"failed": True, "msg": "TLS with os1 failed"}
        self._clock.now += 3 if not answer else part
        said = answer[0]["text"] if answer else "yes"
        result = {"ok": not answer, "reasons": answer, "history": [f"1 s {said}"]}
        return {**result, "failed": bool(answer)}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(plugin, "time", made)
    return made


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(plugin.display, "display", lambda line, **_: lines.append(line))
    monkeypatch.setattr(ActionBase, "run", lambda *_, **__: {})
    return lines


def run(gate: Gate) -> dict[str, Any]:
    result: dict[str, Any] = gate.run(task_vars={"inventory_hostname": "os2"})
    return result


def test_a_long_wait_says_why_all_the_time(clock: Clock, said: list[str]) -> None:
    gate = Gate(clock, "600", [RECOVERING], [RECOVERING], [])
    result = run(gate)
    assert said == [
        "os2: 15 of 600 s: library[0] is recovering",
        "os2: 30 of 600 s: library[0] is recovering",
    ]
    assert result["ok"]
    assert result["history"] == [
        "1 s library[0] is recovering",
        "16 s library[0] is recovering",
        "31 s yes",
    ]


def test_it_waits_no_longer_than_it_was_told(clock: Clock, said: list[str]) -> None:
    gate = Gate(clock, 40, [RECOVERING])
    assert run(gate)["failed"]
    assert gate.parts == [15, 15, 10]
    assert len(said) == 2


@pytest.mark.parametrize(
    ("timeout", "answer"), [(0, [RECOVERING]), (600, []), (600, [GONE]), (600, None)]
)
def test_what_waiting_does_not_change_is_asked_once(
    clock: Clock, said: list[str], timeout: int, answer: list[dict[str, str]] | None
) -> None:
    gate = Gate(clock, timeout, answer)
    run(gate)
    assert len(gate.parts) == 1
    assert said == []
