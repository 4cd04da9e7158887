"""Traces by OTLP, against a receiver that reads the protocol; and that nobody pays who has none."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import importlib.util
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from conftest import FakeAccounts, FakeHealth, FakePassage, Site, make_settings
from fastapi.testclient import TestClient
from model_server import OPENAI, Model, serving
from opensearchpy import AsyncTransport
from opensearchpy.exceptions import TransportError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from research_app.answer.service import AnswerService, provider_of
from research_app.auth.service import Auth
from research_app.factory import create_app
from research_app.logs import request_id
from research_app.services import build
from research_app.settings import SettingsError
from research_app.stages import Times, stage
from research_app.traces import RequestIds, Share, Traces

FOUND = {
    "took": 1,
    "timed_out": False,
    "_shards": {"total": 1, "failed": 0},
    "hits": {"total": {"value": 0}, "hits": []},
    "aggregations": {},
    "suggest": {"words": []},
}
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
WORDS = "my private illness"


class Receiver:
    """What a collector is to those who send: it takes OTLP over HTTP and keeps the spans."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.url = ""
        self.paths: set[str] = set()
        self.resource: dict[str, str] = {}

    def spans(self) -> dict[str, Span]:
        """The spans by name, the last one of each."""
        return {span.name: span for span in self.all_spans()}

    def all_spans(self) -> list[Span]:
        """The spans."""
        found: list[Span] = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resource = attributes(resource.resource)
                for scope in resource.scope_spans:
                    found += scope.spans
        return found


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span; a list is its values with commas."""

    def plain(value: Any) -> Any:
        kind = value.WhichOneof("value")
        if kind == "array_value":
            return ",".join(each.string_value for each in value.array_value.values)
        return getattr(value, kind)

    return {each.key: plain(each.value) for each in of.attributes}


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port."""
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            zipped = self.headers.get("Content-Encoding") == "gzip"
            told.bodies.append(gzip.decompress(body) if zipped else body)
            told.paths.add(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme, host = ("http", "127.0.0.1") if context is None else ("https", "localhost")
    told.url = f"{scheme}://{host}:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as told:
        yield told


class FakeCluster:
    """Finds nothing, and notes what it is sent; `failure` is raised instead."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.failure: Exception | None = None

    async def perform(self, *_: Any, headers: dict[str, str] | None = None, **__: Any) -> Any:
        self.headers.append(headers or {})
        if self.failure:
            raise self.failure
        return FOUND


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    fake = FakeCluster()
    monkeypatch.setattr(AsyncTransport, "perform_request", fake.perform)
    return fake


def get(address: str, headers: dict[str, str] | None = None, **traces: Any) -> Any:
    """Ask an application of its own, which ends; so all of its spans are sent."""
    parts = build(make_settings(traces=traces))
    auth = Auth(parts.settings, FakeAccounts())  # type: ignore[arg-type]
    parts = dataclasses.replace(parts, auth=auth, health=FakeHealth())  # type: ignore[arg-type]
    with TestClient(create_app(parts.settings, parts), raise_server_exceptions=False) as client:
        return client.get(address, headers=headers)


def test_a_trace_of_the_edge_goes_on_to_opensearch(
    receiver: Receiver, cluster: FakeCluster
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "edge-12345678"}
    headers["tracestate"] = "reader=illness"
    answer = get(f"/api/search?q={WORDS}", headers, endpoint=receiver.url)
    assert answer.status_code == 200
    spans = receiver.spans()
    assert receiver.paths == {"/v1/traces"}
    assert receiver.resource["service.name"] == "research-app"
    root, asked = spans["GET /api/search"], spans["opensearch"]
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert root.parent_span_id.hex() == PARENT
    assert spans.keys() >= {"waiting", "rendering"}
    assert {span.parent_span_id for span in spans.values() if span is not root} == {root.span_id}
    assert (root.kind, asked.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert attributes(root) == {
        "http.request.method": "GET",
        "http.route": "/api/search",
        "http.response.status_code": 200,
        "request_id": "edge-12345678",
    }
    assert attributes(asked) == {
        "db.system.name": "opensearch",
        "db.operation.name": "_search",
        "http.request.method": "POST",
        "http.request.header.x-opaque-id": "edge-12345678",
    }
    sent = [each for each in cluster.headers if each.get("X-Opaque-Id") == "edge-12345678"]
    assert [each["traceparent"] for each in sent] == [f"00-{TRACE}-{asked.span_id.hex()}-01"]
    for span in spans.values():
        assert root.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    assert "tracestate" not in sent[0]
    for body in receiver.bodies:
        for word in WORDS.split():
            assert word.encode() not in body


@pytest.mark.parametrize(
    ("given", "trace"),
    [
        ("7c9e6679-7425-40de-944b-e07fc1f90ae7", "7c9e6679742540de944be07fc1f90ae7"),
        ("7C9E6679742540DE944BE07FC1F90AE7", "7c9e6679742540de944be07fc1f90ae7"),
        ("0" * 32, ""),
        ("edge-12345678", ""),
    ],
)
def test_a_trace_that_nobody_began_is_called_as_its_request(given: str, trace: str) -> None:
    token = request_id.set(given)
    try:
        made = f"{RequestIds().generate_trace_id():032x}"
    finally:
        request_id.reset(token)
    assert made == trace if trace else made.replace("0", "")


@pytest.mark.parametrize("carried", ["", "00-nonsense", f"00-{'0' * 32}-{PARENT}-01"])
def test_a_header_that_is_none_begins_a_trace(
    receiver: Receiver, cluster: FakeCluster, carried: str
) -> None:
    headers = {"traceparent": carried, "X-Request-ID": TRACE}
    get("/api/search?q=anything", headers, endpoint=receiver.url)
    root = receiver.spans()["GET /api/search"]
    assert (root.trace_id.hex(), root.parent_span_id) == (TRACE, b"")


def test_an_error_is_told_without_its_text(receiver: Receiver, cluster: FakeCluster) -> None:
    cluster.failure = TransportError(400, f"cannot parse [{WORDS}]", {"error": WORDS})
    assert get(f"/api/search?q={WORDS}", endpoint=receiver.url).status_code == 503
    spans = receiver.spans()
    assert spans["opensearch"].status.code == Status.STATUS_CODE_ERROR
    assert attributes(spans["opensearch"])["error.type"] == "TransportError"
    assert spans["GET /api/search"].status.code == Status.STATUS_CODE_ERROR
    assert b"illness" not in b"".join(receiver.bodies)


def test_what_no_reader_asks_for_is_no_trace(receiver: Receiver, cluster: FakeCluster) -> None:
    get("/live", endpoint=receiver.url)
    assert receiver.bodies == []


def test_a_model_is_one_span_however_much_it_writes(site: Site, receiver: Receiver) -> None:
    async def ask() -> str:
        async with serving(Model(lines=OPENAI)) as model:
            section = {"provider": "openai", "url": f"{model.url}/v1", "model": "m"}
            settings = make_settings(answer=section, traces={"endpoint": receiver.url})
            answers = AnswerService(settings.answer, site.search, provider_of(settings))
            app = create_app(settings, dataclasses.replace(site.services, answers=answers))
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://library") as client,
            ):
                return (await client.get(f"/api/answer?q={WORDS}")).text

    site.search.found_passages = [FakePassage("Zebras have stripes.")]
    assert "event: done" in asyncio.run(ask())
    spans = receiver.spans()
    assert [span.name for span in receiver.all_spans()].count("model") == 1
    assert spans["model"].parent_span_id == spans["GET /api/answer"].span_id
    assert b"illness" not in b"".join(receiver.bodies)
    assert b"tripes" not in b"".join(receiver.bodies)


def test_spans_of_threads_belong_to_the_request(receiver: Receiver) -> None:
    def work() -> None:
        with stage("ranking"):
            pass

    async def run() -> None:
        traces = Traces(make_settings(traces={"endpoint": receiver.url}).traces)
        scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
        span = traces.request(scope)
        with Times(traces), stage("rendering"):
            await asyncio.to_thread(work)
        span.end(200)
        await traces.close()

    asyncio.run(run())
    spans = receiver.spans()
    assert spans["ranking"].parent_span_id == spans["rendering"].span_id
    assert spans["rendering"].parent_span_id == spans["GET other"].span_id


def test_a_share_is_a_share_of_requests_and_not_for_readers_to_choose(
    receiver: Receiver, cluster: FakeCluster
) -> None:
    sampler = Share(0.25)
    taken = [
        sampler.should_sample(None, uuid.uuid4().int, "x").decision.is_sampled()
        for _ in range(4000)
    ]
    assert 0.2 < sum(taken) / len(taken) < 0.3
    headers = {"traceparent": f"00-{TRACE[:-14] + 'f' * 14}-{PARENT}-01"}
    get("/api/search?q=anything", headers, endpoint=receiver.url, share=0.25)
    assert receiver.bodies == []
    assert cluster.headers[-1]["traceparent"].endswith("-00")


def test_tls_is_verified(tmp_path: Path, cluster: FakeCluster) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with receiving(context) as told:
        get("/api/search?q=anything", endpoint=told.url)
        assert told.bodies == []
        get("/api/search?q=anything", endpoint=told.url, tls_ca=str(tmp_path / "ca.pem"))
        assert "GET /api/search" in told.spans()


def test_a_receiver_that_is_away_costs_a_few_seconds_at_the_end(cluster: FakeCluster) -> None:
    start = time.monotonic()
    answer = get("/api/search?q=anything", endpoint="http://127.0.0.1:9")
    assert answer.status_code == 200
    assert time.monotonic() - start < 8


def test_the_address_is_one_that_can_be_trusted() -> None:
    with pytest.raises(SettingsError, match="plain http is accepted for this machine's own"):
        make_settings(traces={"endpoint": "http://collector:4318"})
    with pytest.raises(SettingsError, match=r"traces\.share"):
        make_settings(traces={"share": 0})


def test_a_missing_extra_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(traces={"endpoint": "http://127.0.0.1:4318"})
    settings.check_serving()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="the extra traces of research-app is not installed"):
        settings.check_serving()


SERVED = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[:2] == ["opentelemetry", "sdk"]:
            raise ModuleNotFoundError(name)
if sys.argv[1] == "missing":
    sys.meta_path.insert(0, Missing())
from conftest import Site
site = Site()
assert site.get("/?q=anything").status_code == 200
others = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto")
print([name for name in sys.modules if name.startswith((*others, "research_app.traces"))])
"""
ELSEWHERE = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
from conftest import Site
assert Site().get("/api/search?q=anything").status_code == 200
print([dict(span.attributes) for span in kept.get_finished_spans()])
"""


def run(script: str, *arguments: str) -> str:
    """Run a script in a process of its own; return what it printed."""
    command = [sys.executable, "-c", script, *arguments]
    folder = Path(__file__).parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("extra", ["missing", "installed"])
def test_nothing_of_it_is_imported_where_it_is_off(extra: str) -> None:
    """FastAPI imports OpenTelemetry's interface, and redis its metrics where they are there."""
    assert run(SERVED, extra) == "[]"


def test_queries_are_in_no_spans_of_the_framework() -> None:
    """FastAPI has them in its own spans, where anything in the process records spans."""
    assert run(ELSEWHERE) == "[]"
