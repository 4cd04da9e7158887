from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from conftest import make_settings
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from research_app.search import body
from research_app.search.gate import Gate, TooManySearchesError
from research_app.search.query import SearchQuery, first_problem
from research_app.search.results import from_response, marked
from research_app.search.service import SearchService
from research_app.search.suggestion import corrected, worth_asking
from research_app.services import build
from research_app.settings import Search

WRONG = [
    ({}, "a query is needed"),
    ({"q": ""}, "3 to 500"),
    ({"q": "ab"}, "3 to 500"),
    ({"q": "  a \n b "}, ""),
    ({"q": " \t ab\u00a0 "}, "3 to 500"),
    ({"q": "a" * 501}, "3 to 500"),
    ({"q": "abc", "page": 0}, "page"),
    ({"q": "abc", "page": 101}, "only the first 100 pages can be shown"),
    ({"q": "abc", "size": 0}, "size"),
    ({"q": "abc", "size": 101}, "at most 100 results"),
    ({"q": "abc", "size": "ten"}, "size: not a whole number"),
    ({"q": "abc", "year": "soon"}, "year: not a whole number"),
    ({"q": "abc", "year": 99}, "year: has to be 1000 or more"),
    ({"q": "abc", "venue": ["v"] * 21}, "venue: too long: 21 where at most 20 are taken"),
    ({"q": "abc", "year_from": 2020, "year_to": 2019}, "year_from is after year_to"),
    ({"q": "abc", "kind": ["book"]}, "kind: not 'paper', 'video' or 'podcast'"),
    ({"q": "abc", "sort": "size"}, "sort: not 'relevance', 'newest', 'oldest' or 'title'"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_wrong_queries(fields: dict[str, Any], message: str) -> None:
    if not message:
        assert SearchQuery.model_validate(fields).q == "a b"
        return
    with pytest.raises(ValidationError) as caught:
        SearchQuery.model_validate(fields)
    assert message in first_problem(caught.value.errors())


def test_fields_left_empty_in_a_form_ask_nothing() -> None:
    query = SearchQuery.model_validate(
        {"q": "abc", "year": "", "year_from": "", "kind": [""], "sort": "", "page": ""}
    )
    assert query == SearchQuery(q="abc")


def test_the_order_of_choices_does_not_matter() -> None:
    one = SearchQuery(q="Graph  Networks", kind=("video", "paper"))
    other = SearchQuery(q="graph networks", kind=("paper", "video", "paper"))
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != SearchQuery(q="graph networks", page=2).fingerprint


def test_nothing_of_the_query_is_in_the_fingerprint() -> None:
    assert "zebra" not in SearchQuery(q="zebra").fingerprint


def _strings(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in _strings(part, f"{path}.{key}")]
    if isinstance(value, list):
        return [pair for part in value for pair in _strings(part, path)]
    return [(path, value)] if isinstance(value, str) else []


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for part in value.values() for key in _keys(part)}
    if isinstance(value, list):
        return {key for part in value for key in _keys(part)}
    return set()


@given(st.text(min_size=3, max_size=500))
def test_words_are_data_wherever_they_go(words: str) -> None:
    try:
        query = SearchQuery(q=words)
    except ValidationError:
        return
    request = body.search_body(query, Search())
    orjson.dumps(request)  # can be sent
    assert _keys(request).isdisjoint({"query_string", "simple_query_string", "script", "regexp"})
    plain = body.search_body(SearchQuery(q="plain words"), Search())
    assert _keys(request) == _keys(plain)
    said = {query.q, body.subject(query.q)} - {text for _, text in _strings(plain)}
    places = {path.rsplit(".", 1)[1] for path, text in _strings(request) if text in said}
    assert places <= {"query", "text"}


@pytest.mark.parametrize(
    "words", ["p < 0.05; x--y", 'a "b c', "title:(x OR", "* AND ?", "\\", "{{"]
)
def test_legal_queries(words: str) -> None:
    if len(words) < 3:
        words = words * 3
    assert SearchQuery(q=words).q == words


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("how are zebras counted?", "zebras counted?"),
        ("What is the best way", "best way"),
        ("zebras and how they are counted", "zebras and how they are counted"),
        ("tin can recycling", "tin can recycling"),
        ("what is what", "what is what"),
        ("the who", "the who"),
        ("who?", "who?"),
    ],
)
def test_a_question_is_about_its_subject(words: str, about: str) -> None:
    assert body.subject(words) == about


def test_paging() -> None:
    request = body.search_body(SearchQuery(q="abc", page=100, size=100), Search())
    assert request["from"] + request["size"] == 10_000  # the most that OpenSearch pages through


