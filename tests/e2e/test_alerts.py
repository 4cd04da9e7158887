"""Each alert is proven by its fault: made on a real host, told to real receivers, over in the end.

Faults that do not disturb each other are made at once. The waiting times are the lab's
(`prometheus_patience` in inventories/lab). It takes ten minutes: the suite `scripts/test faults`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import AS_ADMINISTRATOR, Lab
from tests.receivers import Inbox, Notice, receivers

Record = Callable[[str], None]

pytestmark = [pytest.mark.timeout(1800), pytest.mark.long]

HERE = "10.77.0.1"  # this machine, as the hosts of the lab see it
TOLD_SECONDS = 150.0
OVER_SECONDS = 240.0


@dataclass(frozen=True)
class Fault:
    """A fault on a host, and what people are told of it."""

    alert: str
    host: str
    make: str
    mend: str
    names: str = ""  # what the message names, where it is not the host


def stop(alert: str, host: str, unit: str, names: str = "") -> Fault:
    """A unit that somebody stopped."""
    return Fault(alert, host, f"systemctl stop {unit}", f"systemctl start {unit}", names)


SMALL = "/srv/e2e-small"
RED = "https://os1:9200/e2e-red?wait_for_active_shards=0"
NOWHERE = '{"settings": {"index.routing.allocation.require._name": "nobody"}}'
# What comes from other hosts is dropped, as if this one were gone; it comes back by itself.
FROM_OTHERS = "INPUT -i eth0 -m iprange --src-range 10.77.0.2-10.77.0.254 -j DROP"
AT_ONCE = {
    "the search tier": [
        stop("SearchNodeMissing", "os3", "opensearch", "search nodes are in the cluster"),
        Fault(
            "SearchClusterRed",
            "os1",
            f"{AS_ADMINISTRATOR} -XPUT '{RED}' -H 'content-type: application/json' -d '{NOWHERE}'",
            f"{AS_ADMINISTRATOR} -XDELETE {RED.partition('?')[0]}",
            "search cluster",
        ),
        stop("WorkerDown", "app1", "research-worker"),
        stop("EdgeDown", "edge2", "haproxy"),
        stop("EdgeCannotTakeOver", "edge2", "keepalived"),
        stop("TimerStopped", "cache1", "research-pending.timer"),
        Fault(
            "UnitFailed",
            "cache2",
            "systemd-run --unit=e2e-fails false",
            "systemctl reset-failed e2e-fails",
        ),
        Fault(
            "DiskFull",
            "cache3",
            f"mkdir -p {SMALL}; mount -t tmpfs -o size=8m none {SMALL};"
            f" head -c 7900k /dev/zero >{SMALL}/full",
            f"umount {SMALL}; rmdir {SMALL}",
        ),
        Fault(
            "InodesFull",
            "cache1",
            f"mkdir -p {SMALL}; mount -t tmpfs -o size=8m,nr_inodes=20 none {SMALL};"
            f" for i in $(seq 19); do : >{SMALL}/$i; done",
            f"umount {SMALL}; rmdir {SMALL}",
        ),
        Fault(
            "RebootPending",
            "app2",
            "touch -d '40 days ago' /run/reboot-required; systemctl start research-pending",
            "rm /run/reboot-required; systemctl start research-pending",
        ),
    ],
    "applications and the cache": [
        Fault(
            "ApplicationHanging",
            "app1",
            "kill -STOP $(systemctl show -P MainPID research-app)",
            "systemctl restart research-app",
        ),
        stop("ApplicationDown", "app2", "research-app"),
        stop("CacheNodeDown", "cache3", "valkey-server"),
        Fault(
            "CacheWithoutQuorum",
            "cache1",
            "systemctl stop valkey-sentinel",
            "systemctl start valkey-sentinel",
            "cache",
        ),
        stop("CacheWithoutQuorum", "cache2", "valkey-sentinel", "cache"),
        stop("ScrapeTargetGone", "os2", "prometheus-elasticsearch-exporter"),
        Fault(
            "UnitRestarting",
            "app3",
            "for i in 1 2 3 4; do systemctl kill -s KILL research-worker; sleep 3; done",
            "true",
        ),
    ],
    "hosts and the address": [
        Fault(
            "HostDown",
            "app3",
            f"systemd-run --unit=e2e-dead sh -c 'iptables -I {FROM_OTHERS}; sleep 90;"
            f" iptables -D {FROM_OTHERS}'",
            "true",
        ),
        stop("AddressOnNoHost", "edge1", "keepalived", "address"),
        stop("AddressOnNoHost", "edge2", "keepalived", "address"),
    ],
}


FAULTS = [fault for faults in AT_ONCE.values() for fault in faults]


@dataclass
class Told:
    """The first word of a fault, and of its end; seconds from the making and from the mending."""

    notice: Notice
    after: float
    over: float | None = None

    def __str__(self) -> str:
        over = "never" if self.over is None else f"{self.over:.0f} s after the repair"
        return f"told after {self.after:.0f} s, over {over}"


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with receivers(HERE, web=8099, mail=8025) as box:
        yield box


def first(inbox: Inbox, fault: Fault, since: float, *, over: bool) -> Notice | None:
    """The first word of a fault, or of its end, after a moment."""
    return next(
        (
            notice
            for notice in inbox.notices()
            if (notice.alert, notice.over) == (fault.alert, over)
            and notice.at >= since
            and (fault.names or fault.host) in notice.summary
        ),
        None,
    )


def wait_for(
    inbox: Inbox, faults: list[Fault], since: float, seconds: float, *, over: bool
) -> None:
    """Wait until people have been told of all, or the time is up."""
    while time.time() - since < seconds:
        if all(first(inbox, fault, since, over=over) for fault in faults):
            return
        time.sleep(1)


@pytest.fixture(scope="module")
def told(lab: Lab, inbox: Inbox, record: Record) -> dict[Fault, Told]:
    """Make and mend all faults; what people were told of each."""
    found = {}
    for faults in AT_ONCE.values():
        made = time.time()
        try:
            for fault in faults:
                lab[fault.host].check(fault.make, timeout=120)
            wait_for(inbox, faults, made, TOLD_SECONDS, over=False)
        finally:
            mended = time.time()
            for fault in faults:
                lab[fault.host].run(fault.mend, timeout=180)
        wait_for(inbox, faults, mended, OVER_SECONDS, over=True)
        for fault in faults:
            if notice := first(inbox, fault, made, over=False):
                end = first(inbox, fault, mended, over=True)
                found[fault] = Told(notice, notice.at - made, end.at - mended if end else None)
            record(f"{fault.alert} of {fault.host}: {found.get(fault, 'nobody was told')}")
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.alert}-{fault.host}")
def test_people_are_told_of_a_fault_and_of_its_end(
    fault: Fault, told: dict[Fault, Told], inbox: Inbox
) -> None:
    assert fault in told, f"nobody was told; mails: {sorted({n.alert for n in inbox.notices()})}"
    word = told[fault]
    assert word.notice.runbook == f"docs/runbooks/alerts/{fault.alert}.md"
    if word.notice.severity == "page":
        events = inbox.at("/v2/enqueue", word.notice.summary)
        assert events, "the pager was not told"
        assert events[0]["event_action"] == "trigger"
        assert f"alerts/{fault.alert}.md" in str(events[0])
    assert word.over is not None, "nobody was told that it is over"
