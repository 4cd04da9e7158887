"""Documents as an ingest would get them, without an index."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from research_app.files import FileStore
from research_app.sources.document import Candidate, Refusal, RefusedError, Workshop


async def _no_extraction(_: Path) -> dict[str, Any]:
    raise AssertionError


def loaded(
    items: Iterable[Candidate | Refusal], files: Path = Path("/nonexistent")
) -> dict[str, dict[str, Any] | str]:
    """Where each came from → what is stored of it, or the reason why nothing is."""
    workshop = Workshop(_no_extraction, FileStore(files))

    async def run() -> dict[str, dict[str, Any] | str]:
        return {item.source: await one(item) for item in items}

    async def one(item: Candidate | Refusal) -> dict[str, Any] | str:
        if isinstance(item, Refusal):
            return item.reason
        try:
            return {"id": item.id, **await item.load(workshop)}
        except RefusedError as error:
            return str(error)

    return asyncio.run(run())


def documents(
    items: Iterable[Candidate | Refusal], files: Path = Path("/nonexistent")
) -> list[dict[str, Any]]:
    """The documents alone; a refusal is a failure."""
    found = loaded(items, files)
    refused = {source: reason for source, reason in found.items() if isinstance(reason, str)}
    assert not refused
    return [fields for fields in found.values() if isinstance(fields, dict)]
