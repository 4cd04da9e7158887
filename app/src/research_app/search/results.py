"""What a search found, in the form that the API promises."""

from __future__ import annotations

from typing import Any

from markupsafe import escape
from pydantic import BaseModel

from research_app.search.body import FACETS, MARK_END, MARK_START
from research_app.search.query import SearchQuery


class FigureShown(BaseModel):
    """A figure; the image is a key below /files/."""

    page: int
    caption: str
    image: str | None = None


class PassageShown(BaseModel):
    """A place in a document that has the words; the text is HTML as highlights are."""

    text: str
    page: int | None = None
    start: float | None = None


class Result(BaseModel):
    """One document found. Highlights are HTML: escaped, with the words found in <mark>."""

    id: str
    kind: str
    title: str
    abstract: str = ""
    authors: list[str] = []
    year: int | None = None
    venue: str = ""
    url: str | None = None
    pdf_url: str | None = None
    doi: str = ""
    language: str = ""
    pages: int | None = None
    figures: list[FigureShown] = []
    duration: float | None = None
    thumbnail: str | None = None
    file: str | None = None
    media_url: str | None = None
    highlights: dict[str, list[str]] = {}
    passages: list[PassageShown] = []
    score: float | None = None


class FacetValue(BaseModel):
    """A value that the reader can choose, and how many documents have it."""

    value: str | int
    count: int


class SearchResults(BaseModel):
    """One page of results."""

    total: int
    page: int
    size: int
    took_ms: int
    partial: bool = False
    results: list[Result]
    facets: dict[str, list[FacetValue]]
    suggestion: str | None = None


class Item(Result):
    """All that is stored of a document but its full text."""

    references: list[str] = []
    ingested_at: str | None = None


def marked(fragment: str) -> str:
    """A passage as HTML: everything escaped, then the words found marked."""
    text = str(escape(fragment))
    text = text.replace(f"{MARK_END} {MARK_START}", " ")  # neighbours as one mark
    return text.replace(MARK_START, "<mark>").replace(MARK_END, "</mark>")


# what a document lacks is there all the same, so that nobody has to ask whether it is
ABSENT: dict[str, Any] = {
    "abstract": "",
    "authors": [],
    "year": None,
    "venue": "",
    "url": None,
    "pdf_url": None,
    "doi": "",
    "language": "",
    "pages": None,
    "figures": [],
    "duration": None,
    "thumbnail": None,
    "file": None,
    "media_url": None,
}


def shown(hit: dict[str, Any]) -> dict[str, Any]:
    """The stored fields of a document, every one of them."""
    return {"id": hit["_id"], **ABSENT, **hit["_source"]}


def _passages(hit: dict[str, Any]) -> list[dict[str, Any]]:
    """The places that were found, the best first."""
    found = hit.get("inner_hits", {}).get("passages", {}).get("hits", {}).get("hits", [])
    return [
        {
            "text": marked(fragment),
            "page": inner["_source"].get("page"),
            "start": inner["_source"].get("start"),
        }
        for inner in found
        for fragment in inner.get("highlight", {}).get("passages.text", [])
    ]


def _result(hit: dict[str, Any]) -> dict[str, Any]:
    highlights = {
        name: [marked(fragment) for fragment in fragments]
        for name, fragments in hit.get("highlight", {}).items()
    }
    return {
        **shown(hit),
        "highlights": highlights,
        "passages": _passages(hit),
        "score": hit.get("_score"),
    }


def is_partial(response: dict[str, Any]) -> bool:
    """Whether a part of the index did not answer, or not in time."""
    return bool(response["timed_out"] or response["_shards"]["failed"])


def from_response(query: SearchQuery, response: dict[str, Any]) -> dict[str, Any]:
    """OpenSearch's answer in the API's form."""
    aggregations = response.get("aggregations", {})
    counts = {
        name: [
            {"value": bucket["key"], "count": bucket["doc_count"]}
            for bucket in aggregations[name]["values"]["buckets"]
        ]
        for name in FACETS
        if name in aggregations
    }
    return {
        "total": response["hits"]["total"]["value"],
        "page": query.page,
        "size": query.size,
        "took_ms": response["took"],
        "partial": is_partial(response),
        "results": [_result(hit) for hit in response["hits"]["hits"]],
        "facets": counts,
        "suggestion": None,
    }
