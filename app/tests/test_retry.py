"""How a search is sent again: to other copies, for ever shorter while nothing answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opensearchpy.exceptions import ConnectionError as UnreachableError
from opensearchpy.exceptions import ConnectionTimeout, NotFoundError, TransportError

from research_app.index.retry import AVOID_SECONDS, DOWN_SECONDS, PROBE_SECONDS, Params, Retry

SECONDS = 7.2
ANSWER: dict[str, Any] = {"hits": []}


class Cluster:
    """Answers as it is told, on a clock of its own: "hangs", "refuses", "busy" or "answers"."""

    def __init__(self, *behaviour: str) -> None:
        self.behaviour, self.now = list(behaviour), 1000.0
        self.asked: list[Params] = []
        self.retry = Retry(SECONDS, attempts=3, clock=lambda: self.now)

    async def ask(self, params: Params) -> dict[str, Any]:
        self.asked.append(params)
        match self.behaviour.pop(0) if len(self.behaviour) > 1 else self.behaviour[0]:
            case "hangs":
                self.now += params["request_timeout"]
                raise ConnectionTimeout("TIMEOUT", "", Exception())
            case "refuses":
                raise UnreachableError("N/A", "", Exception())
            case "busy":
                raise TransportError(503, "no shard available")
            case "missing":
                raise NotFoundError(404, "not found")
        return ANSWER

    def search(self) -> float:
        """Search once; how long it took."""
        start = self.now
        asyncio.run(self.retry(self.ask, "copies"))
        return self.now - start

    def search_in_vain(self) -> float:
        start = self.now
        with pytest.raises(TransportError):
            self.search()
        return self.now - start

    @property
    def preferences(self) -> list[str | None]:
        return [params.get("preference") for params in self.asked]


def test_the_same_search_asks_the_same_copies() -> None:
    cluster = Cluster("answers")
    cluster.search()
    cluster.search()
    assert cluster.preferences == ["copies", "copies"]


def test_a_copy_that_does_not_answer_is_soon_left_alone() -> None:
    cluster = Cluster("hangs", "answers")
    assert cluster.search() <= 2
    assert cluster.preferences == ["copies", None]
    cluster.now += AVOID_SECONDS / 2
    cluster.search()
    cluster.now += AVOID_SECONDS
    cluster.search()
    assert cluster.preferences[2:] == [None, "copies"]


@pytest.mark.parametrize("behaviour", ["refuses", "busy"])
def test_every_node_is_asked_once(behaviour: str) -> None:
    cluster = Cluster(behaviour)
    assert cluster.search_in_vain() == 0
    assert len(cluster.asked) == 3


def test_what_no_other_node_knows_better_is_not_asked_again() -> None:
    cluster = Cluster("missing")
    cluster.search_in_vain()
    assert len(cluster.asked) == 1


def test_all_slow_nodes_get_the_whole_time() -> None:
    cluster = Cluster("hangs")
    assert cluster.search_in_vain() == pytest.approx(SECONDS)


def test_while_nothing_answers_nobody_waits_long() -> None:
    cluster = Cluster("hangs")
    cluster.search_in_vain()
    start, waits = cluster.now, []
    while cluster.now - start < 2 * PROBE_SECONDS:
        waits.append(cluster.search_in_vain())
    long = [wait for wait in waits if wait > DOWN_SECONDS + 0.1]
    assert 1 <= len(long) <= 2, waits
    cluster.behaviour = ["answers"]
    cluster.search()
    cluster.behaviour = ["hangs"]
    assert cluster.search_in_vain() == pytest.approx(SECONDS)
