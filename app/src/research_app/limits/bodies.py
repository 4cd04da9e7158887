"""How much somebody may send: refused before it is read, or as soon as it is too much."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from research_app import errors

USUAL = 1024 * 1024  # a form, a question, a job


def too_large(limit: int) -> str:
    """What is wrong with a body over the limit."""
    shown = f"{limit / 2**20:,.0f} MB" if limit >= 2**20 else f"{limit:,} bytes"
    return f"This is too large: {shown} is the most that is taken."


class BodyLimit:
    """One limit for all but the paths that have their own."""

    def __init__(self, app: ASGIApp, limits: dict[str, int], usual: int = USUAL) -> None:
        self._app = app
        self._limits = limits
        self._usual = usual

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.get(scope["path"], self._usual)
        stated = Request(scope).headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > limit:
            headers = {"Connection": "close", "Cache-Control": "no-store"}
            refusal = errors.answer(Request(scope), 413, too_large(limit), headers)
            await refusal(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise HTTPException(413, too_large(limit), {"Connection": "close"})
            return message

        await self._app(scope, counted, send)
