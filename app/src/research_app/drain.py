"""How the process leaves: no reader notices.

`begin` turns /ready to 503 and asks clients not to reuse connections. The lame-duck wait lets
the proxies see that. Then pending requests end by themselves, event streams (which never would)
are ended, and the listener may close.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

EVENT_STREAM = b"text/event-stream"


class Drain:
    """The state of leaving, shared by the server, the middleware and /ready."""

    def __init__(self) -> None:
        self.draining = False
        self.pending = 0
        self.streams = 0
        self.stop_streams = asyncio.Event()

    def begin(self) -> None:
        """No new readers, please."""
        self.draining = True

    async def finish(self, lame_duck: float, limit: float) -> None:
        """Wait as described above; at most `lame_duck + limit` seconds."""
        await asyncio.sleep(lame_duck)
        deadline = asyncio.get_running_loop().time() + limit
        await _until(lambda: self.pending <= self.streams, deadline)
        self.stop_streams.set()
        await _until(lambda: not self.pending, deadline)
        if self.pending:
            logger.warning("leaving with %s requests pending", self.pending)


async def _until(done: Callable[[], bool], deadline: float) -> None:
    """Look again and again: this happens once in the life of a process."""
    clock = asyncio.get_running_loop()
    while not done() and clock.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


class DrainMiddleware:
    """Counts what is pending, and ends event streams when told to."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(self._drain, send)
        self._drain.pending += 1
        try:
            await self._until_stopped(exchange, scope, receive)
        finally:
            self._drain.pending -= 1
            self._drain.streams -= exchange.streaming

    async def _until_stopped(self, exchange: _Exchange, scope: Scope, receive: Receive) -> None:
        work = asyncio.ensure_future(self._app(scope, receive, exchange.send))
        exchange.work = work
        try:
            await work
        except asyncio.CancelledError:
            if not exchange.stopped:
                work.cancel()
                raise
            await exchange.end()
        finally:
            if exchange.watch is not None:
                exchange.watch.cancel()


class _Exchange:
    """One request, and whether its answer turned out to be an event stream."""

    def __init__(self, drain: Drain, send: Send) -> None:
        self._drain = drain
        self._send = send
        self.streaming = False
        self.stopped = False
        self.ended = False
        self.work: asyncio.Future[None] | None = None
        self.watch: asyncio.Task[None] | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if any(
                name.lower() == b"content-type" and value.startswith(EVENT_STREAM)
                for name, value in headers
            ):
                self.streaming = True
                self._drain.streams += 1
                self.watch = asyncio.create_task(self._stop_when_told())
            if self._drain.draining:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            self.ended = True
        await self._send(message)

    async def _stop_when_told(self) -> None:
        await self._drain.stop_streams.wait()
        self.stopped = True
        if self.work is not None:
            self.work.cancel()

    async def end(self) -> None:
        if not self.ended:
            with contextlib.suppress(OSError):
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
