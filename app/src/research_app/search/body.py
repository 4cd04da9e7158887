"""The request to OpenSearch that answers a query. Words stay data: no query language."""

from __future__ import annotations

from typing import Any

from research_app.search.query import SearchQuery
from research_app.settings import Search

# private-use characters, which `clean` keeps out of every stored text
MARK_START = "\ue000"
MARK_END = "\ue001"

SHOWN = [
    "kind", "title", "abstract", "authors", "year", "venue", "url", "pdf_url", "doi",
    "language", "pages", "figures", "duration", "thumbnail", "file", "media_url",
]  # fmt: skip
FACETS = {"kind": "kind", "year": "year", "venue": "venue.facet", "author": "authors.facet"}
FACET_SIZE = {"kind": 10, "year": 100, "venue": 10, "author": 10}

# Of up to three words all must be there, of more any two: a long question is ranked only, since
# asking more of it loses documents that answer it.
ENOUGH_WORDS = "3<2"
TEXTS = ["abstract", "passages.text", "figures.caption", "venue"]
SEARCHED = ["title", *TEXTS, "authors"]
# A word counts as much as in the field where it says most, and half of what it says in the others.
TIE_BREAKER = 0.5
NEAR_WORDS = 4


def matching(query: SearchQuery, boosts: Search) -> dict[str, Any]:
    """Which documents are found, and in what order."""

    def words(kind: str, fields: list[str], **options: Any) -> dict[str, Any]:
        return {"multi_match": {"query": query.q, "type": kind, "fields": fields, **options}}

    said = [f"title^{boosts.title_boost}", *TEXTS]
    found = words(
        "cross_fields",
        [*said, f"authors^{boosts.author_boost}"],
        tie_breaker=TIE_BREAKER,
        minimum_should_match=ENOUGH_WORDS,
    )
    near = words("phrase", said, slop=NEAR_WORDS, boost=boosts.phrase_boost)
    return {"bool": {"must": [found], "should": [near] if boosts.phrase_boost else []}}


def filters(query: SearchQuery) -> dict[str, dict[str, Any]]:
    """Facet → the filter that the reader's choice in it makes."""
    chosen: dict[str, dict[str, Any]] = {}
    for name, values in (("kind", query.kind), ("venue", query.venue), ("author", query.author)):
        if values:
            chosen[name] = {"terms": {FACETS[name]: list(values)}}
    first, last = query.years
    bounds = {"gte": first, "lte": last}
    if bounds := {name: bound for name, bound in bounds.items() if bound is not None}:
        chosen["year"] = {"range": {"year": bounds}}
    return chosen


def facets(chosen: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Counts per facet; a choice narrows all facets but its own, so that it can be changed."""
    counts = {}
    for name, field in FACETS.items():
        terms: dict[str, Any] = {"field": field, "size": FACET_SIZE[name]}
        if name == "year":
            terms["order"] = {"_key": "desc"}
        others = [clause for other, clause in chosen.items() if other != name]
        counts[name] = {
            "filter": {"bool": {"filter": others}},
            "aggs": {"values": {"terms": terms}},
        }
    return counts


def highlight(query: SearchQuery) -> dict[str, Any]:
    """The passages that show why a document was found: whatever words of the query they have."""
    passage = {"fragment_size": 260, "number_of_fragments": 1}
    return {
        "pre_tags": [MARK_START],
        "post_tags": [MARK_END],
        "max_analyzer_offset": 500_000,
        # the terms of a query across fields are blended, and a highlighter does not find them all
        "highlight_query": {"multi_match": {"query": query.q, "fields": SEARCHED}},
        "fields": {
            "title": {"number_of_fragments": 0},
            "abstract": passage | {"number_of_fragments": 2},
            "passages.text": passage,
            "figures.caption": passage,
            "authors": {"number_of_fragments": 0},
        },
    }


SORTS: dict[str, list[Any]] = {
    "relevance": ["_score", {"year": {"order": "desc", "missing": "_last"}}],
    "newest": [{"year": {"order": "desc", "missing": "_last"}}, "_score"],
    "oldest": [{"year": {"order": "asc", "missing": "_last"}}, "_score"],
}


def search_body(query: SearchQuery, boosts: Search) -> dict[str, Any]:
    """The whole request."""
    chosen = filters(query)
    return {
        "query": matching(query, boosts),
        "post_filter": {"bool": {"filter": list(chosen.values())}},
        "aggs": facets(chosen),
        "highlight": highlight(query),
        "sort": SORTS[query.sort],
        "track_scores": True,
        "track_total_hits": True,
        "from": (query.page - 1) * query.size,
        "size": query.size,
        "_source": SHOWN,
        "timeout": f"{int(boosts.timeout_seconds * 1000)}ms",
    }
