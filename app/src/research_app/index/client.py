"""The OpenSearch client, and the few calls that concern the index as a whole."""

from __future__ import annotations

import ssl
from typing import Any

import orjson
from opensearchpy import AsyncOpenSearch, AsyncTransport
from opensearchpy.exceptions import OpenSearchException, RequestError, TransportError
from opensearchpy.serializer import JSONSerializer

from research_app.index.mapping import MAPPINGS, index_body
from research_app.index.retry import RETRIED, Params, Retry
from research_app.logs import request_id
from research_app.settings import Login, Settings
from research_app.stages import stage

# A node that did not answer is left alone for 10 s, then 20, 40 and 80; the library's default
# of a minute is too long for a node that is restarted.
DEAD_SECONDS = 10
DEAD_DOUBLINGS = 3

# By this id, in every release, OpenSearch blocks an index when a node's disk is over the flood
# stage, with status 429, as if it were only busy. It lifts the block itself once there is room.
NO_ROOM_BLOCK = "/12/"
NO_ROOM = (
    "the disk of one of its nodes is full, and it takes no document: free space there or add a"
    " node; it goes on by itself below the high watermark"
)


class IndexUnavailableError(Exception):
    """OpenSearch cannot answer now; it may later."""


class FastSerializer(JSONSerializer):
    """orjson: the standard library's parser takes longer than the search for 100 results."""

    def loads(self, data: Any) -> Any:
        return orjson.loads(data)

    def dumps(self, data: Any) -> Any:
        return data if isinstance(data, (str, bytes)) else orjson.dumps(data)


class Transport(AsyncTransport):
    """Tells OpenSearch for which request it works: its tasks and its logs name that."""

    async def perform_request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        """Send a request; the client gives headers by name."""
        identity = request_id.get() or ""
        with stage("opensearch", method=method, url=url, opaque_id=identity) as carried:
            headers = {**(more.get("headers") or {}), **carried}
            if identity:
                headers["X-Opaque-Id"] = identity
            if headers:
                more["headers"] = headers
            return await super().perform_request(method, url, *args, **more)


class Client(AsyncOpenSearch):
    """A client that closes all its connections: the library forgets those to dead nodes."""

    async def close(self) -> None:
        """Close the connections."""
        await super().close()
        for connection in getattr(self.transport.connection_pool, "orig_connections", ()):
            await connection.close()


def attempts(settings: Settings) -> int:
    """How often a request is sent, to one node after the other."""
    section = settings.opensearch
    return 1 + max(section.max_retries, len(section.urls) - 1)


def connect(settings: Settings, login: Login | None, *, once: bool = False) -> AsyncOpenSearch:
    """A client for all nodes: certificates verified, next node tried when one fails.

    :param once: the next request goes to the next node, and this one fails
    """
    section = settings.opensearch
    options: dict[str, Any] = {}
    if login is not None:
        options["http_auth"] = (login.user, login.password.get_secret_value())
    if any(url.startswith("https://") for url in section.urls):
        options["ssl_context"] = ssl.create_default_context(cafile=section.tls_ca or None)
    return Client(
        hosts=list(section.urls),
        transport_class=Transport,
        pool_maxsize=section.pool_maxsize,
        timeout=section.timeout_seconds,
        max_retries=0 if once else attempts(settings) - 1,
        retry_on_timeout=True,
        retry_on_status=RETRIED,
        dead_timeout=DEAD_SECONDS,
        timeout_cutoff=DEAD_DOUBLINGS,
        serializer=FastSerializer(),
        serializers={"application/json": FastSerializer()},
        **options,
    )


async def ensure_index(client: AsyncOpenSearch, name: str) -> bool:
    """Create the index where it is missing; True when this call made it.

    One that an earlier release made learns the fields that this one knows besides.
    """
    try:
        if await client.indices.exists(index=name):
            await client.indices.put_mapping(index=name, body=MAPPINGS)
            return False
    except OpenSearchException as error:
        raise IndexUnavailableError(describe(error)) from error
    return await create_index(client, name, index_body())


async def create_index(client: AsyncOpenSearch, name: str, body: dict[str, Any]) -> bool:
    """Create an index unless it is there; True when this call made it."""
    try:
        if await client.indices.exists(index=name):
            return False
        await client.indices.create(index=name, body=body)
    except RequestError as error:
        if error.error == "resource_already_exists_exception":  # another node was faster
            return False
        raise IndexUnavailableError(describe(error)) from error
    except OpenSearchException as error:
        raise IndexUnavailableError(describe(error)) from error
    return True


async def answers(client: AsyncOpenSearch, name: str, retry: Retry | None = None) -> str:
    """Prove that the index can be searched now; returns a word about it."""

    async def ask(params: Params) -> Any:
        # "timeout" in the body is the search's own; as a parameter the client takes it for its own
        body = {"size": 0, "track_total_hits": True, "timeout": "2s"}
        return await client.search(index=name, body=body, params=params)

    try:
        found = await (retry(ask) if retry else ask({}))
    except OpenSearchException as error:
        raise IndexUnavailableError(describe(error)) from error
    shards = found["_shards"]
    if shards["failed"]:
        raise IndexUnavailableError(f"{shards['failed']} of {shards['total']} shards failed")
    return f"{found['hits']['total']['value']} documents"


async def unserved(client: AsyncOpenSearch, patterns: list[str]) -> tuple[list[str], int]:
    """The indices of which a part cannot be read or written, and how many were looked at."""
    try:
        found = await client.cluster.health(
            index=",".join(patterns), params={"level": "indices", "expand_wildcards": "open"}
        )
    except OpenSearchException as error:
        raise IndexUnavailableError(describe(error)) from error
    indices: dict[str, dict[str, Any]] = found.get("indices", {})
    red = sorted(name for name, index in indices.items() if index["status"] == "red")
    return red, len(indices)


def describe(error: Exception) -> str:
    """One line about a failure, without the request's body and without credentials."""
    if isinstance(error, TransportError):
        if is_full_disk(whole(error)):
            return NO_ROOM
        status, kind = error.status_code, str(error.error)
        if status in ("N/A", "TIMEOUT"):
            if "CERTIFICATE_VERIFY_FAILED" in kind:
                return "a node's certificate is not accepted"
            return "no node answers"
        return f"{status} {kind}"
    return type(error).__name__


def whole(error: TransportError) -> dict[str, Any]:
    """Why a request was refused, in the form in which one document of a bulk is."""
    reason = error.info.get("error") if isinstance(error.info, dict) else None
    return reason if isinstance(reason, dict) else {"type": str(error.error)}


def is_full_disk(error: dict[str, Any]) -> bool:
    """Whether OpenSearch refuses because a disk is full: waiting a minute does not help then."""
    return error.get("type") == "cluster_block_exception" and NO_ROOM_BLOCK in str(
        error.get("reason")
    )
