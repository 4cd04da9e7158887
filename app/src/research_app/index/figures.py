"""How large the index is."""

from __future__ import annotations

from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import NotFoundError, OpenSearchException
from pydantic import BaseModel

from research_app.index.client import IndexUnavailableError, describe


class Figures(BaseModel):
    """Documents as readers count them, and bytes on disk with all copies."""

    documents: int = 0
    bytes_once: int = 0
    bytes_with_copies: int = 0


async def figures(client: AsyncOpenSearch, name: str) -> Figures:
    """The figures of an index; zeros where there is none yet."""
    try:
        counted = await client.count(index=name)
        found = await client.indices.stats(index=name, metric="store")
    except NotFoundError:
        return Figures()
    except OpenSearchException as error:
        raise IndexUnavailableError(describe(error)) from error
    sizes = found["_all"]
    return Figures(
        documents=counted["count"],
        bytes_once=sizes["primaries"].get("store", {}).get("size_in_bytes", 0),
        bytes_with_copies=sizes["total"].get("store", {}).get("size_in_bytes", 0),
    )
