"""Measures with known values, collections, and a whole evaluation against a real OpenSearch."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from pathlib import Path
from typing import Any

import pytest
from conftest import make_settings
from hypothesis import given
from hypothesis import strategies as st

from research_app.evaluation import metrics
from research_app.evaluation import run as evaluation
from research_app.evaluation.collection import Collection, CollectionError, Text, read
from research_app.index.client import IndexUnavailableError
from research_app.services import build

# Computed by trec_eval (its Python binding pytrec_eval-terrier 0.5.11) for these judgments.
JUDGED = {
    "q1": {"a": 3, "b": 2, "c": 1, "d": 0, "e": 1},
    "q2": {"x": 1, "y": 2, "z": 4},
    "q3": {"m": 1},
}
FOUND = {"q1": ["b", "d", "a", "u", "c"], "q2": ["u1", "z"], "q3": ["n"]}
TREC_EVAL = [
    ("q1", 0.7485461359183886, 0.5666666666666667, 0.75),
    ("q2", 0.43800426080455496, 0.16666666666666666, 0.3333333333333333),
    ("q3", 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("question", "ndcg", "precision", "recall"), TREC_EVAL)
def test_as_trec_eval(question: str, ndcg: float, precision: float, recall: float) -> None:
    found, grades = FOUND[question], JUDGED[question]
    assert metrics.ndcg(found, grades) == pytest.approx(ndcg)
    assert metrics.average_precision(found, grades) == pytest.approx(precision)
    assert metrics.recall(found, grades) == pytest.approx(recall)


def test_depth() -> None:
    assert metrics.ndcg(FOUND["q1"], JUDGED["q1"], 3) == pytest.approx(0.7350069851388743)
    assert metrics.recall(FOUND["q1"], JUDGED["q1"], 1) == 0.25


def test_by_hand() -> None:
    """Järvelin and Kekäläinen's discount: the second counts 1/log2(3), the third 1/2."""
    grades = {"a": 1, "b": 1}
    best = 1 + 1 / math.log2(3)
    assert metrics.ndcg(["x", "a", "b"], grades) == pytest.approx((1 / math.log2(3) + 1 / 2) / best)
    # relevant ones at ranks 2 and 3: precision 1/2 and 2/3
    assert metrics.average_precision(["x", "a", "b"], grades) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_the_mean_is_over_questions_that_have_an_answer() -> None:
    judged = {**JUDGED, "nothing is relevant": {"a": 0}}
    expected = sum(ndcg for _, ndcg, _, _ in TREC_EVAL) / 3
    assert metrics.mean(metrics.ndcg, FOUND, judged) == pytest.approx(expected)
    unanswered = {question: FOUND[question] for question in ("q1", "q3")}
    assert metrics.mean(metrics.ndcg, unanswered, JUDGED) < expected
    assert metrics.mean(metrics.ndcg, {}, {}) == 0


Grades = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(-1, 4), max_size=8)


@given(st.lists(st.sampled_from("abcdefghxyz"), unique=True), Grades)
def test_measures_are_shares(found: list[str], grades: dict[str, int]) -> None:
    for measure in metrics.MEASURES.values():
        assert 0 <= measure(found, grades) <= 1 + 1e-9


@given(Grades)
def test_the_best_order_is_perfect(grades: dict[str, int]) -> None:
    if not metrics.relevant(grades):
        return
    best = sorted(grades, key=lambda identity: -grades[identity])
    for measure in metrics.MEASURES.values():
        assert measure(best, grades) == pytest.approx(1)


DOCUMENTS = [
    {"_id": "1", "title": "Zebras", "text": "Zebras are counted from the air."},
    {"_id": "2", "title": "", "text": "Counting by hand."},
    {"_id": "3", "title": "Giraffes", "text": ""},
]
HEADING = "query-id\tcorpus-id\tscore\n"


