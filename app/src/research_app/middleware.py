"""What happens to every request: an id, one log line, the headers that browsers obey.

And an answer if all else fails: a handler of FastAPI's for that would be outside of this, and its
log line and its answer without what is added here.
"""

from __future__ import annotations

import hmac
import logging
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from research_app import errors, metrics
from research_app.logs import request_id
from research_app.metrics import ActiveUsers
from research_app.stages import Stage, Times

if TYPE_CHECKING:
    from research_app.traces import Traces

logger = logging.getLogger("research_app.access")
faults = logging.getLogger("research_app.errors")

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
UNCOUNTED = ("/live", "/ready", "/metrics", "/health")
CLIENT_LEFT = 499  # in logs and metrics, as proxies call it

# Our own pages need nothing but their style sheet and their own script. Gradio needs more, and
# gets the headers of its edge.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _GIVEN_ID.fullmatch(given := value.decode("latin-1")):
            return str(given)
    return uuid.uuid4().hex


class _HeadSentError(Exception):
    """The head of an answer is on its way, and was all that was asked for."""


class RequestMiddleware:
    """The outermost layer of the application."""

    def __init__(
        self,
        app: ASGIApp,
        access_log: bool,
        without_policy: tuple[str, ...],
        active: ActiveUsers,
        hash_key: bytes,
        *,
        traces: Traces | None = None,
    ) -> None:
        self._app = app
        self._access_log = access_log
        self._without_policy = without_policy
        self._active = active
        self._hash_key = hash_key
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head_only = scope["method"] == "HEAD"
        identity = _request_id(scope)
        state = scope.get("state", {}) | {"head_only": head_only, "request_id": identity}
        scope = {**scope, "method": "GET" if head_only else scope["method"], "state": state}
        token = request_id.set(identity)
        of_reader = _of_reader(scope["path"])
        times = Times(self._traces)
        span = self._traces.request(scope) if self._traces and of_reader else None
        start = time.perf_counter()
        status, started = 500, False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                self._add_headers(MutableHeaders(scope=message), scope["path"], identity)
            await send(message)
            if head_only and started:  # nothing is read or made for a body that nobody gets
                await send({"type": "http.response.body", "body": b""})
                raise _HeadSentError

        try:
            if of_reader:
                with times:
                    await self._app(scope, receive, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except _HeadSentError:
            pass
        except ClientDisconnect:  # in the middle of what it sent: there is nobody to answer
            status = CLIENT_LEFT
        except Exception as error:
            faults.error("unexpected error", exc_info=error)
            if started:  # it cannot be taken back; the server breaks it off
                raise
            await errors.broken(Request(scope))(scope, receive, send_with_headers)
        finally:
            metrics.answered(scope, status)
            if span:
                span.end(status)
            if of_reader:
                self._tell(scope, status, time.perf_counter() - start, times.seconds())
            request_id.reset(token)

    def _add_headers(self, headers: MutableHeaders, path: str, identity: str) -> None:
        headers["X-Request-ID"] = identity
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "same-origin")
        if not path.startswith(self._without_policy):
            headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)

    def _tell(self, scope: Scope, status: int, seconds: float, stages: dict[Stage, float]) -> None:
        """A reader's request is over, and what was sent of its answer."""
        metrics.took(stages)
        if who := _user(scope) or _address(scope):
            self._active.saw(who)
        if self._access_log and logger.isEnabledFor(logging.INFO):
            entry = self._entry(scope, status, seconds, stages)
            logger.info("%(method)s %(path)s %(status)s", entry, extra=entry)

    def _entry(
        self, scope: Scope, status: int, seconds: float, stages: dict[Stage, float]
    ) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "event": "request",
            "method": scope["method"],
            # never the query string: what readers search is their own affair
            "path": scope["path"],
            "endpoint": metrics.endpoint(scope),
            "status": status,
            "ms": _milliseconds(seconds),
            "client": _address(scope),
            "user": _user(scope),
        }
        entry.update((f"{name}_ms", _milliseconds(each)) for name, each in stages.items())
        entry.update(scope.get("state", {}).get("log", {}))
        if "query" in entry:
            # with a key, or whoever reads the logs could try words until one fits
            known = hmac.digest(self._hash_key, str(entry["query"]).encode(), "sha256")
            entry["query"] = known.hex()[:16]
        return entry


def _of_reader(path: str) -> bool:
    """Whether a request is none of the many that load balancers, monitors and pages make."""
    return path not in UNCOUNTED and not path.startswith("/static/")


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 1)


def _address(scope: Scope) -> str | None:
    client = scope.get("client")
    return str(client[0]) if client else None


def _user(scope: Scope) -> str | None:
    name = getattr(scope.get("state", {}).get("user"), "name", None)
    return None if name is None else str(name)
