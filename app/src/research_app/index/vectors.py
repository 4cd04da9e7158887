"""The vectors of documents: what each means, stored beside it.

An ingest computes them while the setting is on. Documents that came before it was on, or under
another model, get theirs from `research-app vectors`, as often interrupted as may be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import OpenSearchException

from research_app.index.client import IndexUnavailableError, describe
from research_app.search.meaning import Meaning, packed

# more than the model reads of a text
CHARACTERS = 2000
BATCH = 64
OK = 200
# changed by an ingest meanwhile, or gone: the next look shows which
OVERTAKEN = (404, 409)
TEXTS = ["title", "abstract", "passages"]


def text_of(fields: dict[str, Any]) -> str:
    """What a document is about: its title with its abstract, or with how its text begins."""
    about = fields.get("abstract") or " ".join(
        passage["text"] for passage in (fields.get("passages") or ())[:3]
    )
    return f"{fields['title']}. {about}"[:CHARACTERS]


async def meanings(meaning: Meaning, documents: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """The stored form of each document's vector."""
    if not documents:
        return []
    model, vectors = await meaning.vectors([text_of(fields) for fields in documents])
    return [{"model": model, "vector": packed(vector)} for vector in vectors]


async def complete(
    client: AsyncOpenSearch,
    index: str,
    meaning: Meaning,
    progress: Callable[[int, int], None] = lambda _done, _missing: None,
) -> int:
    """Give every document that has none of this model its vector; how many that were."""
    done = 0
    try:
        while found := await _without(client, index, await meaning.name()):
            hits, total = found
            described = await meanings(meaning, [hit["_source"] for hit in hits])
            lines = [
                orjson.dumps(line)
                for hit, stored in zip(hits, described, strict=True)
                for line in (_update(hit), {"doc": {"meaning": stored}})
            ]
            answer = await client.bulk(
                index=index, body=b"\n".join(lines) + b"\n", refresh=True, request_timeout=60
            )
            written = _written(answer["items"])
            done += written
            progress(done, total - written)
    except OpenSearchException as error:
        raise IndexUnavailableError(describe(error)) from error
    return done


async def _without(
    client: AsyncOpenSearch, index: str, model: str
) -> tuple[list[dict[str, Any]], int] | None:
    body = {
        "query": {"bool": {"must_not": [{"term": {"meaning.model": model}}]}},
        "size": BATCH,
        "seq_no_primary_term": True,
        "track_total_hits": True,
        "_source": TEXTS,
    }
    found = await client.search(index=index, body=body, request_timeout=60)
    hits = found["hits"]["hits"]
    return (hits, found["hits"]["total"]["value"]) if hits else None


def _written(items: list[dict[str, Any]]) -> int:
    """How many got their vector. One that an ingest has just changed is looked at again."""
    outcomes = [item["update"] for item in items]
    failed = [outcome for outcome in outcomes if outcome["status"] not in (OK, *OVERTAKEN)]
    if failed:
        error = failed[0]["error"]
        raise IndexUnavailableError(
            f"{failed[0]['_id']} cannot be given its vector: {error.get('reason', error['type'])}"
        )
    return sum(outcome["status"] == OK for outcome in outcomes)


def _update(hit: dict[str, Any]) -> dict[str, Any]:
    """Only while the document is as it was read: an ingest that runs meanwhile is newer."""
    condition = {"if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}
    return {"update": {"_id": hit["_id"], **condition}}
