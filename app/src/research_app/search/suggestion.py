"""Did you mean: other words for those of a query that no title has."""

from __future__ import annotations

from typing import Any

from research_app.search.query import MAX_QUERY

# more than this many results, and nobody asks
FEW = 2
# where there are some results, a word is rare rather than wrong, unless another finds far more
FAR_MORE = 10


def suggestion(words: str) -> dict[str, Any]:
    """The part of a request that asks for the nearest known word of each that is unknown."""
    term = {
        "field": "title.words",
        "suggest_mode": "missing",
        "size": 1,
        "min_word_length": 4,
        "prefix_length": 1,
    }
    return {"suggest": {"text": words, "words": {"term": term}}}


def corrected(words: str, entries: list[dict[str, Any]]) -> str | None:
    """The query with its unknown words replaced, or None where none is."""
    # places are counted as Java counts, in halves of a four-byte character
    text = words.encode("utf-16-le")
    pieces: list[bytes] = []
    position = 0
    for entry in entries:
        if not entry["options"]:
            continue
        start = 2 * entry["offset"]
        pieces += [text[position:start], entry["options"][0]["text"].encode("utf-16-le")]
        position = start + 2 * entry["length"]
    if not pieces:
        return None
    changed = b"".join([*pieces, text[position:]]).decode("utf-16-le", "replace")
    return changed if changed != words and len(changed) <= MAX_QUERY else None


def worth_asking(total: int, corrected_total: int) -> bool:
    """Whether the other words find enough to ask the reader about them."""
    return corrected_total > total * FAR_MORE
