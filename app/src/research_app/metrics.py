"""What Prometheus is told: counters of this process, and the state of its parts when it asks.

Jobs are done by other processes, so their numbers are kept in the cache tier with them: every
node tells the same ones.
"""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.types import Scope

from research_app.stages import STAGES, Stage

if TYPE_CHECKING:
    from research_app.services import Services

CONTENT_TYPE = CONTENT_TYPE_LATEST
ACTIVE_SECONDS = 300.0
MOST_USERS = 50_000

SEARCH_REQUESTS = Counter("search_requests", "Searches, from the cache or not.")
SEARCH_ERRORS = Counter("search_errors", "Searches that could not be answered.")
SEARCH_SECONDS = Histogram(
    "search_duration_seconds",
    "Time of a search, from the cache or not.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 8, 10),
)
SEARCHES_TURNED_AWAY = Counter("searches_turned_away", "Searches refused since too many waited.")
API_ERRORS = Counter("api_errors", "Answers with a status of 500 or more.", ["endpoint"])
REQUESTS = Counter("http_requests", "Answers.", ["endpoint", "status"])
STAGE_SECONDS = Histogram(
    "research_request_stage_seconds",
    "Time of a request in one of its stages, all together.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
_STAGE_SECONDS = {name: STAGE_SECONDS.labels(name) for name in STAGES}
CACHE = Counter("search_cache", "What the cache knew of a search.", ["outcome"])


@contextlib.contextmanager
def searching() -> Iterator[None]:
    """Count and time one search."""
    SEARCH_REQUESTS.inc()
    start = time.perf_counter()
    try:
        yield
    except Exception:
        SEARCH_ERRORS.inc()
        raise
    finally:
        SEARCH_SECONDS.observe(time.perf_counter() - start)


class ActiveUsers:
    """Who was here in the last minutes: names or addresses, in memory only."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, float] = OrderedDict()

    def saw(self, who: str) -> None:
        """Somebody sent a request."""
        self._seen[who] = time.monotonic()
        self._seen.move_to_end(who)
        if len(self._seen) > MOST_USERS:
            self._seen.popitem(last=False)

    def count(self) -> int:
        """How many different ones there were."""
        oldest = time.monotonic() - ACTIVE_SECONDS
        while self._seen and next(iter(self._seen.values())) < oldest:
            self._seen.popitem(last=False)
        return len(self._seen)


def endpoint(scope: Scope) -> str:
    """The route of a request; never its path, which could be anything."""
    path = getattr(scope.get("route"), "path", None)
    if path is not None:
        return str(path)
    for folder in ("/static", "/assistant"):
        if scope["path"] == folder or scope["path"].startswith(folder + "/"):
            return folder
    return "other"


def answered(scope: Scope, status: int) -> None:
    """Count an answer."""
    where = endpoint(scope)
    REQUESTS.labels(where, str(status)).inc()
    if status >= 500:
        API_ERRORS.labels(where).inc()


def took(seconds: dict[Stage, float]) -> None:
    """Note the stages of a request."""
    for name, value in seconds.items():
        _STAGE_SECONDS[name].observe(value)


def allowed(address: str | None, networks: Iterable[str]) -> bool:
    """Whether an address may read the metrics."""
    try:
        here = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    here = getattr(here, "ipv4_mapped", None) or here
    return any(here in ipaddress.ip_network(network) for network in networks)


async def page(parts: Services) -> bytes:
    """Everything there is to tell now."""
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float, **labels: str) -> None:
        found = made.get(name)
        if found is None:
            found = made[name] = Gauge(name, text, list(labels), registry=registry)
        (found.labels(**labels) if labels else found).set(value)

    made: dict[str, Gauge] = {}
    gauge("active_users", "Users or addresses of the last five minutes.", parts.active.count())
    gauge("http_requests_in_flight", "Requests under way.", parts.drain.pending)
    gauge("http_streams_in_flight", "Of these, event streams.", parts.drain.streams)
    for state, value in parts.gate.state().items():
        gauge(
            "searches_in_flight", "Requests to OpenSearch, running or waiting.", value, state=state
        )
    gauge("opensearch_pool_limit", "Connections per node.", parts.settings.opensearch.pool_maxsize)
    in_use, limit = parts.cache.pool()
    gauge("cache_pool_in_use", "Connections to the cache in use.", in_use)
    gauge("cache_pool_limit", "Connections to the cache that may be.", limit)
    jobs = await _jobs(parts)
    return bytes(generate_latest(REGISTRY) + generate_latest(registry) + jobs)


async def _jobs(parts: Services) -> bytes:
    from research_app.jobs.record import JobsUnavailableError  # noqa: PLC0415 - a cycle

    if not parts.jobs.enabled:
        return b""
    registry = CollectorRegistry()
    up = Gauge("jobs_queue_up", "Whether the queue answers.", registry=registry)
    try:
        depth, counts, workers = await parts.jobs.numbers()
    except JobsUnavailableError:
        return bytes(generate_latest(registry))
    up.set(1)
    Gauge("jobs_workers", "Workers that live.", registry=registry).set(workers)
    depths = Gauge("jobs_depth", "Jobs that are not over.", ["state"], registry=registry)
    for state, value in depth.items():
        depths.labels(state).set(value)
    _count(registry, counts)
    return bytes(generate_latest(registry))


def _count(registry: CollectorRegistry, counts: dict[str, Any]) -> None:
    outcomes = Counter("jobs", "Jobs that ended.", ["kind", "outcome"], registry=registry)
    seconds = Counter("jobs_seconds", "Time that jobs took.", ["kind"], registry=registry)
    for name, value in counts.items():
        kind, _, outcome = name.partition(":")
        if outcome == "seconds":
            seconds.labels(kind).inc(value)
        else:
            outcomes.labels(kind, outcome).inc(value)