def write(folder: Path, judgments: str, name: str = "qrels.tsv") -> Path:
    folder.mkdir(exist_ok=True)
    lines = "\n".join(json.dumps(record) for record in DOCUMENTS)
    (folder / "corpus.jsonl").write_text(lines)
    (folder / "queries.jsonl").write_text(
        '{"_id": "a", "text": "what is counting?"}\n{"_id": "b", "text": "not judged"}\n'
    )
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(judgments)
    return folder


@pytest.mark.parametrize("name", ["qrels.tsv", "qrels/test.tsv"])
@pytest.mark.parametrize("heading", ["", HEADING])
def test_both_layouts(tmp_path: Path, name: str, heading: str) -> None:
    found = read(write(tmp_path / "small", f"{heading}a\t1\t2\na\t2\t0\n", name))
    assert found.name == "small"
    assert found.documents[0] == Text("1", "Zebras", "Zebras are counted from the air.")
    assert found.questions == {"a": "what is counting?"}
    assert found.judged == {"a": {"1": 2, "2": 0}}


@pytest.mark.parametrize(
    ("judgments", "message"),
    [
        ("a\t1\t2\na\t1\n", "qrels.tsv:2: not a question, a document and a grade"),
        ("a\t1\t2\na\t1\tmuch\n", "qrels.tsv:2"),
        ("z\t1\t2\n", "none of its questions"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, judgments: str, message: str) -> None:
    with pytest.raises(CollectionError, match=message):
        read(write(tmp_path / "small", judgments))


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"neither qrels/test.tsv nor qrels.tsv"):
        read(tmp_path)
    (tmp_path / "qrels.tsv").write_text("a\t1\t2\n")
    with pytest.raises(CollectionError, match=r"queries.jsonl: No such file"):
        read(tmp_path)
    (tmp_path / "queries.jsonl").write_text("[]\n")
    with pytest.raises(CollectionError, match=r"queries.jsonl:1: not an object"):
        read(tmp_path)


def test_the_table_has_a_column_a_search() -> None:
    figures = {name: dict.fromkeys(metrics.MEASURES, 0.5) for name in ("plain", "ours")}
    heading, *rows = evaluation.table(figures).splitlines()
    assert heading.split() == ["plain", "ours"]
    assert [row.split() for row in rows] == [[name, "0.5000", "0.5000"] for name in figures_names()]


def figures_names() -> list[str]:
    return list(metrics.MEASURES)


@pytest.fixture
def settings(opensearch_url: str, tmp_path: Path) -> Any:
    return make_settings(
        opensearch={"urls": [opensearch_url], "index": f"test-{uuid.uuid4().hex[:12]}"},
        library={"directory": str(tmp_path / "library")},
    )


async def left_behind(settings: Any) -> list[str]:
    client = build(settings).client
    found = await client.indices.get(index=f"{settings.opensearch.index}*")
    await client.close()
    return list(found)


@pytest.mark.integration
def test_an_evaluation_leaves_nothing_behind(settings: Any, tmp_path: Path) -> None:
    collection = read(write(tmp_path / "small", "a\t1\t1\na\t2\t1\n"))

    async def run() -> dict[str, dict[str, float]]:
        parts = build(settings)
        async with parts.connected():
            return await evaluation.evaluate(settings, parts.client, collection, None)

    figures = asyncio.run(run())
    assert list(figures) == ["plain BM25", "ours"]
    assert figures["ours"] == dict.fromkeys(metrics.MEASURES, 1.0)
    assert figures["plain BM25"]["recall@100"] == 0.5  # it does not know that counting is counted
    assert asyncio.run(left_behind(settings)) == []


@pytest.mark.integration
def test_nor_does_one_that_fails(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise IndexUnavailableError("broken")

    monkeypatch.setattr(evaluation, "measured", broken)
    collection = Collection("c", [Text("1", "One", "text")], {"a": "one"}, {"a": {"1": 1}})

    async def run() -> None:
        parts = build(settings)
        async with parts.connected():
            await evaluation.evaluate(settings, parts.client, collection, None)

    with pytest.raises(IndexUnavailableError):
        asyncio.run(run())
    assert asyncio.run(left_behind(settings)) == []
