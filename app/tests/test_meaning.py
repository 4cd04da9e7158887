"""Ranking by meaning: the model, the stored vectors, and the order that they make."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from conftest import make_settings
from hypothesis import given
from hypothesis import strategies as st

np = pytest.importorskip("numpy")
pytest.importorskip("onnxruntime")

from research_app.index.client import IndexUnavailableError, ensure_index  # noqa: E402
from research_app.index.vectors import complete, text_of  # noqa: E402
from research_app.intake import take  # noqa: E402
from research_app.search.meaning import (  # noqa: E402
    Meaning,
    MeaningUnavailableError,
    Model,
    model_files,
    packed,
    unpacked,
)
from research_app.search.query import SearchQuery  # noqa: E402
from research_app.search.ranking import order  # noqa: E402
from research_app.services import Services, build  # noqa: E402
from research_app.sources import open_source  # noqa: E402


@pytest.fixture(scope="session")
def model() -> Model:
    return Model()


def test_like_meanings_are_near_and_others_are_not(model: Model) -> None:
    car, automobile, soup = model.vectors(
        ["How do I repair a car?", "fixing an automobile", "a recipe for tomato soup"]
    )
    assert car @ automobile > 0.5
    assert car @ soup < 0.3


def test_vectors_have_the_order_of_their_texts_and_length_one(model: Model) -> None:
    texts = ["short", "a somewhat longer text about zebras " * 20, "", "zebras", "x" * 5000]
    together = model.vectors(texts * 9)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(texts) * 9), abs=1e-5)
    for number, text in enumerate(texts):
        (alone,) = model.vectors([text])
        assert together[number] @ alone > 0.97  # weights of eight bits depend on the company
    assert model.vectors([]).shape[0] == 0


def test_half_precision_is_enough(model: Model) -> None:
    (vector,) = model.vectors(["zebras in aerial photographs"])
    stored = packed(vector)
    assert len(stored) == 1024
    assert unpacked(stored) @ vector == pytest.approx(1, abs=1e-3)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(MeaningUnavailableError, match=r"model\.onnx, which is not there"):
        model_files(str(tmp_path))
    with pytest.raises(MeaningUnavailableError):
        Meaning(str(tmp_path))


def test_the_event_loop_goes_on_meanwhile() -> None:
    async def run() -> int:
        meaning = Meaning()
        await meaning.name()  # loaded
        work = asyncio.create_task(meaning.vectors(["words " * 200] * 20))
        turns = 0
        while not work.done():
            await asyncio.sleep(0.005)
            turns += 1
        meaning.close()
        return turns

    assert asyncio.run(run()) > 10


def test_a_document_means_its_title_and_abstract_or_how_it_begins() -> None:
    assert text_of({"title": "T", "abstract": "A"}) == "T. A"
    assert text_of({"title": "T", "passages": [{"text": "one"}, {"text": "two"}]}) == "T. one two"
    assert text_of({"title": "T"}) == "T. "


def hit(identity: str, score: float, vector: Any = None, name: str = "m") -> dict[str, Any]:
    stored = {} if vector is None else {"meaning": {"model": name, "vector": packed(vector)}}
    return {"_id": identity, "_score": score, "_source": stored}


UP, ASIDE = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def test_the_order_of_words_and_meaning() -> None:
    hits = [hit("words", 10, ASIDE), hit("both", 8, UP), hit("little", 2, UP)]
    assert order(hits, "m", UP, 0.5) == [("both", 0.9), ("little", 0.6), ("words", 0.5)]
    assert [name for name, _ in order(hits, "m", UP, 0)] == ["words", "both", "little"]
    assert [name for name, _ in order(hits, "m", UP, 1)][-1] == "words"


def test_without_vectors_the_order_is_that_of_the_words() -> None:
    hits = [hit("a", 10), hit("b", 9, UP, "another model"), hit("c", 8)]
    assert [name for name, _ in order(hits, "m", UP, 0.5)] == ["a", "b", "c"]
    assert order([], "m", UP, 0.5) == []


def test_a_document_without_vector_keeps_its_place_among_the_others() -> None:
    hits = [hit("first", 10, UP), hit("none", 9), hit("last", 8, UP)]
    assert [name for name, _ in order(hits, "m", UP, 0.5)] == ["first", "none", "last"]


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(-1, 1)), max_size=20),
    st.floats(0, 1),
)
def test_nothing_is_lost_or_doubled(documents: list[tuple[float, float]], weight: float) -> None:
    hits = [
        hit(str(number), score, np.array([likeness, 0.0]))
        for number, (score, likeness) in enumerate(documents)
    ]
    found = order(hits, "m", UP, weight)
    assert sorted(name for name, _ in found) == sorted(entry["_id"] for entry in hits)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)


RECORDS = [
    {"id": "soup", "title": "Soup", "abstract": "Add a potato, and eat it in the car."},
    {
        "id": "garage",
        "title": "Fixing automobiles",
        "abstract": "What to do when a car will not go.",
    },
    {"id": "zebra", "title": "Zebras", "abstract": "A car was used to count them."},
]


class OneDocument:
    """An index whose document has no vector until an update of it ends with 200."""

    def __init__(self, *outcomes: int) -> None:
        self.outcomes = list(outcomes)

    async def search(self, **_: Any) -> dict[str, Any]:
        hit = {"_id": "a", "_seq_no": 1, "_primary_term": 1, "_source": {"title": "Cars"}}
        hits = [hit] if self.outcomes else []
        return {"hits": {"hits": hits, "total": {"value": len(hits)}}}

    async def bulk(self, **_: Any) -> dict[str, Any]:
        status = self.outcomes.pop(0)
        error = {"type": "cluster_block_exception", "reason": "index is read-only"}
        return {"items": [{"update": {"_id": "a", "status": status, "error": error}}]}


def test_a_document_that_an_ingest_overtook_gets_its_vector_in_the_next_round() -> None:
    client: Any = OneDocument(409, 200)
    assert asyncio.run(complete(client, "library", Meaning())) == 1


def test_vectors_that_cannot_be_stored_end_the_run() -> None:
    client: Any = OneDocument(403, 200)
    with pytest.raises(IndexUnavailableError, match="a cannot be given its vector: index is read"):
        asyncio.run(complete(client, "library", Meaning()))


@pytest.mark.integration
def test_meaning_decides_among_what_has_the_words(opensearch_url: str, tmp_path: Path) -> None:
    path = tmp_path / "papers.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in RECORDS))
    sections: dict[str, Any] = {
        "opensearch": {"urls": [opensearch_url], "index": f"test-{uuid.uuid4().hex[:12]}"},
        "library": {"directory": str(tmp_path / "library")},
    }
    words = build(make_settings(**sections))
    meaning = build(make_settings(**sections, search={"meaning": True, "meaning_weight": 1.0}))
    query = SearchQuery(q="car", size=2)

    async def ids(parts: Services, query: SearchQuery = query) -> list[str]:
        return [result["id"] for result in (await parts.search.results(query))["results"]]

    async def run() -> None:
        index = words.settings.opensearch.index
        async with words.connected(), meaning.connected():
            try:
                await ensure_index(words.client, index)
                await take(words, open_source(str(path), "paper", words.tools), lambda _: None)
                assert await ids(words) == await ids(meaning)  # no vectors yet
                assert meaning.meaning is not None
                assert await complete(meaning.client, index, meaning.meaning) == 3
                assert await complete(meaning.client, index, meaning.meaning) == 0
                found = await meaning.search.results(query)
                assert found["results"][0]["id"] == "garage"
                assert found["total"] == 3
                assert found["facets"]["kind"] == [{"value": "paper", "count": 3}]
                assert "<mark>car</mark>" in found["results"][0]["highlights"]["abstract"][0]
                places = await meaning.search.passages(query.q, 3)
                assert places[0].item_id == "garage"
                assert len({place.item_id for place in places}) == 3
                every = await meaning.search.ranking(query, 10)
                assert every[:2] == await ids(meaning)
                assert [every[2]] == await ids(meaning, query.model_copy(update={"page": 2}))
                changed = [{**record, "venue": "Again"} for record in RECORDS]
                path.write_text("\n".join(json.dumps(record) for record in changed))
                await take(meaning, open_source(str(path), "paper", words.tools), lambda _: None)
                assert await complete(meaning.client, index, meaning.meaning) == 0
            finally:
                await words.client.indices.delete(index=f"{index}*")

    asyncio.run(run())
