"""What hangs, or hears nothing any more, is left and replaced while people search and write.

They take minutes: the suite `scripts/test faults`.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.e2e.conftest import (
    AS_ADMINISTRATOR,
    Host,
    Lab,
    Reader,
    SearchTraffic,
    Traffic,
    ask_opensearch,
    main_process,
    ready,
    search_tier_health,
)
from tests.waiting import wait_until

# what was stopped has to come back before the next test: a search node needs a minute and more
pytestmark = [
    pytest.mark.usefixtures("everything_up"),
    pytest.mark.timeout(900),
    pytest.mark.long,
]

Record = Callable[[str], None]
PATIENCE = 10  # seconds that a reader waits for an answer


class Writer:
    """Somebody who brings in a document after the other; each must be there in the end."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.failures: list[str] = []
        self.written: list[str] = []
        self.longest = 0.0
        self._stop = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=240)

    def _run(self) -> None:
        while not self._stop.is_set():
            name = f"hang{time.time_ns()}"
            line = json.dumps({"id": name, "title": name})
            start = time.monotonic()
            path = f"/var/lib/research-app/{name}.jsonl"
            done = self.host.run(
                f"echo '{line}' >{path}; research-app ingest {path}; code=$?; rm {path};"
                " exit $code",
                timeout=240,
            )
            self.longest = max(self.longest, time.monotonic() - start)
            if done.code == 0:
                self.written.append(name)
            else:
                self.failures.append(done.err.strip().rpartition("\n")[2])
            self._stop.wait(1)

    def summary(self) -> str:
        asked = len(self.written) + len(self.failures)
        return f"{asked} ingests, {len(self.failures)} failed, longest {self.longest:.1f} s"


@pytest.fixture
def readers(authority: Path) -> SearchTraffic:
    return SearchTraffic(authority, patience=PATIENCE)


def manager(lab: Lab) -> Host:
    return lab[ask_opensearch(lab, "/_cat/cluster_manager?h=node").strip()]


def other(lab: Lab) -> Host:
    """A search node that is not the elected manager."""
    elected = manager(lab).name
    return next(host for host in lab.group("opensearch") if host.name != elected)


@contextlib.contextmanager
def stopped(host: Host, unit: str) -> Iterator[None]:
    """A process that is there and does nothing."""
    pid = main_process(host, unit)
    host.check(f"kill -STOP {pid}")
    try:
        yield
    finally:
        host.run(f"kill -CONT {pid}")


def replaced(host: Host, unit: str, seconds: float) -> float:
    """Wait until a hung process has been replaced; how long it took."""
    before = main_process(host, unit)

    def again() -> bool:
        state = f"systemctl show -P MainPID -P ActiveState {unit}"
        found = host.run(state).out.split()
        return "active" in found and before not in found

    return wait_until(again, seconds, f"{unit} of {host.name} replaced")


def settled(traffic: Traffic) -> float:
    """Wait until searches are answered again, one after the other; seconds waited."""
    start = time.monotonic()
    seen = len(traffic.failures)
    quiet = time.monotonic()
    while time.monotonic() - quiet < 3 and time.monotonic() - start < 120:
        time.sleep(0.2)
        if len(traffic.failures) > seen:
            seen, quiet = len(traffic.failures), time.monotonic()
    return quiet - start


def test_an_application_that_hangs_is_replaced(
    lab: Lab, readers: SearchTraffic, record: Record
) -> None:
    app = lab["app1"]
    with readers as traffic, stopped(app, "research-app"):
        seconds = replaced(app, "research-app", 60)
        seconds += wait_until(lambda: ready(app), 60, "app1 ready again")
    record(f"{traffic.summary('application stopped (SIGSTOP)')}; ready again after {seconds:.0f} s")
    assert seconds <= 45
    assert len(traffic.failures) <= 2, traffic.failures
    assert traffic.longest_gap <= 5


def test_a_worker_that_hangs_is_replaced(lab: Lab, record: Record) -> None:
    app = lab["app2"]
    with stopped(app, "research-worker"):
        seconds = replaced(app, "research-worker", 90)
    record(f"worker stopped (SIGSTOP): replaced after {seconds:.0f} s")
    assert seconds <= 45


def test_a_search_node_that_hangs_is_hardly_noticed(
    lab: Lab, readers: SearchTraffic, record: Record
) -> None:
    node = other(lab)
    with readers as traffic, stopped(node, "opensearch"):
        left = wait_until(
            lambda: (
                f" {node.name} " not in ask_opensearch(lab, "/_cat/nodes?h=ip,name,v", node.name)
            ),
            60,
            f"{node.name} left",
        )
        time.sleep(5)
    record(f"{traffic.summary('search node stopped (SIGSTOP)')}; left after {left:.1f} s")
    assert len(traffic.failures) <= 2, traffic.failures
    assert traffic.longest_gap <= 5


