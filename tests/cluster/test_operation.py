"""Everything a sysadmin does to a running cluster costs no document and no search.

The tests follow each other on one cluster.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from tests.cluster.conftest import Cluster, Run, Traffic, missing, nothing_lost

pytestmark = pytest.mark.timeout(2400)

Record = Callable[[str], None]
Busy = Callable[[], Traffic]


def restarts(run: Run) -> list[str]:
    """Return the nodes that a run restarted, in order."""
    return re.findall(r"\(3/5\) Restart the service.*?\n(?:\S.*\n)*?changed: \[(\w+)\]", run.output)


def test_nothing_to_do_restarts_nothing(cluster: Cluster, traffic: Busy, record: Record) -> None:
    before = {host.name: host.started() for host in cluster.hosts.values()}
    with traffic() as seen:
        run = cluster.play("opensearch.yml").succeeded()
    assert run.changed == {}
    assert {host.name: host.started() for host in cluster.hosts.values()} == before
    nothing_lost(cluster, seen, record, f"nothing to do, {run.seconds:.0f} s")


def test_rolling_restart(cluster: Cluster, traffic: Busy, record: Record) -> None:
    with traffic() as seen:
        started = time.monotonic()
        cluster["os1"].check("systemctl restart opensearch")
        cluster.wait_for_green()
        bare = time.monotonic() - started
        run = cluster.play("rolling_restart.yml").succeeded()
    assert sorted(restarts(run)) == ["os1", "os2", "os3"]
    steps = re.findall(r"Restart \| (?:\([345]/5\)|Put).* -+ ([\d.]+)s", run.output)
    each = sum(map(float, steps)) / 3
    record(
        f"rolling restart: {run.seconds / 3:.0f} s a node, {each:.0f} s of them from its stop to "
        f"the return of its copies; restarted by hand and green again: {bare:.0f} s; "
        f"ratio {each / bare:.2f}"
    )
    nothing_lost(cluster, seen, record, "rolling restart")


def test_a_changed_heap(cluster: Cluster, traffic: Busy, record: Record) -> None:
    with traffic() as seen:
        run = cluster.play("opensearch.yml", "-e", "opensearch_heap=600m").succeeded()
    assert sorted(restarts(run)) == ["os1", "os2", "os3"]
    for host in cluster.hosts.values():
        pid = host.check("systemctl show opensearch --property=MainPID --value").strip()
        assert "-Xmx600m" in host.check(f"tr '\\0' ' ' </proc/{pid}/cmdline")
    nothing_lost(cluster, seen, record, f"changed heap, {run.seconds:.0f} s")


def test_new_certificates(cluster: Cluster, traffic: Busy, record: Record) -> None:
    serial = "openssl x509 -noout -serial -in /etc/opensearch/certs/host.pem"
    before = {name: host.check(serial) for name, host in cluster.hosts.items()}
    renewal = ["-e", "pki_renew_before=400d", "-e", "opensearch_heap=600m"]
    with traffic() as seen:
        run = cluster.play("site.yml", *renewal, "--tags", "pki,opensearch,always").succeeded()
    after = {name: host.check(serial) for name, host in cluster.hosts.items()}
    assert all(before[name] != after[name] for name in before), "the nodes kept their certificates"
    nothing_lost(cluster, seen, record, f"new certificates, {run.seconds:.0f} s")


def test_a_killed_controller_is_resumed(cluster: Cluster, traffic: Busy, record: Record) -> None:
    """The controller dies when the first node is down, and the play is run again."""
    setting = ["-e", "opensearch_search_queue=1500"]
    with traffic() as seen:
        cluster.kill_at("(4/5) Wait until the node has joined", "opensearch.yml", *setting)
        assert cluster.allocation() != {}, "the first node was not held when the controller died"
        run = cluster.play("opensearch.yml", *setting).succeeded()
        again = cluster.play("opensearch.yml", *setting).succeeded()
    assert len(restarts(run)) == 2, "the node that had finished was restarted again"
    assert again.changed == {}
    nothing_lost(cluster, seen, record, "controller killed, play run again")


def test_a_stale_allocation_is_found_and_named(cluster: Cluster) -> None:
    setting = {"persistent": {"cluster.routing.allocation.enable": "none"}}
    before = {host.name: host.started() for host in cluster.hosts.values()}
    cluster.request("PUT", "/_cluster/settings", body=setting)
    try:
        said = cluster.play("rolling_restart.yml", "-e", "opensearch_gate_timeout=5").refused()
    finally:
        setting["persistent"]["cluster.routing.allocation.enable"] = None  # type: ignore[assignment]
        cluster.request("PUT", "/_cluster/settings", body=setting)
    assert "shard allocation stands at none" in said
    assert {host.name: host.started() for host in cluster.hosts.values()} == before


def test_a_node_that_does_not_come_back_stops_the_run(
    cluster: Cluster, traffic: Busy, record: Record
) -> None:
    drop_in = "/etc/systemd/system/opensearch.service.d/broken.conf"
    victim = cluster["os1"]
    victim.check(f"printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >{drop_in}")
    try:
        with traffic() as seen:
            run = cluster.play("rolling_restart.yml")
        said = run.refused()
        assert "does not stay up" in said
        assert "Then run the same playbook again" in said
        assert restarts(run)[-1] == victim.name, "another node was touched after it"
        assert seen.failed_searches == []
        assert cluster.allocation() == {}
    finally:
        victim.check(f"rm {drop_in}; systemctl daemon-reload; systemctl reset-failed opensearch")
    with traffic() as more:
        cluster.play("opensearch.yml").succeeded()
        cluster.wait_for_green()
    seen.acknowledged += more.acknowledged
    nothing_lost(cluster, seen, record, "a node that did not come back, then repaired")


def test_a_second_node_lost_is_waited_for(cluster: Cluster, traffic: Busy, record: Record) -> None:
    """While os1 restarts os3 dies: the gate refuses to go on, and goes on once os3 is back."""
    with traffic() as seen:
        process = cluster.start("rolling_restart.yml", "--limit", "os1:os2")
        assert process.stdout is not None
        output, killed = [], False
        for line in process.stdout:
            output.append(line)
            if "(5/5) Wait until the node is as useful" in line and not killed:
                cluster["os3"].check("systemctl kill --signal=SIGKILL opensearch")
                killed = True
        process.wait()
        cluster.wait_for_green()
    assert killed
    assert process.returncode == 0, "".join(output)[-4000:]
    record(f"a second node killed: {seen.summary()}")
    assert missing(cluster, seen.acknowledged) == []
    assert cluster.allocation() == {}
