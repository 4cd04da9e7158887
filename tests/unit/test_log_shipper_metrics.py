"""What the log shipper tells of itself, from figures of rsyslog that begin anew when it does."""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = "roles/log_shipper/templates/config/usr/local/sbin/research-log-shipper-metrics"


@pytest.fixture
def metrics(project: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the script as a module."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = SourceFileLoader("log_shipper_metrics", str(project / SCRIPT))
    module = ModuleType(loader.name)
    monkeypatch.setitem(sys.modules, loader.name, module)  # its data classes look there
    loader.exec_module(module)
    return module


def queue(enqueued: int, size: int, dropped: int = 0) -> dict[str, Any]:
    return {"enqueued": enqueued, "size": size, "discarded.full": dropped, "discarded.nf": 0}


def test_what_left_the_queue_was_sent(metrics: ModuleType) -> None:
    now = metrics.advance(metrics.Receiver(), queue(100, 30), {}, 9000, 50)
    assert (now.lines_sent_total, now.lines_dropped_total, now.spool_bytes) == (70, 0, 9000)
    later = metrics.advance(now, queue(130, 0), {}, 9000, 60)
    assert (later.lines_sent_total, later.spool_bytes) == (130, 0)


def test_what_was_dropped_or_refused_was_not_sent(metrics: ModuleType) -> None:
    now = metrics.advance(metrics.Receiver(), queue(100, 0, dropped=20), {"failed": 5}, 0, 50)
    assert (now.lines_sent_total, now.lines_dropped_total) == (75, 25)


def test_it_goes_on_counting_when_rsyslog_begins_anew(metrics: ModuleType) -> None:
    was = metrics.advance(metrics.Receiver(), queue(1000, 400), {}, 9000, 50)
    now = metrics.advance(was, queue(10, 300), {}, 9000, 60)
    assert now.lines_sent_total == 600 + 110


def test_the_time_stands_still_while_nothing_is_taken(metrics: ModuleType) -> None:
    was = metrics.advance(metrics.Receiver(), queue(10, 0), {}, 0, 50)
    held_up = metrics.advance(was, queue(20, 10), {}, 9000, 60)
    assert held_up.last_sent_timestamp_seconds == 50
    assert metrics.advance(held_up, queue(20, 0), {}, 0, 70).last_sent_timestamp_seconds == 70


def test_a_host_with_nothing_to_say_is_not_behind(metrics: ModuleType) -> None:
    was = metrics.advance(metrics.Receiver(), queue(10, 0), {}, 0, 50)
    assert metrics.advance(was, queue(10, 0), {}, 0, 60).last_sent_timestamp_seconds == 60


def test_it_reads_what_it_wrote(metrics: ModuleType) -> None:
    receivers = {"store-ops1": metrics.Receiver(1, 2, 3, 4, 5, 6, 7)}
    assert metrics.read(metrics.write(receivers)) == receivers


def test_the_newest_figures_count_and_a_broken_line_does_not(metrics: ModuleType) -> None:
    lines = [
        'Sun Nov 29 00:09:58 2026: { "name": "a queue", "size": 1 }',
        'Sun Nov 29 00:10:58 2026: { "name": "a queue", "size": 2 }',
        'Sun Nov 29 00:10:58 2026: { "name": "b queue", "si',
    ]
    assert metrics.newest(lines) == {"a queue": {"name": "a queue", "size": 2}}
