"""Ask a collection's questions of this application's search and of a plain one, and compare.

The plain one is what OpenSearch does when nobody tells it anything: an index without settings
(standard analyzer, BM25 with k1 1.2 and b 0.75), title and text in one field, a `match` query.
Both have one shard, so that words weigh the same everywhere. Ours gets the documents through
the ingest, and ranks with the query that readers' searches use.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import orjson
from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import OpenSearchException

from research_app.cache import SearchCache
from research_app.evaluation.collection import Collection, Text
from research_app.evaluation.metrics import MEASURES, mean
from research_app.files import FileStore
from research_app.index.client import IndexUnavailableError, describe
from research_app.index.mapping import index_body
from research_app.index.quarantine import SUFFIX
from research_app.ingest import Ingest
from research_app.search.meaning import Meaning
from research_app.search.query import MAX_QUERY, MIN_QUERY, SearchQuery
from research_app.search.service import SearchService
from research_app.settings import Cache, Settings
from research_app.sources.document import Candidate, Refusal, Source, ready, validated

DEPTH = 1000  # how far a ranking is looked at, as is usual for average precision
AT_ONCE = 4
BATCH = 500
ONE_SHARD = {"number_of_shards": 1, "number_of_replicas": 0}
UNTITLED = "untitled"

Ask = Callable[[str], Awaitable[list[str]]]
Figures = dict[str, float]


@contextlib.asynccontextmanager
async def temporary_index(
    client: AsyncOpenSearch, name: str, body: dict[str, Any]
) -> AsyncIterator[str]:
    """An index that is gone afterwards, whatever happened."""
    await client.indices.create(index=name, body=body)
    try:
        yield name
    finally:
        # and what was refused on the way into it
        await client.indices.delete(index=[name, name + SUFFIX], ignore_unavailable=True)


def candidates(documents: list[Text]) -> Iterator[Candidate | Refusal]:
    """The documents of a collection as the ingest takes them."""
    for text in documents:
        fields = {
            "id": text.id,
            "kind": "paper",
            "title": text.title.strip() or UNTITLED,
            "abstract": text.text,
        }
        yield ready(validated(fields), text.id)


async def fill_plain(client: AsyncOpenSearch, name: str, documents: list[Text]) -> None:
    """The same documents, title and text as one."""
    for start in range(0, len(documents), BATCH):
        lines = b"".join(
            orjson.dumps({"index": {"_id": text.id}})
            + b"\n"
            + orjson.dumps({"text": f"{text.title} {text.text}"})
            + b"\n"
            for text in documents[start : start + BATCH]
        )
        await client.bulk(index=name, body=lines, request_timeout=60)
    await client.indices.refresh(index=name)


def plainly(client: AsyncOpenSearch, name: str) -> Ask:
    """Ask as a default `match` query does."""

    async def ask(question: str) -> list[str]:
        body = {"query": {"match": {"text": question}}, "size": DEPTH, "_source": False}
        found = await client.search(index=name, body=body)
        return [hit["_id"] for hit in found["hits"]["hits"]]

    return ask


def ours(search: SearchService) -> Ask:
    """Ask as a reader of this application does."""

    async def ask(question: str) -> list[str]:
        words = question[:MAX_QUERY]
        if len(words.strip()) < MIN_QUERY:
            return []
        return await search.ranking(SearchQuery(q=words), DEPTH)

    return ask


async def measured(collection: Collection, ask: Ask) -> Figures:
    """All questions, and how well they were answered."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(question: str) -> list[str]:
        async with turn:
            return await ask(question)

    answers = await asyncio.gather(*map(one, collection.questions.values()))
    found = dict(zip(collection.questions, answers, strict=True))
    judged = {question: collection.judged[question] for question in collection.questions}
    return {name: mean(measure, found, judged) for name, measure in MEASURES.items()}


def search_of(
    settings: Settings, index: str, client: AsyncOpenSearch, meaning: Meaning | None
) -> SearchService:
    """The search of this application on another index, without a cache."""
    section = settings.opensearch.model_copy(update={"index": index})
    cache = SearchCache(None, Cache(enabled=False), lambda: asyncio.sleep(0, result=""))
    return SearchService(
        settings.model_copy(update={"opensearch": section}), client, cache, meaning=meaning
    )


async def evaluate(
    settings: Settings, client: AsyncOpenSearch, collection: Collection, meaning: Meaning | None
) -> dict[str, Figures]:
    """Search → measure → figure: the plain one, ours, and ours with the meaning if there is one."""
    name = f"{settings.opensearch.index}-evaluation-{uuid.uuid4().hex[:8]}"
    our_body = index_body()
    our_body["settings"]["index"] |= ONE_SHARD
    try:
        async with (
            temporary_index(client, f"{name}-plain", {"settings": {"index": ONE_SHARD}}) as plain,
            temporary_index(client, name, our_body),
        ):
            await fill_plain(client, plain, collection.documents)
            files = FileStore(settings.library.directory)
            taken = Source(candidates(collection.documents), BATCH)
            await Ingest(client, name, files, meaning=meaning).run(taken)
            figures = {"plain BM25": await measured(collection, plainly(client, plain))}
            by_words = search_of(settings, name, client, None)
            figures["ours"] = await measured(collection, ours(by_words))
            if meaning is not None:
                by_meaning = search_of(settings, name, client, meaning)
                figures["with meaning"] = await measured(collection, ours(by_meaning))
            return figures
    except OpenSearchException as error:
        raise IndexUnavailableError(describe(error)) from error


def table(figures: dict[str, Figures]) -> str:
    """The figures side by side."""
    width = max(len(name) for name in MEASURES) + 2
    lines = ["".ljust(width) + "".join(label.rjust(14) for label in figures)]
    for name in MEASURES:
        row = "".join(f"{column[name]:14.4f}" for column in figures.values())
        lines.append(name.ljust(width) + row)
    return "\n".join(lines)
