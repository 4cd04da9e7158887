"""A folder of PDFs, with what is known of them in a metadata.jsonl beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from research_app.extract import EXTRACTION
from research_app.sources.document import (
    Candidate,
    Kind,
    Refusal,
    RefusedError,
    Workshop,
    content_hash,
    validated,
)

MAX_BYTES = 512 * 1024 * 1024
METADATA = "metadata.jsonl"
KNOWN = ("id", "title", "authors", "year", "venue", "doi", "url", "abstract", "language")


def find(path: Path) -> list[Path]:
    """The PDFs of a folder and of those below it, in a stable order."""
    if path.is_file():
        return [path]
    return sorted(
        file for file in path.rglob("*") if file.suffix.lower() == ".pdf" and file.is_file()
    )


def read_metadata(folder: Path) -> dict[str, dict[str, Any]]:
    """File name → what the librarian wrote about it; a damaged line is left out."""
    known: dict[str, dict[str, Any]] = {}
    try:
        lines = (folder / METADATA).read_bytes().splitlines()
    except OSError:
        return known
    for line in lines:
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(record, dict) and isinstance(record.get("file"), str):
            known[record["file"]] = {key: record[key] for key in KNOWN if record.get(key)}
    return known


def candidate(path: Path, source: str, metadata: dict[str, Any], kind: Kind) -> Candidate:
    """One PDF; its text is read only when its bytes or its metadata are new."""
    size = path.stat().st_size
    if size == 0:
        raise RefusedError("the file is empty")
    if size > MAX_BYTES:
        raise RefusedError(f"the file is over {MAX_BYTES // 2**20} MiB")
    content = path.read_bytes()
    if b"%PDF-" not in content[:1024]:
        raise RefusedError("not a PDF, whatever its name says")
    file_hash = content_hash(content)
    doi = metadata.get("doi", "")
    identity = str(metadata.get("id") or doi or f"pdf-{file_hash[:20]}")
    described = orjson.dumps([EXTRACTION, kind, metadata], option=orjson.OPT_SORT_KEYS)

    async def load(workshop: Workshop) -> dict[str, Any]:
        found = await workshop.extract(path)
        fields = {**found, **metadata, "id": identity, "kind": kind}
        fields["file"] = await asyncio.to_thread(workshop.files.put, path, ".pdf")
        fields.setdefault("title", path.stem.replace("_", " "))
        if doi and "url" not in fields:
            fields["url"] = f"https://doi.org/{doi}"
        return validated(fields).stored()

    return Candidate(identity, kind, source, content_hash(file_hash.encode(), described), load)


def read(path: Path, kind: Kind) -> Iterator[Candidate | Refusal]:
    """Every PDF of a folder."""
    root = path if path.is_dir() else path.parent
    known: dict[Path, dict[str, dict[str, Any]]] = {}
    for file in find(path):
        if file.parent not in known:
            known[file.parent] = read_metadata(file.parent)
        source = str(file.relative_to(root))
        try:
            yield candidate(file, source, known[file.parent].get(file.name, {}), kind)
        except RefusedError as error:
            yield Refusal(source, str(error))
        except OSError as error:
            yield Refusal(source, f"cannot be read: {error.strerror}")
