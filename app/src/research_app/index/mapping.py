"""What the index knows of a document.

Only mappings and analysis live here: shards, replicas, codec and refresh interval are the
operator's, and come from the index template of the cluster.
"""

from __future__ import annotations

from typing import Any

KEYWORD: dict[str, Any] = {"type": "keyword"}
KEYWORD_NOT_SEARCHED: dict[str, Any] = {"type": "keyword", "index": False, "doc_values": False}
# a term over 32,766 bytes would refuse the whole document
FACET: dict[str, Any] = {"type": "keyword", "ignore_above": 512}


def _english(*, offsets: bool = False, searched_whole: bool = True) -> dict[str, Any]:
    field: dict[str, Any] = {"type": "text", "analyzer": "research_english"}
    if offsets:  # highlights of long texts without analysing them again
        field["index_options"] = "offsets"
    if searched_whole:
        field["copy_to"] = "everything"
    return field


ANALYSIS: dict[str, Any] = {
    "filter": {
        "research_possessive": {"type": "stemmer", "language": "possessive_english"},
        "research_stop": {"type": "stop", "stopwords": "_english_"},
        "research_stemmer": {"type": "stemmer", "language": "english"},
    },
    "analyzer": {
        "research_english": {
            "type": "custom",
            "tokenizer": "standard",
            "filter": [
                "research_possessive",
                "lowercase",
                "asciifolding",
                "research_stop",
                "research_stemmer",
            ],
        },
        "research_names": {
            "type": "custom",
            "tokenizer": "standard",
            "filter": ["lowercase", "asciifolding"],
        },
    },
}

MAPPINGS: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "kind": KEYWORD,
        "title": _english(offsets=True),
        "abstract": _english(offsets=True),
        "text": _english(offsets=True),  # one value per page
        "authors": {
            "type": "text",
            "analyzer": "research_names",
            "copy_to": "everything",
            "fields": {"facet": FACET},
        },
        "venue": {
            "type": "text",
            "analyzer": "research_english",
            "copy_to": "everything",
            "fields": {"facet": FACET},
        },
        "year": {"type": "short"},
        "language": FACET,
        "doi": FACET,
        "url": KEYWORD_NOT_SEARCHED,
        "pdf_url": KEYWORD_NOT_SEARCHED,
        "pages": {"type": "integer", "index": False},
        "source": KEYWORD_NOT_SEARCHED,
        "content_hash": KEYWORD_NOT_SEARCHED,
        "ingested_at": {"type": "date"},
        # every word of a document once, whatever the field: decides what is found,
        # while the fields above decide in which order
        "everything": _english(searched_whole=False) | {"norms": False},
    },
}


def index_body() -> dict[str, Any]:
    """The body that creates the index."""
    return {"settings": {"index": {"analysis": ANALYSIS}}, "mappings": MAPPINGS}
