"""What was used over days: the questions are evaluated by Prometheus' own engine."""

from __future__ import annotations

import json
import math
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml
from ansible.module_utils.metrics_usage import (
    MetricsError,
    Store,
    fullest,
    questions,
    resolution,
    used,
)

APP = {
    "unit": "research-app.service",
    "memory": 'process_resident_memory_bytes{job="app"}',
    "cpu": 'process_cpu_seconds_total{job="app"}',
}
SEARCH = {
    "unit": "opensearch.service",
    "pool": {
        "kind": "heap",
        "used": 'elasticsearch_jvm_memory_used_bytes{area="heap"}',
        "limit": 'elasticsearch_jvm_memory_max_bytes{area="heap"}',
    },
}
GIB = 1024**3


def evaluated(
    promtool: Path, folder: Path, series: dict[str, str], wanted: dict[str, float]
) -> None:
    """Assert what questions say after six hours of samples, one every five minutes."""
    asked = questions(30, [APP, SEARCH])
    test = {
        "rule_files": [],
        "evaluation_interval": "5m",
        "tests": [
            {
                "interval": "5m",
                "input_series": [{"series": k, "values": v} for k, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f"round({asked[key]}, 0.001)",
                        "eval_time": "6h",
                        "exp_samples": [
                            {"labels": labels_of(key), "value": value},
                        ],
                    }
                    for key, value in wanted.items()
                ],
            }
        ],
    }
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def labels_of(key: str) -> str:
    return '{host="a", mountpoint="/"}' if key.startswith("disk ") else '{host="a"}'


# Six hours are 73 samples. One core of two is busy in the first half, then both are.
SERIES = {
    'up{job="node",host="a"}': "1x72",
    'node_cpu_seconds_total{job="node",host="a",cpu="0",mode="idle"}': "0x72",
    'node_cpu_seconds_total{job="node",host="a",cpu="0",mode="user"}': "0+300x72",
    'node_cpu_seconds_total{job="node",host="a",cpu="1",mode="idle"}': "0+300x36 10800x36",
    'node_cpu_seconds_total{job="node",host="a",cpu="1",mode="system"}': "0x36 0+300x36",
    'node_memory_MemTotal_bytes{job="node",host="a"}': "8000x72",
    'node_memory_MemAvailable_bytes{job="node",host="a"}': "7000x70 2000 7000",
    'node_disk_read_bytes_total{job="node",host="a",device="sda"}': "0+300x72",
    'node_disk_read_bytes_total{job="node",host="a",device="dm-0"}': "0+300x72",
    'node_disk_written_bytes_total{job="node",host="a",device="sda"}': "0+600x72",
    'node_network_receive_bytes_total{job="node",host="a",device="eth0"}': "0+3000x72",
    'node_network_receive_bytes_total{job="node",host="a",device="lo"}': "0+9000x72",
    'node_network_transmit_bytes_total{job="node",host="a",device="eth0"}': "0+6000x72",
    'node_filesystem_avail_bytes{job="node",host="a",mountpoint="/",fstype="ext4"}': (
        "1000000-3000x72"
    ),
    'node_filesystem_size_bytes{job="node",host="a",mountpoint="/",fstype="ext4"}': "2000000x72",
    'process_resident_memory_bytes{job="app",host="a"}': "500x72",
    'process_cpu_seconds_total{job="app",host="a"}': "0+150x72",
    # Between the collections, each hour, it holds garbage; what lives is its lowest.
    'elasticsearch_jvm_memory_used_bytes{area="heap",host="a"}': " ".join(
        ["400 600 900 700 500 600 700 800 900 900 900 900"] * 6
    ),
    'elasticsearch_jvm_memory_max_bytes{area="heap",host="a"}': "1000x72",
}


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"days": 73 * 300 / 86400}, id="for how long there are figures"),
        pytest.param({"host cpu p50": 100, "host cpu peak": 200}, id="percent of one core"),
        pytest.param({"host memory p50": 1000, "host memory peak": 6000}, id="memory"),
        pytest.param({"host disk_io p95": 3}, id="a disk below another counts once"),
        pytest.param({"host network mean": 30}, id="loopback is no network"),
        pytest.param({"disk growth": 10, "disk size": 2000000, "disk free": 784000}, id="disks"),
        pytest.param(
            {
                "service research-app.service memory p95": 500,
                "service research-app.service cpu p50": 50,
            },
            id="a service",
        ),
        pytest.param(
            {
                "service opensearch.service pool p95": 400,
                "service opensearch.service pool limit": 1000,
            },
            id="what lives in a heap, without the garbage",
        ),
    ],
)
def test_prometheus_engine_answers_what_was_meant(
    promtool: Path, tmp_path: Path, wanted: dict[str, float]
) -> None:
    evaluated(promtool, tmp_path, SERIES, {key: round(value, 3) for key, value in wanted.items()})


