"""The last of all: the cluster goes to the next version, and there is no way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.conftest import Cluster, Traffic, nothing_lost

pytestmark = pytest.mark.timeout(2400)

NEXT_VERSION = ["-e", f"@{Path(__file__).parent / 'next_version.yml'}"]


def test_disks_over_the_watermark_are_named_before_an_upgrade(cluster: Cluster) -> None:
    mark = "cluster.routing.allocation.disk.watermark.low"
    before = cluster.request("GET", "/_cluster/settings", flat_settings="true")["persistent"][mark]
    cluster.request("PUT", "/_cluster/settings", body={"persistent": {mark: "1%"}})
    try:
        said = cluster.play("upgrade_opensearch.yml", *NEXT_VERSION).refused()
    finally:
        cluster.request("PUT", "/_cluster/settings", body={"persistent": {mark: before}})
    assert "of its disk: from" in said
    assert "Nothing was changed" in said
    assert cluster.versions() == {"3.5.0"}


def test_site_does_not_upgrade_by_itself(cluster: Cluster) -> None:
    said = cluster.play("opensearch.yml", *NEXT_VERSION).refused()
    assert "playbooks/upgrade_opensearch.yml checks whether that is possible" in said
    assert cluster.versions() == {"3.5.0"}


def test_an_upgrade_goes_on_where_it_was_killed(
    cluster: Cluster, traffic: Callable[[], Traffic], record: Callable[[str], None]
) -> None:
    """The controller dies when one node is upgraded and the second one is down."""
    step = "(4/5) Wait until the node has joined"
    with traffic() as seen:
        cluster.kill_at(step, "upgrade_opensearch.yml", *NEXT_VERSION, times=2)
        assert cluster.versions() >= {"3.5.0", "3.8.0"}
        run = cluster.play("upgrade_opensearch.yml", *NEXT_VERSION).succeeded()
    assert cluster.versions() == {"3.8.0"}
    nothing_lost(cluster, seen, record, f"upgrade killed, and gone on with: {run.seconds:.0f} s")
    assert "There is no way back node by node" in " ".join(run.output.split())
    again = cluster.play("upgrade_opensearch.yml", *NEXT_VERSION).succeeded()
    assert again.changed == {}
    assert "there is nothing to upgrade" in " ".join(again.output.split())
    assert "no node goes back" in cluster.play("upgrade_opensearch.yml").refused()
