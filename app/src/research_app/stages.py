"""Where the time of a request goes: its stages, for its log line, for the metrics and for traces.

`stage` stands around work where that is done. A stage within another counts for itself alone, so
the stages of what is done one after the other add up to no more than the whole. Tasks and the
threads of asyncio and anyio belong to the request that started them; a thread of an executor does
where it is given `contextvars.copy_context().run`. Outside of requests nothing is measured,
and neither is what their tasks do after them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType
from typing import Literal, Protocol, get_args

# `waiting` is for a turn at OpenSearch, `model` for the words of an answer.
Stage = Literal["cache", "waiting", "opensearch", "ranking", "model", "rendering"]
STAGES: tuple[Stage, ...] = get_args(Stage)

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Spans(Protocol):
    """Makes the spans of a trace."""

    def span(self, name: Stage, attributes: Mapping[str, str]) -> AbstractContextManager[Headers]:
        """A span as long as the stage; what it gives is sent to whom the work is passed on."""

    def lasting(self, name: Stage) -> AbstractContextManager[None]:
        """A span of a stage that is left and entered again."""


Headers = Mapping[str, str]


class Times:
    """The stages of one request; several threads may work for it."""

    def __init__(self, spans: Spans | None = None) -> None:
        self.spans = spans
        self.over = False
        self._seconds: dict[Stage, float] = {}
        self._lock = threading.Lock()
        self._frame = _Frame(self)
        self._token: Token[_Frame | None] | None = None

    def __enter__(self) -> Times:
        self._token = _here.set(self._frame)
        return self

    def __exit__(self, *_: object) -> None:
        self.over = True
        assert self._token is not None  # noqa: S101
        _here.reset(self._token)

    def took(self, name: Stage, frame: _Frame, outer: _Frame, seconds: float) -> None:
        """A stage is over."""
        with self._lock:
            outer.within += seconds
            # what ran at the same time in it may have taken longer than it did itself
            alone = max(0.0, seconds - frame.within)
            self._seconds[name] = self._seconds.get(name, 0.0) + alone

    def seconds(self) -> dict[Stage, float]:
        """What each stage took until now; those that there were none of are left out."""
        with self._lock:
            return dict(self._seconds)


class _Frame:
    """A stage under way, or the whole request, and how long the stages within it took."""

    __slots__ = ("times", "within")

    def __init__(self, times: Times) -> None:
        self.times = times
        self.within = 0.0


_here: ContextVar[_Frame | None] = ContextVar("stage", default=None)


class stage:
    """Work that is a stage of the request for which it is done."""

    __slots__ = ("_attributes", "_frame", "_name", "_outer", "_span", "_start", "_token", "_traced")

    def __init__(self, name: Stage, *, traced: bool = True, **attributes: str) -> None:
        """The attributes are for traces."""
        self._name = name
        self._traced = traced
        self._attributes = attributes

    def __enter__(self) -> Headers:
        outer = _here.get()
        self._outer = outer = None if outer is None or outer.times.over else outer
        if outer is None:
            return NO_HEADERS
        times = outer.times
        self._frame = _Frame(times)
        self._token = _here.set(self._frame)
        spans = times.spans if self._traced else None
        self._span = spans and spans.span(self._name, self._attributes)
        self._start = time.perf_counter()
        return self._span.__enter__() if self._span else NO_HEADERS

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._outer is None:
            return
        seconds = time.perf_counter() - self._start
        if self._span:
            self._span.__exit__(kind, error, traceback)
        _here.reset(self._token)
        self._frame.times.took(self._name, self._frame, self._outer, seconds)


@contextlib.contextmanager
def lasting(name: Stage) -> Iterator[None]:
    """In traces one span for a stage that is left and entered again, in whichever task."""
    frame = _here.get()
    spans = None if frame is None or frame.times.over else frame.times.spans
    with spans.lasting(name) if spans else contextlib.nullcontext():
        yield
