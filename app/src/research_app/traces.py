"""Traces by OTLP: a span of each request, of its stages, and of what it asks OpenSearch.

Imported only where `traces.endpoint` is set; it needs the extra `traces`. A trace that an edge or
a proxy before it began goes on (W3C `traceparent`). Else its id is that of the request without
hyphens, so that who has the one has the other.

What readers search for is theirs: no span holds a query, a path or the text of an error. So no
provider is registered for all either: FastAPI would make spans of its own, with the query in them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextvars import Token

import requests
from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, TraceState, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes
from starlette.types import Scope

from research_app import __version__, metrics
from research_app.logs import request_id
from research_app.settings import Traces as Section
from research_app.stages import NO_HEADERS, Headers, Stage

EXPORT_SECONDS = 3.0
# the process does not wait longer for a receiver when it leaves
CLOSE_SECONDS = 3.0

_TRACE_ID = re.compile(r"(?=.*[^0])[0-9a-f]{32}")
# The last 56 bits of an id are random, says W3C; those before them are not in an UUID.
_RANDOM = 1 << 56
_CARRIED = b"traceparent"  # and no tracestate: readers could write into it what they like
# How a reader who leaves and a text that is over are told: no failures.
_ENDS = (asyncio.CancelledError, GeneratorExit, StopAsyncIteration)
_propagator = TraceContextTextMapPropagator()


class Share(Sampler):
    """Takes a part of all traces, and always the same ones.

    Whether the trace was to be recorded where it came from does not count: readers could say so.
    """

    def __init__(self, share: float) -> None:
        self._below = round(share * _RANDOM)

    def should_sample(  # noqa: PLR0917 - as the library calls it
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide on a span by its trace."""
        taken = trace_id % _RANDOM < self._below
        decision = Decision.RECORD_AND_SAMPLE if taken else Decision.DROP
        return SamplingResult(decision, attributes if taken else None, trace_state)

    def get_description(self) -> str:
        """Name it."""
        return f"Share{{{self._below / _RANDOM}}}"


class RequestIds(RandomIdGenerator):
    """Calls the trace of a request as the request."""

    def generate_trace_id(self) -> int:
        """The id of a new trace."""
        plain = (request_id.get() or "").replace("-", "").lower()
        return int(plain, 16) if _TRACE_ID.fullmatch(plain) else super().generate_trace_id()


class Traces:
    """Makes spans and sends them, in a thread of its own."""

    def __init__(self, section: Section) -> None:
        session = requests.Session()
        session.trust_env = False  # a bundle named there would count, and this one would not
        exporter = OTLPSpanExporter(
            f"{section.endpoint}/v1/traces",
            certificate_file=section.tls_ca or ssl.get_default_verify_paths().cafile,
            timeout=EXPORT_SECONDS,
            session=session,
        )
        about = {
            "service.name": "research-app",
            "service.version": __version__,
            "host.name": socket.gethostname(),
        }
        self._provider = TracerProvider(
            sampler=Share(section.share),
            resource=Resource.create(about),
            id_generator=RequestIds(),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("research_app", __version__)

    def request(self, scope: Scope) -> RequestSpan:
        """The span of a request, which begins."""
        carried = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name == _CARRIED
        }
        attributes = {"http.request.method": scope["method"], "request_id": request_id.get() or ""}
        span = self._tracer.start_span(
            str(scope["method"]),
            _propagator.extract(carried, Context()),
            SpanKind.SERVER,
            attributes,
        )
        return RequestSpan(span, scope)

    @contextlib.contextmanager
    def span(self, name: Stage, about: Mapping[str, str]) -> Iterator[Headers]:
        """A span within the one around it."""
        asks = name == "opensearch"
        attributes = _of_call(about) if asks else None
        kind = SpanKind.CLIENT if asks else SpanKind.INTERNAL
        span = self._tracer.start_span(name, kind=kind, attributes=attributes)
        token = contexts.attach(set_span_in_context(span))
        try:
            with _ending(span):
                yield _carried() if asks else NO_HEADERS
        finally:
            contexts.detach(token)

    @contextlib.contextmanager
    def lasting(self, name: Stage) -> Iterator[None]:
        """A span that is nobody's parent, and so may end in another task than it began in."""
        with _ending(self._tracer.start_span(name)):
            yield

    async def close(self) -> None:
        """Send what is left, if that is quick."""
        # the library waits for half a minute, and no thread of asyncio's may
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, CLOSE_SECONDS)


class RequestSpan:
    """The span of a request under way."""

    def __init__(self, span: Span, scope: Scope) -> None:
        self._span = span
        self._scope = scope
        self._token: Token[Context] = contexts.attach(set_span_in_context(span, Context()))

    def end(self, status: int) -> None:
        """It was answered."""
        contexts.detach(self._token)
        route = metrics.endpoint(self._scope)
        self._span.update_name(f"{self._scope['method']} {route}")
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


@contextlib.contextmanager
def _ending(span: Span) -> Iterator[None]:
    """Of an error it tells the kind: its text may be the words of a reader."""
    try:
        yield
    except _ENDS:
        raise
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(StatusCode.ERROR)
        raise
    finally:
        span.end()


def _of_call(about: Mapping[str, str]) -> dict[str, str | Sequence[str]]:
    path = about["url"].partition("?")[0]
    operation = next((part for part in path.split("/") if part.startswith("_")), "")
    return {
        "db.system.name": "opensearch",
        "db.operation.name": operation,
        "http.request.method": about["method"],
        "http.request.header.x-opaque-id": (about["opaque_id"],),
    }


def _carried() -> Headers:
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers
