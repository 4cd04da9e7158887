"""GET /api/answer: an event stream, or JSON for who asks for that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel

from research_app.answer.events import Answer, Done, Event, Notice, Sources, Text
from research_app.search.query import SearchQuery, Words
from research_app.services import Services

router = APIRouter()

# for the proxies: every event at once, and no copy of it
STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
LOOK_SECONDS = 0.5
# of one event; its data is JSON
EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["sources", "text", "notice", "done"]},
        "data": {"type": "string"},
    },
}


class Question(BaseModel):
    """What a reader wants to know."""

    q: Words


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


def message(event: Event) -> bytes:
    """One server-sent event."""
    name: str
    data: Any
    match event:
        case Sources(sources):
            name, data = "sources", [source.model_dump() for source in sources]
        case Text(text):
            name, data = "text", text
        case Notice(text):
            name, data = "notice", text
        case Done(provider, found, citations):
            name = "done"
            data = {"provider": provider, "found": found, "citations": citations}
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


@router.get(
    "/api/answer",
    tags=["answers"],
    response_model=Answer,
    responses={
        200: {
            "description": "With Accept: application/json the whole answer. Otherwise events:"
            " sources, then text, bit by bit, perhaps notice, at last done.",
            "content": {"text/event-stream": {"schema": EVENT}},
        },
        503: {},
    },
)
async def answer(
    request: Request,
    parts: Annotated[Services, Depends(_services)],
    question: Annotated[Question, Query()],
) -> Response:
    """Answer a question from the passages of the library, with citations."""
    request.state.log = {"query": SearchQuery(q=question.q).fingerprint[:16]}
    as_json = "application/json" in request.headers.get("accept", "")
    if request.state.head_only:  # no model writes for nobody
        media_type = "application/json" if as_json else "text/event-stream"
        return Response(headers={"Cache-Control": "no-store"}, media_type=media_type)
    if as_json:
        found = await while_connected(request, parts.answers.answer(question.q))
        return JSONResponse(found.model_dump(), headers={"Cache-Control": "no-store"})
    events = parts.answers.stream(question.q)
    first = await anext(events)  # where the library cannot be searched this fails, politely
    return StreamingResponse(_stream(first, events), 200, STREAM, "text/event-stream")


async def _stream(first: Event, rest: AsyncGenerator[Event, None]) -> AsyncIterator[bytes]:
    async with contextlib.aclosing(rest):
        yield message(first)
        async for event in rest:
            yield message(event)


async def while_connected(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Do something for a reader, and stop when the reader has left."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=LOOK_SECONDS))[0]:
            if await request.is_disconnected():
                break
        else:
            return task.result()
    finally:
        task.cancel()
    raise asyncio.CancelledError
