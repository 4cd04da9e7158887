"""Who connects: by the client certificate that every caller shows, not by its address.

Every host of a site has a certificate of the same authority, so a good certificate is not enough:
its DNS name must be one of those in the settings. What a proxy says of its client (X-Forwarded-For)
counts from an edge alone, and readers come by an edge alone: who else may connect asks how the node
is, and is refused everything else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger(__name__)

BY_EDGE = "by_edge"
# What a caller may ask that is no edge, spelt like this and not otherwise.
OPERATIONS = ("/live", "/ready", "/health", "/metrics")
BY_EDGES_ONLY = "this host asks how the node is; all else is asked by way of an edge"


def dns_names(certificate: dict[str, Any] | None) -> set[str]:
    """The names in a certificate, as `ssl.SSLSocket.getpeercert` returns it."""
    alternatives = (certificate or {}).get("subjectAltName", ())
    return {name.lower() for kind, name in alternatives if kind == "DNS"}


def protocol(edges: Iterable[str], clients: Iterable[str]) -> type[HttpToolsProtocol]:
    """HTTP for callers whose certificate names one of these; anybody else is cut off."""
    of_edges, of_others = frozenset(edges), frozenset(clients)

    class NamedCallersProtocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            names = dns_names(transport.get_extra_info("peercert"))
            self.app_state = {**self.app_state, BY_EDGE: bool(names & of_edges)}
            if not names & (of_edges | of_others):
                logger.warning(
                    "refused a connection: none of the names in its certificate is among"
                    " server.edges and server.clients: %s",
                    ", ".join(sorted(names)) or "it has none",
                    extra={"client": self.client[0] if self.client else None},
                )
                transport.abort()

    return NamedCallersProtocol


class ForwardedByEdges:
    """Takes the client that an edge names for the client; what others say of it is not read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._forwarded: Any = ProxyHeadersMiddleware(app, trusted_hosts="*")  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        by_edge = scope.get("state", {}).get(BY_EDGE, False)
        await (self._forwarded if by_edge else self._app)(scope, receive, send)


class OperationsFromOthers:
    """Lets callers that are no edge ask how the node is, and nothing else.

    Where callers show no certificates (no `server.tls_ca`) there is nobody to tell apart.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        by_edge = scope.get("state", {}).get(BY_EDGE, True)
        if by_edge or scope["type"] == "lifespan" or scope["path"] in OPERATIONS:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        else:
            refusal = JSONResponse({"detail": BY_EDGES_ONLY}, 403, {"Cache-Control": "no-store"})
            await refusal(scope, receive, send)
