"""A folder of PDFs, with what is known of them in a metadata.jsonl beside them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from research_app.extract import EXTRACTION
from research_app.extract.extraction import Extraction
from research_app.files import FileStore
from research_app.sources import jsonlines
from research_app.sources.document import (
    Candidate,
    Kind,
    Refusal,
    RefusedError,
    Workshop,
    content_hash,
    validated,
)
from research_app.sources.outcome import outcome

CHUNK = 1024 * 1024
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


def read_metadata(folder: Path, extraction: Extraction) -> dict[str, dict[str, Any]]:
    """File name → what the librarian wrote about it; a damaged line is left out."""
    known: dict[str, dict[str, Any]] = {}
    for item in jsonlines.records(folder / METADATA, extraction):
        if not isinstance(item, Refusal) and isinstance(file := item[1].get("file"), str):
            known[file] = {key: value for key in KNOWN if (value := item[1].get(key))}
    return known


def candidate(path: Path, source: str, metadata: dict[str, Any], kind: Kind) -> Candidate:
    """One PDF; its text is read only when its bytes or its metadata are new."""
    size = path.stat().st_size
    if size == 0:
        raise RefusedError("the file is empty")
    if size > MAX_BYTES:
        raise RefusedError(f"the file is over {MAX_BYTES // 2**20} MiB")
    file_hash = fingerprint(path, size)
    doi = metadata.get("doi", "")
    identity = str(metadata.get("id") or doi or f"pdf-{file_hash[:20]}")
    described = orjson.dumps([EXTRACTION, kind, metadata], option=orjson.OPT_SORT_KEYS)

    async def load(workshop: Workshop) -> dict[str, Any]:
        found = await workshop.extract(path)
        kept = await asyncio.to_thread(_kept, path, found, workshop.files)
        fields = {**found, **kept, **metadata, "id": identity, "kind": kind}
        fields.setdefault("title", path.stem.replace("_", " "))
        if fields.get("doi"):
            fields.setdefault("url", f"https://doi.org/{fields['doi']}")
        return {**validated(fields).stored(), "mended": found.get("mended", ())}

    return Candidate(identity, kind, source, content_hash(file_hash.encode(), described), load)


def fingerprint(path: Path, size: int) -> str:
    """The hash of a PDF's bytes. Ids are made of it, so it stays whatever else changes."""
    digest = hashlib.sha256(b"1" + size.to_bytes(8, "big"))
    with path.open("rb") as file:
        head = file.read(CHUNK)
        if b"%PDF-" not in head[:1024]:
            raise RefusedError("not a PDF, whatever its name says")
        while head:
            digest.update(head)
            head = file.read(CHUNK)
    return digest.hexdigest()


def _kept(path: Path, found: dict[str, Any], files: FileStore) -> dict[str, Any]:
    """The keys of the file and of its pictures, in the store from now on."""

    def keep(picture: str | None) -> str | None:
        return files.put(base64.b64decode(picture), ".webp") if picture else None

    try:
        figures = [
            {"page": figure["page"], "caption": figure["caption"], "image": keep(figure["picture"])}
            for figure in found.get("figures", ())
        ]
        images = [figure["image"] for figure in figures if figure["image"]]
        thumbnail = images[0] if images else keep(found.get("cover"))
        key = files.put(path, ".pdf")
    except OSError as error:
        raise RefusedError(f"cannot be kept in the library's folder: {error.strerror}") from None
    return {"figures": figures, "thumbnail": thumbnail, "file": key}


def read(path: Path, kind: Kind, extraction: Extraction) -> Iterator[Candidate | Refusal]:
    """Every PDF of a folder."""
    root = path if path.is_dir() else path.parent
    known: dict[Path, dict[str, dict[str, Any]]] = {}
    for file in find(path):
        if file.parent not in known:
            known[file.parent] = read_metadata(file.parent, extraction)
        source = str(file.relative_to(root))
        written = known[file.parent].get(file.name, {})
        yield outcome(source, partial(candidate, file, source, written, kind))
