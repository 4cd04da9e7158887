"""The request to OpenSearch that answers a query. Words stay data: no query language."""

from __future__ import annotations

import itertools
from typing import Any

from research_app.search.query import SearchQuery
from research_app.search.suggestion import suggestion
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
# A title is also a text of its own, short enough that each of its words says much.
TITLE_ALONE = 0.2
NEAR_WORDS = 4
LIKENESS_FIELDS = ["title", "abstract", "passages.text"]
# some fifteen minutes of speech: enough to tell what a document is about
LIKENESS_CHARACTERS = 20_000
SHOWN_PASSAGES = 2
PASSAGE = {"fragment_size": 260, "number_of_fragments": 1}


# How questions begin. Such a word says nothing of the subject, and no document must have it.
ASKING = frozenset(
    {
        *("what", "which", "who", "whom", "whose", "when", "where", "why", "how"),
        *(
            "is",
            "are",
            "was",
            "were",
            "am",
            "be",
            "been",
            "do",
            "does",
            "did",
            "has",
            "have",
            "had",
        ),
        *("can", "could", "may", "might", "must", "should", "would", "will"),
        *("i", "we", "you", "there", "the", "a", "an", "any"),
    }
)


def subject(words: str) -> str:
    """What is asked about: a question without its beginning, anything else as it is."""
    parts = words.split()
    rest = itertools.dropwhile(lambda part: part.strip("¿¡\"'(").lower() in ASKING, parts)
    return " ".join(rest) or words


def matching(query: SearchQuery, boosts: Search) -> dict[str, Any]:
    """Which documents are found, and in what order."""
    asked = subject(query.q)
    said = [f"title^{boosts.title_boost}", *TEXTS]
    # BM25F: all fields as one text. Field by field a word of a lecture would weigh nothing where
    # most documents have an abstract alone: more of them have it than there are lectures.
    found = {
        "query": asked,
        "fields": [*said, f"authors^{boosts.author_boost}"],
        "minimum_should_match": ENOUGH_WORDS,
    }
    more: list[dict[str, Any]] = [{"match": {"title": {"query": asked, "boost": TITLE_ALONE}}}]
    if boosts.phrase_boost:
        near = {
            "query": asked,
            "type": "phrase",
            "fields": said,
            "slop": NEAR_WORDS,
            "boost": boosts.phrase_boost,
        }
        more.append({"multi_match": near})
    return {"bool": {"must": [{"combined_fields": found}], "should": more}}


def places(words: str, size: int, **shown: Any) -> dict[str, Any]:
    """A clause that changes no ranking and tells the best passages of each document."""
    return {
        "nested": {
            "path": "passages",
            "query": {"match": {"passages.text": {"query": words}}},
            "score_mode": "max",
            "boost": 0,
            "ignore_unmapped": True,
            "inner_hits": {"name": "passages", "size": size, **shown},
        }
    }


def with_places(clause: dict[str, Any], words: str) -> dict[str, Any]:
    """A search that also tells where in its documents the words are."""
    passages = places(
        words,
        SHOWN_PASSAGES,
        _source=["passages.page", "passages.start"],
        highlight=marks() | {"fields": {"passages.text": PASSAGE}},
    )
    return {"bool": {"must": [clause], "should": [passages]}}


def filters(query: SearchQuery) -> dict[str, dict[str, Any]]:
    """Facet → the filter that the reader's choice in it makes."""
    chosen: dict[str, dict[str, Any]] = {}
    for name, values in (("kind", query.kind), ("venue", query.venue), ("author", query.author)):
        if values:
            chosen[name] = {"terms": {FACETS[name]: list(values)}}
    if query.year:
        chosen["year"] = {"terms": {"year": list(query.year)}}
        return chosen
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


def marks() -> dict[str, Any]:
    """How the words that were found are marked."""
    return {"pre_tags": [MARK_START], "post_tags": [MARK_END], "max_analyzer_offset": 500_000}


