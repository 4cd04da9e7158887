"""What of Gradio the assistant needs; the rest does not exist.

Gradio trusts what it is sent: it opens paths that stand in a question, reads headers for the
address of its page, fetches what a query names. So it gets nothing but what was read here: known
paths, a question that fits the model below and is written anew, and no header, cookie or query
that its page can do without. Without `Origin` it also shares no answer with other sites' pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import orjson
from fastapi import HTTPException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from research_app import errors
from research_app.search.query import MAX_QUERY
from research_app.web.views import KIND_NAMES

JOIN = "/gradio_api/queue/join"
DATA = "/gradio_api/queue/data"
NEEDED: dict[str, tuple[re.Pattern[str], ...]] = {
    "GET": tuple(
        re.compile(pattern)
        for pattern in (
            r"/?",
            r"/theme\.css",
            r"/(assets|static)(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}){1,4}",
            r"/gradio_api/app_id",  # asked when a connection was lost
            re.escape(DATA),
        )
    ),
    "POST": (re.compile(re.escape(JOIN)),),
}
NEEDED_HEADERS = (b"host", b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")

SESSION = "[a-z0-9]{1,16}"
ASKED = re.compile(f"session_hash=({SESSION})".encode())

EVERYTHING = "Everything"
CHOICES = (EVERYTHING, *KIND_NAMES.values())
LARGEST = 8192  # bytes: 500 characters of 12 bytes each, and what is around them

UNREADABLE = "The assistant does not understand this request."
# What Gradio says too, and its page knows: the node that had the session has been restarted.
NO_SESSION = {
    "msg": "unexpected_error",
    "event_id": None,
    "message": "404: Not Found",
    "session_not_found": True,
    "success": False,
}


def _known_choice(choice: str) -> str:
    if choice not in CHOICES:
        raise ValueError(f"one of {', '.join(CHOICES)}")
    return choice


class Join(BaseModel):
    """A question, as the page sends it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    data: tuple[
        Annotated[str, Field(max_length=MAX_QUERY)],
        Annotated[str, AfterValidator(_known_choice)],
    ]
    fn_index: Annotated[int, Field(ge=0, le=1)]  # the button, and the key Enter
    session_hash: Annotated[str, Field(pattern=f"^{SESSION}$")]
    # what was pressed, and with what; nobody here wants to know
    trigger_id: Annotated[int, Field(ge=0, le=1000)] | None = Field(default=None, exclude=True)
    event_data: None = Field(default=None, exclude=True)


def is_needed(method: str, path: str) -> bool:
    """Whether the assistant asks for that path, below its own."""
    return any(pattern.fullmatch(path) for pattern in NEEDED.get(method, ()))


class AssistantGate:
    """Answers in place of Gradio what is not for Gradio.

    `knows` tells whether a session has asked something of this process.
    """

    def __init__(self, app: ASGIApp, path: str, knows: Callable[[str], bool]) -> None:
        self._app = app
        self._path = path
        self._knows = knows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inside = scope.get("path", "").startswith(self._path)
        if inside and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if not inside or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(Request(scope, receive))
        except HTTPException as error:
            refusal = errors.answer(
                Request(scope), error.status_code, str(error.detail), dict(error.headers or {})
            )
            await refusal(scope, receive, send)
            return
        if isinstance(body, Response):
            await body(scope, receive, send)
            return
        await self._app(_bare(scope, body), _replay(body, receive), send)

    async def _read(self, request: Request) -> bytes | Response:
        """The body for Gradio, or what is answered in its place.

        Raises HTTPException where neither is to be had.
        """
        path = request.scope["path"].removeprefix(self._path)
        if not is_needed(request.method, path):
            raise HTTPException(404, errors.NO_PAGE)
        if not HOST.fullmatch(request.headers.get("host", "")):
            raise HTTPException(422, UNREADABLE)
        try:
            if path == JOIN:
                question = Join.model_validate_json(await request.body())
                return question.model_dump_json().encode()  # nothing of the original
        except ValidationError:
            raise HTTPException(422, UNREADABLE) from None
        if path == DATA:
            asked = ASKED.fullmatch(request.scope["query_string"])
            if asked is None:
                raise HTTPException(422, UNREADABLE)
            if not self._knows(asked[1].decode()):
                said = b"data: " + orjson.dumps(NO_SESSION) + b"\n\n"
                return Response(said, media_type="text/event-stream")
        return b""


def _bare(scope: Scope, body: bytes) -> Scope:
    """The request without what Gradio need not see."""
    headers = [(name, value) for name, value in scope["headers"] if name in NEEDED_HEADERS]
    if body:
        headers.append((b"content-type", b"application/json"))
    headers.append((b"content-length", str(len(body)).encode()))
    query = scope["query_string"] if scope["path"].endswith(DATA) else b""
    return {**scope, "headers": headers, "query_string": query}


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, and then whether the reader has left."""
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
