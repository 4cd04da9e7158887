"""What of Gradio's routes the assistant needs; the others do not exist.

Gradio protects some of its routes and leaves others open: cancel, stream, reset, upload progress,
its code writer, the proxy. The assistant sends a question (join), reads the answer (data), and
keeps a connection by which Gradio sees that the page was left (heartbeat).
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from research_app import errors

NEEDED: dict[str, tuple[re.Pattern[str], ...]] = {
    "GET": tuple(
        re.compile(pattern)
        for pattern in (
            r"/?",
            r"/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)",
            r"/(assets|static|svelte)/[A-Za-z0-9._/-]+",
            r"/gradio_api/(info|app_id|theme\.css|startup-events|queue/data)",
            r"/gradio_api/heartbeat/[a-z0-9]{1,32}",
        )
    ),
    "POST": (re.compile(r"/gradio_api/queue/join"),),
}


def is_needed(method: str, path: str) -> bool:
    """Whether the assistant asks for that path, below its own."""
    found = any(pattern.fullmatch(path) for pattern in NEEDED.get(method, ()))
    return found and ".." not in path


class AssistantGate:
    """Answers 404 for the rest."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inside = scope.get("path", "").startswith(self._path)
        if inside and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if inside and scope["type"] == "http":
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            if not is_needed(method, scope["path"].removeprefix(self._path)):
                refusal = errors.answer(Request(scope), 404, errors.NO_PAGE)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