def test_a_choice_narrows_every_facet_but_its_own() -> None:
    query = SearchQuery(q="abc", kind=("paper",), year_from=2019)
    request = body.search_body(query, Search())
    kind = {"terms": {"kind": ["paper"]}}
    year = {"range": {"year": {"gte": 2019}}}
    narrowed = {name: part["filter"]["bool"]["filter"] for name, part in request["aggs"].items()}
    assert narrowed == {
        "kind": [year],
        "year": [kind],
        "venue": [kind, year],
        "author": [kind, year],
    }
    assert request["post_filter"]["bool"]["filter"] == [kind, year]


def test_years_one_by_one() -> None:
    assert body.filters(SearchQuery(q="abc", year=2020, year_to=2000)) == {
        "year": {"terms": {"year": [2020]}}
    }
    query = SearchQuery.model_validate({"q": "abc", "year": ["2021", "2019", "2021"]})
    assert body.filters(query) == {"year": {"terms": {"year": [2019, 2021]}}}


def test_highlights_are_escaped_then_marked() -> None:
    start, end = body.MARK_START, body.MARK_END
    text = f"<script>{start}alert{end} {start}(1){end}</script> & 'x'"
    assert marked(text) == ("&lt;script&gt;<mark>alert (1)</mark>&lt;/script&gt; &amp; &#39;x&#39;")


def response(**changes: Any) -> dict[str, Any]:
    return {
        "took": 3,
        "timed_out": False,
        "_shards": {"total": 1, "failed": 0},
        "hits": {
            "total": {"value": 1},
            "hits": [
                {
                    "_id": "a/b",
                    "_score": 1.5,
                    "_source": {"kind": "paper", "title": "On <b>"},
                    "highlight": {"title": [f"On {body.MARK_START}<b>{body.MARK_END}"]},
                }
            ],
        },
        "aggregations": {
            name: {"values": {"buckets": [{"key": 2020, "doc_count": 1}]}} for name in body.FACETS
        },
        **changes,
    }


def test_results_have_every_field() -> None:
    found = from_response(SearchQuery(q="abc", page=2), response())
    assert found["total"] == 1
    assert found["page"] == 2
    assert found["facets"]["year"] == [{"value": 2020, "count": 1}]
    result = found["results"][0]
    assert result["id"] == "a/b"
    assert result["authors"] == []
    assert result["highlights"] == {"title": ["On <mark>&lt;b&gt;</mark>"]}


@pytest.mark.parametrize("change", [{"timed_out": True}, {"_shards": {"total": 2, "failed": 1}}])
def test_half_an_answer_says_so(change: dict[str, Any]) -> None:
    assert from_response(SearchQuery(q="abc"), response(**change))["partial"]


def entry(offset: int, length: int, *options: str) -> dict[str, Any]:
    found = [{"text": text, "score": 0.8, "freq": 3} for text in options]
    return {"text": "", "offset": offset, "length": length, "options": found}


def test_unknown_words_are_replaced_where_they_stand() -> None:
    words = "Nueral netwroks: a reveiw"
    entries = [entry(0, 6, "neural"), entry(7, 8, "networks"), entry(17, 1), entry(19, 6, "review")]
    assert corrected(words, entries) == "neural networks: a review"
    assert corrected(words, [entry(0, 6)]) is None
    assert corrected("🦓 zbera", [entry(3, 5, "zebra")]) == "🦓 zebra"
    assert corrected("a" * 500, [entry(0, 500, "a" * 501)]) is None


@pytest.mark.parametrize(
    ("total", "other", "asked"), [(0, 1, True), (0, 0, False), (1, 9, False), (1, 11, True)]
)
def test_a_reader_is_asked_when_it_helps(total: int, other: int, asked: bool) -> None:
    assert worth_asking(total, other) is asked


@pytest.mark.parametrize("ask", ["item", "contents"])
def test_a_document_takes_its_turn_as_searches_do(ask: str) -> None:
    async def run() -> None:
        parts, gate = build(make_settings()), Gate(1, 0)
        search = SearchService(parts.settings, parts.client, parts.cache, gate)
        async with parts.connected(), gate:
            with pytest.raises(TooManySearchesError):
                await getattr(search, ask)("a")

    asyncio.run(run())


@pytest.mark.parametrize("identity", ["", "x" * 513, "é" * 257])
def test_what_can_be_no_id_is_asked_of_nobody(identity: str) -> None:
    async def run() -> None:
        parts = build(make_settings())
        async with parts.connected():
            assert await parts.search.item(identity) is None
            assert await parts.search.contents(identity) == []

    asyncio.run(run())
