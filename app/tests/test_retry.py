"""How a search is sent again: to other copies, for ever shorter while nothing answers."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from opensearchpy.exceptions import ConnectionError as UnreachableError
from opensearchpy.exceptions import ConnectionTimeout, NotFoundError, TransportError

from research_app.index.retry import AVOID_SECONDS, DOWN_SECONDS, PROBE_SECONDS, Params, Retry

SECONDS = 7.2
ANSWER: dict[str, Any] = {"hits": []}


class Clock(asyncio.SelectorEventLoop):
    """A loop on whose clock all waiting is over at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        loop = self

        class Selector(selectors.SelectSelector):
            def select(self, timeout: float | None = None) -> Any:
                loop.now += timeout or 0
                return super().select(0)

        super().__init__(Selector())

    def time(self) -> float:
        return self.now


def on_a_clock(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        with asyncio.Runner(loop_factory=Clock) as runner:
            runner.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class Cluster:
    """Answers as it is told: "hangs", "refuses", "busy", "missing" or "answers"."""

    def __init__(self, *behaviour: str) -> None:
        self.behaviour = list(behaviour)
        self.asked: list[Params] = []
        self.clock = asyncio.get_running_loop().time
        self.retry = Retry(SECONDS, attempts=3, clock=self.clock)

    async def ask(self, params: Params) -> dict[str, Any]:
        self.asked.append(params)
        match self.behaviour.pop(0) if len(self.behaviour) > 1 else self.behaviour[0]:
            case "hangs":
                await asyncio.sleep(params["request_timeout"])
                raise ConnectionTimeout("TIMEOUT", "", Exception())
            case "refuses":
                raise UnreachableError("N/A", "", Exception())
            case "busy":
                raise TransportError(503, "no shard available")
            case "missing":
                raise NotFoundError(404, "not found")
        return ANSWER

    async def search(self) -> float:
        """Search once; how long it took."""
        start = self.clock()
        await self.retry(self.ask, "copies")
        return self.clock() - start

    async def search_in_vain(self) -> float:
        start = self.clock()
        with pytest.raises(TransportError):
            await self.search()
        return self.clock() - start

    @property
    def preferences(self) -> list[str | None]:
        return [params.get("preference") for params in self.asked]


@on_a_clock
async def test_the_same_search_asks_the_same_copies() -> None:
    cluster = Cluster("answers")
    await cluster.search()
    await cluster.search()
    assert cluster.preferences == ["copies", "copies"]


@on_a_clock
async def test_a_copy_that_does_not_answer_is_soon_left_alone() -> None:
    cluster = Cluster("hangs", "answers")
    assert await cluster.search() <= 2
    assert cluster.preferences == ["copies", None]
    await asyncio.sleep(AVOID_SECONDS / 2)
    await cluster.search()
    await asyncio.sleep(AVOID_SECONDS)
    await cluster.search()
    assert cluster.preferences[2:] == [None, "copies"]


@pytest.mark.parametrize("behaviour", ["refuses", "busy"])
def test_every_node_is_asked_once(behaviour: str) -> None:
    @on_a_clock
    async def test() -> None:
        cluster = Cluster(behaviour)
        assert await cluster.search_in_vain() == 0
        assert len(cluster.asked) == 3

    test()


@on_a_clock
async def test_what_no_other_node_knows_better_is_not_asked_again() -> None:
    cluster = Cluster("missing")
    await cluster.search_in_vain()
    assert len(cluster.asked) == 1


@on_a_clock
async def test_all_slow_nodes_get_the_whole_time() -> None:
    cluster = Cluster("hangs")
    assert await cluster.search_in_vain() == pytest.approx(SECONDS)


@on_a_clock
async def test_while_nothing_answers_nobody_waits_long() -> None:
    cluster = Cluster("hangs")
    await cluster.search_in_vain()
    start = cluster.clock()
    while cluster.clock() - start < 2 * PROBE_SECONDS:
        assert await cluster.search_in_vain() <= DOWN_SECONDS + 0.01
    whole = [params for params in cluster.asked if params["request_timeout"] > DOWN_SECONDS]
    assert whole, "no search had the time to find out that slow answers come again"


@on_a_clock
async def test_a_slow_answer_that_nobody_waited_for_ends_the_short_patience() -> None:
    cluster = Cluster("hangs")
    await cluster.search_in_vain()
    await asyncio.sleep(PROBE_SECONDS)
    cluster.behaviour = ["hangs", "hangs", "answers"]
    await cluster.search_in_vain()
    await asyncio.sleep(SECONDS)
    cluster.behaviour = ["hangs"]
    assert await cluster.search_in_vain() == pytest.approx(SECONDS)
