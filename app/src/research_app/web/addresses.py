"""Addresses of pages: what was asked, and nothing that is the default."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from research_app.search.query import SearchQuery

FILES = "/files"
DEFAULTS: dict[str, Any] = {"sort": "relevance", "page": 1, "size": 20}


def search_address(query: SearchQuery, **changes: Any) -> str:
    """The address of a search that differs from this one in some fields, from its page 1 on."""
    fields = query.model_dump() | {"page": 1} | changes
    pairs: list[tuple[str, Any]] = []
    for name, value in fields.items():
        if value is None or value == DEFAULTS.get(name):
            continue
        if isinstance(value, (tuple, list)):
            pairs.extend((name, part) for part in value)
        else:
            pairs.append((name, value))
    return "/?" + urlencode(pairs)


def item_address(identity: str) -> str:
    """The address of a document's page."""
    return "/items/" + quote(identity)


def file_address(key: str, page: int | None = None) -> str:
    """Where a file of the library is, opened at a page."""
    return f"{FILES}/{key}" + (f"#page={page}" if page else "")


def answer_address(words: str) -> str:
    """The address of the answer to a question."""
    return "/answer?" + urlencode({"q": words})


def toggled(query: SearchQuery, facet: str, value: Any) -> str:
    """The address of this search with a facet's value chosen, or no longer chosen."""
    if facet == "year":
        chosen = query.years == (value, value)
        year = None if chosen else value
        return search_address(query, year=year, year_from=None, year_to=None)
    values = tuple(getattr(query, facet))
    changed = tuple(v for v in values if v != value) if value in values else (*values, value)
    return search_address(query, **{facet: changed})
