"""Documents that curators send: looked at, put beside the library, and taken in by a job.

What a file is, its content decides; its name may only agree. Nothing of a file is kept in memory:
the form is written to disk as it comes, and copied into the inbox that the workers see.
"""

from __future__ import annotations

import asyncio
import logging
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import FormData, UploadFile

from research_app.auth import User, require
from research_app.extract.caption_forms import begins_captions
from research_app.forms import form_of
from research_app.inbox import Inbox
from research_app.jobs.record import JobsFullError, JobsUnavailableError
from research_app.services import Services
from research_app.sources import UnknownSourceError, open_source
from research_app.sources.caption_names import CAPTIONS
from research_app.sources.document import KINDS, Kind

logger = logging.getLogger(__name__)
router = APIRouter()

PATH = "/api/upload"
FORM_BYTES = 64 * 1024  # what a form has beside the file
HEAD = 4096
LONGEST_NAME = 120

NO_FILE = "Choose a file."
NO_ROOM = "There is no room for more files right now."
NO_QUEUE = "Files cannot be taken in right now. Please try again in a moment."


class UnfitFileError(Exception):
    """The file is nothing that the library can hold; the message says why."""


def _is_json_lines(head: bytes) -> bool:
    line, found, _ = head.lstrip().partition(b"\n")
    if not line.startswith(b"{"):
        return False
    if not found and len(head) >= HEAD:  # a first line longer than what was looked at
        return b'"' in line
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _is_bibtex(head: bytes) -> bool:
    return re.search(rb"^[^\S\n]*@[A-Za-z]+\s*[{(]", head, re.MULTILINE) is not None


def _is_feed(head: bytes) -> bool:
    return re.match(rb"(\xef\xbb\xbf)?\s*<(\?xml|rss|feed)\b", head) is not None


def _is_mpeg4(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


def _is_matroska(head: bytes) -> bool:
    return head.startswith(b"\x1a\x45\xdf\xa3")


def _is_ogg(head: bytes) -> bool:
    return head.startswith(b"OggS")


def _is_mp3(head: bytes) -> bool:
    return head.startswith(b"ID3") or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")


# By name → what its content begins with.
TYPES: dict[str, Callable[[bytes], bool]] = {
    ".pdf": lambda head: b"%PDF-" in head[:1024],
    ".jsonl": _is_json_lines,
    ".jsonl.gz": lambda head: head.startswith(b"\x1f\x8b\x08"),
    **dict.fromkeys(CAPTIONS, begins_captions),
    ".bib": _is_bibtex,
    ".rss": _is_feed,
    ".xml": _is_feed,
    ".mp3": _is_mp3,
    ".m4a": _is_mpeg4,
    ".ogg": _is_ogg,
    ".opus": _is_ogg,
    ".flac": lambda head: head.startswith(b"fLaC"),
    ".wav": lambda head: head.startswith(b"RIFF") and head[8:12] == b"WAVE",
    ".mp4": _is_mpeg4,
    ".mov": _is_mpeg4,
    ".webm": _is_matroska,
    ".mkv": _is_matroska,
}
ACCEPTED = ", ".join(TYPES)


def suffix_of(name: str, head: bytes) -> str:
    """Which of the types it is, or UnfitFileError."""
    if not head:
        raise UnfitFileError("The file is empty.")
    lower = name.lower()
    named = next((suffix for suffix in sorted(TYPES, key=len) if lower.endswith(suffix)), None)
    if named is None:
        raise UnfitFileError(f"The library takes {ACCEPTED}.")
    if not TYPES[named](head):
        raise UnfitFileError(f"The file is called {named}, but its content is something else.")
    return named


def safe_name(name: str, suffix: str) -> str:
    """A name for the disk that says what the file was called: no path, no control characters."""
    base = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1][: -len(suffix)]
    kept = re.sub(r"[^\w .()+,-]", "_", base).strip(" ._-") or "file"
    encoded = kept.encode()[:LONGEST_NAME]
    return encoded.decode(errors="ignore") + suffix


async def _stored(parts: Services, file: UploadFile, kind: Kind) -> Path:
    """The file in the inbox, if it is one that the library can read."""
    head = await file.read(HEAD)
    name = file.filename or ""
    suffix = suffix_of(name, head)
    inbox = Inbox(parts.settings.library.directory)
    if not await asyncio.to_thread(inbox.has_room, file.size or 0):
        raise HTTPException(507, NO_ROOM)
    await asyncio.to_thread(inbox.sweep)
    path = await asyncio.to_thread(inbox.put, file.file, safe_name(name, suffix))
    try:
        await asyncio.to_thread(open_source, path, kind)
    except UnknownSourceError:
        await asyncio.to_thread(inbox.remove, path)
        raise UnfitFileError(f"The library takes no {suffix} files yet.") from None
    return path


def _kind(form: FormData) -> Kind:
    given = form.get("kind") or "paper"
    for kind in KINDS:
        if given == kind:
            return kind
    raise HTTPException(422, f"kind: one of {', '.join(KINDS)}")


DESCRIPTION = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "kind": {"type": "string", "enum": list(KINDS)},
                    },
                }
            }
        },
    }
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {} for status in (400, 401, 403, 413, 415, 422, 429, 503, 507)
}


@router.post(
    PATH, status_code=202, tags=["curation"], responses=RESPONSES, openapi_extra=DESCRIPTION
)
async def upload(request: Request, user: Annotated[User, Depends(require("curator"))]) -> Response:
    """Send a file; a job takes it into the library."""
    parts: Services = request.app.state.services
    async with form_of(request, max_files=1, max_fields=4, max_part_size=1024) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise HTTPException(422, NO_FILE)
        kind = _kind(form)
        try:
            path = await _stored(parts, file, kind)
        except UnfitFileError as error:
            raise HTTPException(415, str(error)) from None
        size = file.size
    try:
        job = await parts.jobs.submit("ingest", str(path), user.name, {"kind": kind})
    except (JobsUnavailableError, JobsFullError):
        Inbox(parts.settings.library.directory).remove(path)
        raise HTTPException(503, NO_QUEUE, {"Retry-After": "5"}) from None
    logger.info("upload", extra={"user": user.name, "bytes": size, "job": job.id})
    answer = {"file": path.name, "bytes": size, "job": job.model_dump(mode="json")}
    return JSONResponse(answer, 202, {"Location": f"/api/jobs/{job.id}"})
