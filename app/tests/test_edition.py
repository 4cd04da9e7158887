"""The edition of the index, where the index does not tell it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from research_app.index import edition
from research_app.index.edition import UNKNOWN, Edition


class Silent:
    """An OpenSearch that takes a request and never answers."""

    def __init__(self) -> None:
        self.indices = self
        self.asked = 0

    async def get_mapping(self, **_: Any) -> dict[str, Any]:
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError


def test_nobody_waits_long_for_it_and_the_next_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edition, "ANSWER_SECONDS", 0.01)
    silent = Silent()

    async def run() -> None:
        known = Edition(silent, "library")  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            assert [await known.current() for _ in range(3)] == [UNKNOWN] * 3

    asyncio.run(run())
    assert silent.asked == 1


class Slow:
    """An index that takes a moment to tell its edition."""

    def __init__(self) -> None:
        self.indices = self

    async def get_mapping(self, **_: Any) -> dict[str, Any]:
        await asyncio.sleep(0.001)
        return {"library": {"mappings": {"_meta": {"edition": "1" * 32}}}}


def test_the_first_readers_of_a_process_know_the_same_edition() -> None:
    async def run() -> list[str]:
        known = Edition(Slow(), "library")  # type: ignore[arg-type]
        return await asyncio.gather(*(known.current() for _ in range(3)))

    assert asyncio.run(run()) == ["1" * 32] * 3