def highlight(query: SearchQuery) -> dict[str, Any]:
    """What shows why a document was found: whatever words of the query its fields have."""
    return marks() | {
        # the terms of a query across fields are blended, and a highlighter does not find them all
        "highlight_query": {"multi_match": {"query": query.q, "fields": SEARCHED}},
        "fields": {
            "title": {"number_of_fragments": 0},
            "abstract": PASSAGE | {"number_of_fragments": 2},
            "figures.caption": PASSAGE,
            "authors": {"number_of_fragments": 0},
        },
    }


SORTS: dict[str, list[Any]] = {
    "relevance": ["_score", {"year": {"order": "desc", "missing": "_last"}}],
    "newest": [{"year": {"order": "desc", "missing": "_last"}}, "_score"],
    "oldest": [{"year": {"order": "asc", "missing": "_last"}}, "_score"],
    "title": [{"title.sort": {"order": "asc", "missing": "_last", "unmapped_type": "keyword"}}],
}


def selection(query: SearchQuery, boosts: Search) -> dict[str, Any]:
    """The part of a request that says which documents, in which order, from which on."""
    return {
        "query": matching(query, boosts),
        "post_filter": {"bool": {"filter": list(filters(query).values())}},
        "sort": SORTS[query.sort],
        "track_scores": True,
        "from": (query.page - 1) * query.size,
        "size": query.size,
        "timeout": f"{int(boosts.timeout_seconds * 1000)}ms",
    }


def counting(query: SearchQuery) -> dict[str, Any]:
    """The part of a request that counts, and tells which words nothing has.

    Counted are all documents, and those of each facet's values.
    """
    counts = {"track_total_hits": True, "aggs": facets(filters(query))}
    return counts | suggestion(query.q)


def showing(query: SearchQuery) -> dict[str, Any]:
    """The part of a request that says what of each document is shown."""
    return {"highlight": highlight(query), "_source": SHOWN}


def search_body(query: SearchQuery, boosts: Search) -> dict[str, Any]:
    """The whole request."""
    body = selection(query, boosts) | counting(query) | showing(query)
    body["query"] = with_places(body["query"], query.q)
    return body


def first_body(query: SearchQuery, boosts: Search, depth: int, fields: list[str]) -> dict[str, Any]:
    """The request for the first documents of a search, whatever page is wanted of it."""
    window = {"from": 0, "size": depth, "_source": fields}
    return selection(query, boosts) | counting(query) | window


def these_body(query: SearchQuery, boosts: Search, identities: list[str]) -> dict[str, Any]:
    """The request that shows documents which an earlier one has found."""
    wanted = {
        "bool": {"filter": [{"ids": {"values": identities}}], "must": [matching(query, boosts)]}
    }
    return showing(query) | {
        "query": with_places(wanted, query.q),
        "size": len(identities),
        "track_total_hits": False,
        "timeout": f"{int(boosts.timeout_seconds * 1000)}ms",
    }


def words_of(source: dict[str, Any]) -> str:
    """What a document says, as far as its likeness to others depends on it."""
    spoken = (passage["text"] for passage in source.get("passages") or ())
    return " ".join([source["title"], source.get("abstract") or "", *spoken])[:LIKENESS_CHARACTERS]


def similar_body(identity: str, words: str, size: int, boosts: Search) -> dict[str, Any]:
    """The request for documents that share the words by which one differs from the rest.

    The words are looked for in every field, so that a lecture leads to papers. (Of a document that
    is named instead, OpenSearch looks for those of each field in that field alone.)
    """
    likeness = {
        "fields": LIKENESS_FIELDS,
        "like": [words],
        "min_term_freq": 1,
        "min_doc_freq": 2,
        "max_query_terms": 25,
        "minimum_should_match": "20%",
    }
    itself = {"ids": {"values": [identity]}}
    return {
        "query": {"bool": {"must": [{"more_like_this": likeness}], "must_not": [itself]}},
        "size": size,
        "track_total_hits": False,
        "_source": SHOWN,
        "timeout": f"{int(boosts.timeout_seconds * 1000)}ms",
    }
