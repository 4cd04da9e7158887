"""Forms as browsers send them: in UTF-8, whatever else Python could decode."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from fastapi import HTTPException, Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData

UNREADABLE = "This form cannot be read."


def form_of(
    request: Request, *, max_files: int, max_fields: int, max_part_size: int = 1024 * 1024
) -> AbstractAsyncContextManager[FormData]:
    """The fields and files of a form; `async with` closes them.

    Some of Python's codecs give text that nothing can encode, others fail in ways of their own.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    if options.get(b"charset", b"utf-8").lower() != b"utf-8":
        raise HTTPException(400, UNREADABLE)
    return request.form(max_files=max_files, max_fields=max_fields, max_part_size=max_part_size)
