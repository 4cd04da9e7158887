"""The places that answers are made of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research_app.search.passages import from_hits, passages_body
from research_app.search.query import SearchQuery
from research_app.settings import Search


def hit(
    identity: str, score: float, *parts: tuple[float, int], abstract: str = ""
) -> dict[str, Any]:
    """A document as OpenSearch finds it: its score, and those of its pages."""
    inner = [
        {"_score": own, "_source": {"text": f"{identity}, page {page}", "page": page}}
        for own, page in parts
    ]
    return {
        "_id": identity,
        "_score": score,
        "_source": {"kind": "paper", "title": identity.upper(), "abstract": abstract},
        "inner_hits": {"passages": {"hits": {"hits": inner}}},
    }


def test_the_best_passage_of_a_document_counts_as_much_as_the_document() -> None:
    found = from_hits([hit("a", 10, (4, 1), (1, 7)), hit("b", 5, (9, 2), (8.1, 3))], size=10)
    assert [(p.item_id, p.page, p.score) for p in found] == [
        ("a", 1, 10),
        ("b", 2, 5),
        ("b", 3, pytest.approx(4.5)),
        ("a", 7, 2.5),
    ]
    assert found[0].title == "A"
    assert found[0].text == "a, page 1"


def test_what_has_no_passage_speaks_by_its_abstract() -> None:
    (found,) = from_hits([hit("a", 10, abstract="In short."), hit("b", 5)], size=10)
    assert (found.item_id, found.text, found.page, found.start) == ("a", "In short.", None, None)


def test_no_more_than_asked_for() -> None:
    assert len(from_hits([hit("a", 10, (3, 1), (2, 2), (1, 3))], size=2)) == 2
    assert from_hits([], size=2) == []


@given(
    st.lists(st.tuples(st.floats(0, 100), st.lists(st.floats(0, 50), max_size=3)), max_size=8),
    st.integers(1, 10),
)
def test_the_best_come_first(documents: list[tuple[float, list[float]]], size: int) -> None:
    hits = [
        hit(str(number), score, *((own, page) for page, own in enumerate(parts, 1)))
        for number, (score, parts) in enumerate(documents)
    ]
    scores = [passage.score for passage in from_hits(hits, size)]
    assert scores == sorted(scores, reverse=True)
    assert all(score <= max(score for score, _ in documents) for score in scores)


def test_the_question_is_data() -> None:
    question = "what is p < 0.05; x--y?"
    body = passages_body(SearchQuery(q=question, size=7), Search())
    (nested,) = (clause["nested"] for clause in body["query"]["bool"]["should"])
    assert nested["query"] == {"match": {"passages.text": {"query": question}}}
    assert nested["boost"] == 0  # it tells places and ranks nothing
    assert body["size"] == 7
