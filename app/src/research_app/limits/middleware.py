"""Answers 429 to whoever asks too often, before anything is done for them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from research_app import errors
from research_app.limits.rates import Rates

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

POSTS = {
    "/login": "login",
    "/api/token": "login",
    "/api/upload": "upload",
    "/upload": "upload",
    "/api/answer": "answer",
    "/assistant/gradio_api/queue/join": "answer",
}
GETS = {
    "/answer": "answer",
    "/library": "search",
    "/api/search": "search",
    "/api/answer": "answer",
}
ITEMS = ("/items/", "/api/items/")  # each asks OpenSearch as a search does


def asked_for(method: str, path: str, query: bytes) -> str | None:
    """Which limit a request counts for, if for any."""
    if method == "POST":
        return POSTS.get(path)
    if (path == "/" and query) or path.startswith(ITEMS):
        return "search"
    return GETS.get(path)


def origin(address: str | None) -> str:
    """What counts as one sender: an address, or in IPv6 the network of one household."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if parsed.version == 6:
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def exempt(address: str, networks: Sequence[IPNetwork]) -> bool:
    """Whether an origin is not counted at all."""
    try:
        network = ipaddress.ip_network(address)
    except ValueError:
        return False
    return any(
        network.version == known.version and network.subnet_of(known)  # type: ignore[arg-type]
        for known in networks
    )


def too_many(request: Request, seconds: int) -> Response:
    """The answer to whoever asked too often."""
    unit = "second" if seconds == 1 else "seconds"
    message = f"That was a lot in a short time. Please try again in {seconds} {unit}."
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    return errors.answer(request, 429, message, headers)


class RatesMiddleware:
    """Counts by user where there is one, and by address where there is none."""

    def __init__(self, app: ASGIApp, rates: Rates, unlimited: Sequence[IPNetwork]) -> None:
        self._app = app
        self._rates = rates
        self._unlimited = unlimited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seconds = await self._wait(scope) if scope["type"] == "http" else None
        if seconds is not None:
            await too_many(Request(scope), seconds)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _wait(self, scope: Scope) -> int | None:
        what = asked_for(scope["method"], scope["path"], scope["query_string"])
        if what is None:
            return None
        sender = origin(scope["client"][0] if scope.get("client") else None)
        if exempt(sender, self._unlimited):
            return None
        user = scope.get("state", {}).get("user")
        return await self._rates.hit(what, f"user:{user.name}" if user else f"address:{sender}")