def test_years_are_asked_for_in_larger_steps() -> None:
    assert resolution(7) == 60  # so that a store of some minutes has something to tell
    assert resolution(8) == resolution(30) == 300
    assert resolution(365) == 660
    # No store keeps more points than this for one series of an inner question.
    assert all(days * 86400 / resolution(days) <= 50_000 for days in (1, 7, 30, 174, 365, 1825))
    assert "[1825d:" in questions(1825, [])["host cpu p95"]


class Answers(BaseHTTPRequestHandler):
    """A store of metrics that knows two hosts."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        query = parse_qs(body)["query"][0]
        reply = json.dumps(self.reply(query)).encode()
        self.send_response(422 if "bad" in self.path else 200)
        self.end_headers()
        self.wfile.write(reply)

    def reply(self, query: str) -> dict[str, Any]:
        if self.path.startswith("/bad"):
            return {"status": "error", "errorType": "bad_data", "error": "query too long"}
        days = 20.0 if self.path.startswith("/old") else 0.5
        result: list[tuple[dict[str, str], float]] = []
        if query == questions(30, [APP])["days"]:
            result = [({"host": "a"}, days), ({"host": "b"}, days / 2)]
        elif query == questions(30, [APP])["host cpu p95"]:
            result = [({"host": "a"}, 120.5), ({"host": "b"}, math.nan)]
        elif query == questions(30, [APP])["disk size"]:
            mounts = {"/": 4e9, "/x": 1.0}
            result = [({"host": "a", "mountpoint": name}, size) for name, size in mounts.items()]
        elif query == questions(30, [APP])["disk growth"]:
            result = [({"host": "a", "mountpoint": "/"}, -2.0)]
        elif query == questions(30, [APP])["service research-app.service memory peak"]:
            result = [({"host": "b"}, 5e8)]
        found = [{"metric": labels, "value": [1.0, str(value)]} for labels, value in result]
        return {"status": "success", "data": {"resultType": "vector", "result": found}}

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_answers_are_sorted_by_host_service_and_disk(url: str) -> None:
    found = used(Store(url), 30, [APP])
    assert found["a"]["days"] == 0.5
    assert found["a"]["host"]["cpu"] == {"p95": 120.5}
    assert found["a"]["disks"] == {"/": {"size": 4e9, "growth": -2.0}, "/x": {"size": 1.0}}
    # What is not a number was not measured.
    assert found["b"]["host"] == {}
    assert found["b"]["services"] == {"research-app.service": {"memory": {"peak": 5e8}}}


def test_the_store_that_goes_back_furthest_is_asked(url: str) -> None:
    young, old = url, url + "/old"
    away = "http://127.0.0.1:1"
    chosen, problems = fullest([young, away, old], 30)
    assert chosen is not None and chosen.url == old
    assert len(problems) == 1
    assert problems[0].startswith("http://127.0.0.1:1 does not answer: ")


def test_where_no_store_answers_each_says_why(url: str) -> None:
    chosen, problems = fullest([url + "/bad"], 30)
    assert chosen is None
    assert problems == [f"{url}/bad refuses the question: query too long"]


def test_an_answer_that_is_none_is_an_error(url: str) -> None:
    with pytest.raises(MetricsError, match=re.escape("refuses the question: query too long")):
        Store(url + "/bad").ask("up")


@pytest.mark.parametrize("days", [0, -1])
def test_no_days_are_refused(days: int) -> None:
    with pytest.raises(MetricsError, match=f"days is {days}: it takes at least 1"):
        questions(days, [])
