"""What the index knows of a document.

Only mappings and analysis live here: shards, replicas, codec and refresh interval are the
operator's, and come from the index template of the cluster.
"""

from __future__ import annotations

import copy
from typing import Any

KEYWORD: dict[str, Any] = {"type": "keyword"}
KEYWORD_NOT_SEARCHED: dict[str, Any] = {"type": "keyword", "index": False, "doc_values": False}
NUMBER_SHOWN: dict[str, Any] = {"type": "integer", "index": False, "doc_values": False}
SECONDS_SHOWN: dict[str, Any] = {"type": "float", "index": False, "doc_values": False}
# a term over 32,766 bytes would refuse the whole document
FACET: dict[str, Any] = {"type": "keyword", "ignore_above": 512}


# One analysis for every field that is searched, names too: only so can OpenSearch look for the
# words of a query across the fields, one in the title and another among the authors.
TEXT: dict[str, Any] = {"type": "text", "analyzer": "research_english"}
# offsets: highlights of long texts without analysing them again
LONG_TEXT: dict[str, Any] = TEXT | {"index_options": "offsets"}

# Both with an analysis that every index has, so that an older index can learn them.
SORTED: dict[str, Any] = {"type": "keyword", "normalizer": "lowercase", "ignore_above": 512}
# words as they are written, for "did you mean"
WORDS: dict[str, Any] = {"type": "text", "analyzer": "simple", "norms": False}

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
    },
}

MAPPINGS: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "kind": KEYWORD,
        "title": LONG_TEXT | {"fields": {"sort": SORTED, "words": WORDS}},
        "abstract": LONG_TEXT,
        # pages of a paper, minutes of a recording: ranked as one text at the root, found one by one
        "passages": {
            "type": "nested",
            "include_in_root": True,
            "properties": {"text": LONG_TEXT, "page": NUMBER_SHOWN, "start": SECONDS_SHOWN},
        },
        "figures": {
            "properties": {
                "caption": LONG_TEXT,
                "page": NUMBER_SHOWN,
                "image": KEYWORD_NOT_SEARCHED,
            }
        },
        "references": KEYWORD_NOT_SEARCHED,
        "authors": TEXT | {"fields": {"facet": FACET}},
        "venue": TEXT | {"fields": {"facet": FACET}},
        "year": {"type": "short"},
        "language": FACET,
        "doi": FACET,
        "url": KEYWORD_NOT_SEARCHED,
        "pdf_url": KEYWORD_NOT_SEARCHED,
        "pages": {"type": "integer", "index": False},
        "duration": SECONDS_SHOWN,
        "thumbnail": KEYWORD_NOT_SEARCHED,
        "file": KEYWORD_NOT_SEARCHED,
        "media_url": KEYWORD_NOT_SEARCHED,
        # what it means, and in the eyes of which model; without doc values it is only stored
        "meaning": {"properties": {"model": KEYWORD, "vector": {"type": "binary"}}},
        "source": KEYWORD_NOT_SEARCHED,
        "content_hash": KEYWORD_NOT_SEARCHED,
        "ingested_at": {"type": "date"},
    },
}


def index_body() -> dict[str, Any]:
    """The body that creates the index."""
    body = {"settings": {"index": {"analysis": ANALYSIS}}, "mappings": MAPPINGS}
    return copy.deepcopy(body)
