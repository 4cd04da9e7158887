"""The places in documents that speak of something: what answers are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from research_app.search.body import matching, places
from research_app.search.query import SearchQuery
from research_app.settings import Search

PER_DOCUMENT = 3


@dataclass(frozen=True, slots=True)
class Passage:
    """A text, and where it stands: on a page of a paper, at a second of a recording."""

    item_id: str
    title: str
    kind: str
    page: int | None
    start: float | None
    text: str
    score: float
    url: str | None = None


def passages_body(query: SearchQuery, boosts: Search) -> dict[str, Any]:
    """The request for the documents that say most, each with its best passages."""
    return {
        "query": {
            "bool": {"must": [matching(query, boosts)], "should": [places(query.q, PER_DOCUMENT)]}
        },
        "size": query.size,
        "track_total_hits": False,
        "_source": ["kind", "title", "abstract", "url"],
        "timeout": f"{int(boosts.timeout_seconds * 1000)}ms",
    }


def among(body: dict[str, Any], identities: list[str]) -> dict[str, Any]:
    """The same request for documents that an earlier one has chosen."""
    these = {"ids": {"values": identities}}
    return {**body, "query": {"bool": {"filter": [these], "must": [body["query"]]}}}


def _of_document(hit: dict[str, Any]) -> list[Passage]:
    source = hit["_source"]
    inner = hit.get("inner_hits", {}).get("passages", {}).get("hits", {}).get("hits", [])
    found = [(part["_source"], part["_score"]) for part in inner]
    if not found and source.get("abstract"):
        found = [({"text": source["abstract"]}, 1.0)]
    best = max((score for _, score in found), default=0.0) or 1.0
    return [
        Passage(
            item_id=hit["_id"],
            title=source["title"],
            kind=source["kind"],
            page=part.get("page"),
            start=part.get("start"),
            text=part["text"],
            score=hit["_score"] * (score / best),
            url=source.get("url"),
        )
        for part, score in found
    ]


def from_hits(hits: list[dict[str, Any]], size: int) -> list[Passage]:
    """The best passages of all; a document's best one counts as much as the document."""
    found = [passage for hit in hits for passage in _of_document(hit)]
    return sorted(found, key=lambda passage: -passage.score)[:size]
