"""The first documents of a search in the order of what they mean, not only of what they say.

OpenSearch finds and ranks by words. The first of what it finds are ordered again here by the sum
of two numbers between 0 and 1: the score by words, as a share of the best one, and the likeness
of the meanings of question and document (the cosine of their vectors). Documents without a
vector are judged by their words alone, as if their likeness were that of their neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from research_app.search.meaning import unpacked

# how many of the first are ordered again
WINDOW = 200
MODEL_FIELD = "meaning.model"
VECTOR_FIELD = "meaning.vector"
STORED = [MODEL_FIELD, VECTOR_FIELD]


def fused(by_words: float, by_meaning: float, weight: float) -> float:
    """One number from two: `weight` is the share of the meaning."""
    return (1 - weight) * by_words + weight * by_meaning


def vector_of(source: Mapping[str, Any], model: str) -> Any | None:
    """A document's vector, if it is of this model."""
    stored = source.get("meaning") or {}
    return unpacked(stored["vector"]) if stored.get("model") == model else None


def order(
    hits: Sequence[dict[str, Any]], model: str, question: Any, weight: float
) -> list[tuple[str, float]]:
    """Identity and fused score of every hit, the best first."""
    best = max((hit["_score"] for hit in hits), default=0.0) or 1.0
    words = [hit["_score"] / best for hit in hits]
    vectors = [vector_of(hit["_source"], model) for hit in hits]
    likeness = [None if vector is None else float(vector @ question) for vector in vectors]
    known = [value for value in likeness if value is not None]
    if not known:
        return [(hit["_id"], share) for hit, share in zip(hits, words, strict=True)]
    usual = sum(known) / len(known)
    scored = [
        (hit["_id"], fused(share, usual if value is None else value, weight))
        for hit, share, value in zip(hits, words, likeness, strict=True)
    ]
    return sorted(scored, key=lambda pair: -pair[1])