def test_nobody_waits_long_for_a_search_tier_that_is_down(
    lab: Lab, reader: Reader, record: Record
) -> None:
    waits: list[float] = []
    for host in lab.group("opensearch"):
        host.check("systemctl kill --signal=KILL opensearch")
    start = time.monotonic()
    while time.monotonic() - start < 30:
        asked = time.monotonic()
        page = reader.get("/", {"Accept": "text/html"}, q=f"nobody {asked}")
        if page.status == 200:
            break
        waits.append(time.monotonic() - asked)
        assert page.status == 503
        assert b"<html" in page.body.lower()
        time.sleep(0.5)
    back = wait_until(lambda: reader.get("/ready").status == 200, 300, "searches again")
    seconds = time.monotonic() - start
    record(
        f"all search nodes killed: {len(waits)} pages, the slowest after {max(waits):.1f} s; "
        f"searches again after {seconds:.0f} s"
    )
    assert back
    assert max(waits) <= 3


def test_a_shard_that_the_cluster_has_given_up_is_tried_again(lab: Lab, record: Record) -> None:
    """Five tries fail, since the node may not read it for a moment."""
    name = "e2e-given-up"

    def send(method: str, path: str, body: str = "{}") -> str:
        header = "-H 'content-type: application/json'"
        url = f"https://os1:9200/{name}{path}"
        return lab["os1"].check(f"{AS_ADMINISTRATOR} -X{method} {header} '{url}' -d '{body}'")

    def status() -> str:
        return str(json.loads(ask_opensearch(lab, f"/_cluster/health/{name}"))["status"])

    one = {"number_of_shards": 1, "number_of_replicas": 0}
    send("PUT", "", json.dumps({"settings": {"index": one}}))
    try:
        holder = lab[ask_opensearch(lab, f"/_cat/shards/{name}?h=node").strip()]
        uuid = ask_opensearch(lab, f"/_cat/indices/{name}?h=uuid").strip()
        folder = holder.check(
            f"find /var/lib/opensearch -type d -path '*{uuid}/0/translog'"
        ).strip()
        send("POST", "/_close")
        holder.check(f"chown root {folder}; chmod 700 {folder}")
        try:
            send("POST", "/_open?wait_for_active_shards=0")
            explain = json.dumps({"index": name, "shard": 0, "primary": True})
            url = "https://os1:9200/_cluster/allocation/explain"
            command = f"{AS_ADMINISTRATOR} -H 'content-type: application/json' {url} -d '{explain}'"
            wait_until(lambda: "max_retry" in lab["os1"].check(command), 60, "it was given up")
        finally:
            holder.check(f"chown opensearch {folder}")
        seconds = wait_until(lambda: status() == "green", 90, "it was tried again")
    finally:
        send("DELETE", "")
    record(f"a shard that was given up: served again after {seconds:.0f} s")


def test_a_manager_that_hangs_is_replaced_by_another(
    lab: Lab, readers: SearchTraffic, record: Record
) -> None:
    node = manager(lab)
    with readers as traffic, Writer(lab["app3"]) as writer, stopped(node, "opensearch"):
        elected = wait_until(
            lambda: (
                ask_opensearch(lab, "/_cat/cluster_manager?h=node", node.name).strip()
                not in ("", node.name)
            ),
            60,
            "another manager",
        )
        time.sleep(40)
    record(
        f"{traffic.summary('elected manager stopped (SIGSTOP)')}; another after {elected:.1f} s; "
        f"{writer.summary()}"
    )
    assert traffic.longest_gap <= 15
    assert writer.failures == []


def test_a_manager_that_hears_nothing_is_left_and_all_heals(
    lab: Lab, readers: SearchTraffic, record: Record
) -> None:
    node = manager(lab)
    rule = "INPUT -p tcp -m multiport --ports 9300 -j DROP"
    with readers as traffic, Writer(lab["app3"]) as writer:
        node.check(f"iptables -I {rule}")
        try:
            time.sleep(60)
        finally:
            node.check(f"iptables -D {rule}")
        healed = wait_until(
            lambda: search_tier_health(lab)["unassigned_shards"] == 0, 240, "all assigned"
        )
        settled(traffic)
    record(
        f"{traffic.summary('elected manager hears nothing for 60 s')}; "
        f"every copy assigned {healed:.0f} s later; {writer.summary()}"
    )
    assert writer.failures == []
