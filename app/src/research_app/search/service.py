"""Searches: from the cache where it knows the answer, from OpenSearch where it does not."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Any

import orjson
from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import NotFoundError, OpenSearchException

from research_app import metrics
from research_app.cache import SearchCache
from research_app.index.client import IndexUnavailableError, attempts, describe
from research_app.index.retry import FIRST_SECONDS, Ask, Params, Retry
from research_app.search.body import (
    LIKENESS_FIELDS,
    SHOWN,
    first_body,
    matching,
    search_body,
    similar_body,
    these_body,
    words_of,
)
from research_app.search.gate import Gate
from research_app.search.meaning import Meaning
from research_app.search.passages import Passage, among, from_hits, passages_body
from research_app.search.query import SearchQuery
from research_app.search.ranking import STORED, WINDOW, order
from research_app.search.results import from_response, is_partial, shown
from research_app.search.suggestion import FEW, corrected, worth_asking
from research_app.settings import Settings
from research_app.sources.document import MAX_ID_BYTES
from research_app.stages import stage

logger = logging.getLogger(__name__)


class SearchService:
    """What the pages, the API and the assistant call."""

    def __init__(
        self,
        settings: Settings,
        client: AsyncOpenSearch,
        cache: SearchCache,
        gate: Gate | None = None,
        meaning: Meaning | None = None,
    ) -> None:
        """The client asks each time another node, `once`: the search is sent again here."""
        self._index = settings.opensearch.index
        self._settings = settings.search
        self._client = client
        self._cache = cache
        self._gate = gate or Gate(self._settings.max_at_once, self._settings.max_waiting)
        self._meaning = meaning
        # a little before the whole time is over, to know that nobody answered
        seconds = 0.9 * self._settings.timeout_seconds
        alone = len(settings.opensearch.urls) == 1
        self._retry = Retry(seconds, attempts(settings), seconds if alone else FIRST_SECONDS)

    async def search(self, query: SearchQuery) -> bytes:
        """One page of results as JSON."""

        async def ask() -> tuple[bytes, bool]:
            found = await self._ask(query)
            with stage("rendering"):
                return orjson.dumps(found), not found["partial"]

        with metrics.searching():
            return await self._cache.get(query.fingerprint, ask)

    async def results(self, query: SearchQuery) -> dict[str, Any]:
        """One page of results."""
        found: dict[str, Any] = orjson.loads(await self.search(query))
        return found

    async def item(self, identity: str) -> dict[str, Any] | None:
        """One document, or None where there is none of that id."""
        source = await self._source(identity, [*SHOWN, "references", "ingested_at"])
        return None if source is None else shown({"_id": identity, "_source": source})

    async def contents(self, identity: str) -> list[dict[str, Any]]:
        """The whole text of a document: its passages in order, each with its place."""
        wanted = [f"passages.{name}" for name in ("text", "page", "start")]
        passages: list[dict[str, Any]] = (await self._source(identity, wanted) or {}).get(
            "passages", []
        )
        return passages

    async def passages(self, question: str, size: int) -> list[Passage]:
        """The places that may answer a question, the best first.

        A question that is no legal query raises what the query raises.
        """
        query = SearchQuery(q=question, size=size)
        body = passages_body(query, self._settings)
        if self._meaning is None:
            found = await self._request(body, _copies(query))
            return from_hits(found["hits"]["hits"], size)
        ordered = await self._order(query, await self._first(query, WINDOW))
        scores = dict(ordered[:size])
        found = await self._request(among(body, list(scores)), _copies(query))
        hits = [hit | {"_score": scores[hit["_id"]]} for hit in found["hits"]["hits"]]
        return from_hits(hits, size)

    async def similar(self, identity: str, size: int) -> list[dict[str, Any]]:
        """Documents that share the telling words of one, the likest first."""

        async def ask() -> tuple[bytes, bool]:
            source = await self._source(identity, LIKENESS_FIELDS)
            if source is None:
                return b"[]", True
            body = similar_body(identity, words_of(source), size, self._settings)
            found = await self._request(body, "similar")
            results = [{**shown(hit), "score": hit["_score"]} for hit in found["hits"]["hits"]]
            return orjson.dumps(results), not is_partial(found)

        key = hashlib.sha256(orjson.dumps(["similar", identity, size])).hexdigest()
        found: list[dict[str, Any]] = orjson.loads(await self._cache.get(key, ask))
        return found

    async def overview(self) -> dict[str, Any]:
        """How many documents there are, of which kinds and years."""

        async def ask() -> tuple[bytes, bool]:
            body = {
                "size": 0,
                "track_total_hits": True,
                "aggs": {
                    "kind": {"terms": {"field": "kind"}},
                    "year": {
                        "terms": {"field": "year", "size": 100, "order": {"_key": "asc"}},
                        "aggs": {"kind": {"terms": {"field": "kind"}}},
                    },
                },
            }
            found = await self._request(body, "overview")
            counts = {
                name: [
                    {"value": bucket["key"], "count": bucket["doc_count"]}
                    for bucket in found["aggregations"][name]["buckets"]
                ]
                for name in ("kind", "year")
            }
            for year, bucket in zip(
                counts["year"], found["aggregations"]["year"]["buckets"], strict=True
            ):
                year["kinds"] = {
                    kind["key"]: kind["doc_count"] for kind in bucket["kind"]["buckets"]
                }
            answer = {"total": found["hits"]["total"]["value"], **counts}
            return orjson.dumps(answer), not found["_shards"]["failed"]

        answer: dict[str, Any] = orjson.loads(await self._cache.get("overview", ask))
        return answer

    async def ranking(self, query: SearchQuery, depth: int) -> list[str]:
        """Which documents are found, in the order in which readers see them."""
        found = await self._first(query, depth)
        return [identity for identity, _ in await self._order(query, found)]

    async def _ask(self, query: SearchQuery) -> dict[str, Any]:
        last = query.page * query.size
        if self._meaning and query.sort == "relevance" and last - query.size < WINDOW:
            found = await self._by_meaning(query, max(last, WINDOW))
        else:
            found = await self._request(search_body(query, self._settings), _copies(query))
        with stage("rendering"):
            answer = from_response(query, found)
        if answer["total"] <= FEW:
            answer["suggestion"] = await self._suggestion(query, found, answer["total"])
        return answer

    async def _suggestion(
        self, query: SearchQuery, found: dict[str, Any], total: int
    ) -> str | None:
        """Words that find more, where those of the query find next to nothing."""
        words = corrected(query.q, found["suggest"]["words"])
        if words is None:
            return None
        other = SearchQuery(q=words)
        body = {"query": matching(other, self._settings), "size": 0, "track_total_hits": True}
        better = await self._request(body, _copies(other))
        return words if worth_asking(total, better["hits"]["total"]["value"]) else None

    async def _by_meaning(self, query: SearchQuery, depth: int) -> dict[str, Any]:
        """A page of what was found in the order of its meaning: the answer of a plain search."""
        found = await self._first(query, depth)
        ordered = await self._order(query, found)
        start = (query.page - 1) * query.size
        scores = dict(ordered[start : start + query.size])
        body = these_body(query, self._settings, list(scores))
        shown = await self._request(body, _copies(query))
        by_id = {hit["_id"]: hit for hit in shown["hits"]["hits"]}
        hits = [by_id[name] | {"_score": score} for name, score in scores.items() if name in by_id]
        return {
            **found,
            "took": found["took"] + shown["took"],
            "timed_out": is_partial(found) or is_partial(shown),
            "hits": {**found["hits"], "hits": hits},
        }

    async def _first(self, query: SearchQuery, depth: int) -> dict[str, Any]:
        fields = STORED if self._meaning else []
        body = first_body(query, self._settings, depth, fields)
        return await self._request(body, _copies(query))

    async def _order(self, query: SearchQuery, found: dict[str, Any]) -> list[tuple[str, float]]:
        """The first documents by words and meaning, and all that come after by words."""
        hits = found["hits"]["hits"]
        rest = [(hit["_id"], hit["_score"]) for hit in hits]
        if self._meaning is None or not hits:
            return rest
        with stage("ranking"):
            model, vectors = await self._meaning.vectors([query.q])
            weight = self._settings.meaning_weight
            return [*order(hits[:WINDOW], model, vectors[0], weight), *rest[WINDOW:]]

    async def _source(self, identity: str, fields: list[str]) -> dict[str, Any] | None:
        """Fields of one document, taking its turn as searches do; None where there is none."""
        if not 0 < len(identity.encode()) <= MAX_ID_BYTES:
            return None

        async def ask(params: Params) -> dict[str, Any]:
            wanted = {"_source_includes": ",".join(fields)}
            try:
                found: dict[str, Any] = await self._client.get(
                    index=self._index, id=identity, params=params | wanted
                )
            except NotFoundError:
                return {}
            return found

        return (await self._in_turn(ask)).get("_source")

    async def _request(self, body: dict[str, Any], preference: str) -> dict[str, Any]:
        async def ask(params: Params) -> dict[str, Any]:
            found: dict[str, Any] = await self._client.search(
                index=self._index, body=body, params=params
            )
            return found

        return await self._in_turn(ask, preference)

    async def _in_turn(self, ask: Ask, preference: str = "") -> dict[str, Any]:
        """Ask when the gate lets it, and again where nobody answers."""
        try:
            async with asyncio.timeout(self._settings.timeout_seconds), self._gate:
                return await self._retry(ask, preference)
        except (OpenSearchException, TimeoutError) as error:
            raise self._unavailable(error) from error

    @staticmethod
    def _unavailable(error: Exception) -> IndexUnavailableError:
        reason = "no answer in time" if isinstance(error, TimeoutError) else describe(error)
        logger.error("search failed: %s", reason)
        return IndexUnavailableError(reason)


def _copies(query: SearchQuery) -> str:
    """The same query goes to the same copies, so that the pages of one search fit together."""
    return query.model_copy(update={"page": 1}).fingerprint[:16]
