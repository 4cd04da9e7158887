"""The files of the library: papers, pictures, recordings. Part of a file is given when asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse, Response

from research_app.files import UnknownFileError
from research_app.services import Services
from research_app.web.addresses import FILES

router = APIRouter(include_in_schema=False)

# What a browser shows by itself, without running anything that is in the file.
SHOWN_AS = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".webm": "video/webm",
    ".ogv": "video/ogg",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
}
PLAIN = {".txt": "text/plain; charset=utf-8", ".vtt": "text/vtt; charset=utf-8"}
UNKNOWN = "application/octet-stream"

# A browser's own viewer of a PDF, a picture or a recording is a page of its own.
VIEWER_POLICY = (
    "default-src 'none'; img-src 'self' data:; media-src 'self'; object-src 'self';"
    " style-src 'unsafe-inline'; frame-ancestors 'self'"
)
SANDBOX_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
# The address names the content: what it stands for never changes.
FOR_EVER = "private, max-age=31536000, immutable"
# But of a document that is read every day the library wants to hear every day.
FOR_A_DAY = "private, max-age=86400, immutable"


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


def is_picture(suffix: str) -> bool:
    """Whether it is shown among others: a figure, a still; to show it is no use of its item."""
    return SHOWN_AS.get(suffix, "").startswith("image/")


def headers_of(suffix: str) -> dict[str, str]:
    """How a browser shall treat a file."""
    policy = VIEWER_POLICY if suffix in SHOWN_AS else SANDBOX_POLICY
    return {
        "Cache-Control": FOR_EVER if is_picture(suffix) else FOR_A_DAY,
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
    }


def has_copy(request: Request, tag: str) -> bool:
    """Whether the asker has what a tag names; one that a proxy called weak (W/) is as good."""
    known = request.headers.get("if-none-match", "").split(",")
    return any(text.strip() in ("*", tag, f"W/{tag}") for text in known)


@router.get(FILES + "/{key}")
async def file(
    request: Request, key: str, parts: Annotated[Services, Depends(_services)]
) -> Response:
    """One file, or the part of it that the Range header asks for."""
    try:
        path = await asyncio.to_thread(parts.files.path, key)
    except UnknownFileError:
        raise HTTPException(404, "There is no such file in the library.") from None
    suffix = Path(key).suffix
    if not is_picture(suffix):
        parts.usage.used(key)
    headers = headers_of(suffix) | {"ETag": f'"{key}"'}
    if has_copy(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return FileResponse(
        path,
        headers=headers,
        media_type=SHOWN_AS.get(suffix) or PLAIN.get(suffix) or UNKNOWN,
        filename=key,
        content_disposition_type="inline",
    )
