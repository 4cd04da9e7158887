"""A node comes and goes while documents are written and searched, and no other node restarts."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import Cluster, Host, Traffic, nothing_lost
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(2400)

Record = Callable[[str], None]
Busy = Callable[[], Traffic]
SPARE = Host("os4", "10.77.0.34")


@contextlib.contextmanager
def search_tier(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Edit the search tier's groups in the inventory, as a sysadmin does."""
    path = cluster.inventory / "hosts.yml"
    inventory = yaml.safe_load(path.read_text())
    yield inventory["all"]["children"]["opensearch"]["children"]
    path.write_text(yaml.safe_dump(inventory))


def edit(cluster: Cluster, member: bool) -> None:
    """Put the spare host into the search tier, or take it out."""
    with search_tier(cluster) as tier:
        hosts = tier["opensearch_hot"]["hosts"]
        hosts.pop(SPARE.name, None)
        if member:
            hosts[SPARE.name] = {}


def managers(cluster: Cluster, *names: str) -> None:
    """Say which nodes may be elected."""
    address = {host.name: host.address for host in [*cluster.hosts.values(), SPARE]}
    with search_tier(cluster) as tier:
        tier["opensearch_manager"]["hosts"] = {name: {} for name in names}
        # The address stands with the managers, so it would go with the role.
        tier["opensearch_hot"]["hosts"] = {
            name: {"ansible_host": address[name]} for name in tier["opensearch_hot"]["hosts"]
        }


def started(cluster: Cluster) -> dict[str, str]:
    return {host.name: host.started() for host in cluster.hosts.values()}


def copies_on(cluster: Cluster, name: str) -> int:
    """Return how many copies a node holds, by the cluster's state."""
    state = cluster.request("GET", "/_cluster/state/nodes,routing_nodes")
    identity = [key for key, node in state["nodes"].items() if node["name"] == name]
    return sum(len(state["routing_nodes"]["nodes"].get(key, [])) for key in identity)


def members(cluster: Cluster) -> list[str]:
    nodes = cluster.request("GET", "/_cluster/state/nodes")["nodes"]
    return sorted(node["name"] for node in nodes.values())


def voting_exclusions(cluster: Cluster) -> list[Any]:
    coordination = cluster.request("GET", "/_cluster/state/metadata")["metadata"]
    listed: list[Any] = coordination["cluster_coordination"]["voting_config_exclusions"]
    return listed


def elected(cluster: Cluster) -> str:
    state = cluster.request("GET", "/_cluster/state/cluster_manager_node,nodes")
    name: str = state["nodes"].get(state["cluster_manager_node"], {}).get("name", "")
    return name


def voters(cluster: Cluster) -> list[str]:
    state = cluster.request("GET", "/_cluster/state/metadata,nodes")
    config = state["metadata"]["cluster_coordination"]["last_committed_config"]
    return sorted(state["nodes"][identity]["name"] for identity in config)


def test_a_node_is_added(cluster: Cluster, traffic: Busy, record: Record) -> None:
    edit(cluster, member=True)
    before = started(cluster)
    with traffic() as seen:
        run = cluster.play("add_node.yml").succeeded()
    assert started(cluster) == before, "another node was restarted"
    assert members(cluster) == ["os1", "os2", "os3", "os4"]
    assert copies_on(cluster, SPARE.name) > 0
    nothing_lost(cluster, seen, record, f"node added, {run.seconds:.0f} s, no other restarted")


def test_a_node_that_is_needed_is_not_removed(cluster: Cluster) -> None:
    index = "research_assistant_everywhere"
    body = {"settings": {"number_of_shards": 1, "number_of_replicas": 3}}
    cluster.request("PUT", f"/{index}", body=body)
    cluster.wait_for_green()
    try:
        run = cluster.play("remove_node.yml", "-e", "node=os4 opensearch_gate_timeout=3")
        assert f"{index} has 4 copies and, without os4, room for 3" in run.refused()
        assert run.changed == {}
    finally:
        cluster.request("DELETE", f"/{index}")
    assert cluster.allocation() == {}


def test_an_interrupted_removal_is_undone(cluster: Cluster, traffic: Busy, record: Record) -> None:
    with traffic() as seen:
        cluster.kill_at("(3/8)", "remove_node.yml", "-e", "node=os4")
        assert "cluster.routing.allocation.exclude._name" in cluster.allocation()
        cluster.play("remove_node.yml", "-e", "node=os4 undo=true").succeeded()
    assert members(cluster) == ["os1", "os2", "os3", "os4"]
    assert copies_on(cluster, SPARE.name) > 0
    assert voting_exclusions(cluster) == []
    nothing_lost(cluster, seen, record, "removal killed in the drain, and undone")


@pytest.fixture
def much(cluster: Cluster) -> Iterator[None]:
    """Half a gigabyte that no codec makes smaller, so that a drain has something to move."""
    index = "research_assistant_much"
    settings = {"number_of_shards": 4, "number_of_replicas": 1}
    mappings = {"properties": {"noise": {"type": "binary"}}}
    cluster.request("PUT", f"/{index}", body={"settings": settings, "mappings": mappings})
    client = cluster.client("research_admin")
    for _ in range(64):
        noise = [base64.b64encode(os.urandom(2**20)).decode() for _ in range(8)]
        lines: list[dict[str, Any]] = [{"index": {}}] * 16
        lines[1::2] = [{"noise": text} for text in noise]
        client.bulk(body=lines, index=index, request_timeout=60)
    cluster.request("POST", f"/{index}/_flush")
    cluster.wait_for_green()
    yield
    cluster.request("DELETE", f"/{index}")


@pytest.mark.usefixtures("much")
def test_the_elected_manager_hands_over_and_gets_its_vote_back(
    cluster: Cluster, traffic: Busy, record: Record
) -> None:
    name = elected(cluster)
    with traffic() as seen:
        arguments = ("-e", f"node={name} accept_fewer_managers=true")
        said = cluster.kill_at("(5/8)", "remove_node.yml", *arguments)
        wait_until(lambda: elected(cluster) not in ("", name), 15, f"{name} handed over")
        assert [entry["node_name"] for entry in voting_exclusions(cluster)] == [name]
        cluster.play("remove_node.yml", "-e", f"node={name} undo=true").succeeded()
    assert voting_exclusions(cluster) == []
    assert voters(cluster) == ["os1", "os2", "os3"]
    assert copies_on(cluster, name) > 0
    drained = re.findall(r"[\d.]+ \w+ of shards moved in .*?s per GB", " ".join(said.split()))
    assert drained, "the play did not say how long the drain took"
    record(f"drain: {drained[-1]}")
    nothing_lost(cluster, seen, record, "removal of the elected manager, killed and undone")


def test_another_node_becomes_manager(cluster: Cluster, traffic: Busy, record: Record) -> None:
    with traffic() as seen:
        managers(cluster, "os2", "os3", "os4")
        run = cluster.play("opensearch.yml").succeeded()
        assert voters(cluster) == ["os2", "os3", "os4"]
        managers(cluster, "os1", "os2", "os3")
        cluster.play("opensearch.yml").succeeded()
    assert voters(cluster) == ["os1", "os2", "os3"]
    nothing_lost(cluster, seen, record, f"another manager, {run.seconds:.0f} s, and back again")


def test_an_interrupted_removal_goes_on(cluster: Cluster, traffic: Busy, record: Record) -> None:
    before = started(cluster)
    with traffic() as seen:
        cluster.kill_at("(4/8)", "remove_node.yml", "-e", "node=os4")
        run = cluster.play("remove_node.yml", "-e", "node=os4").succeeded()
    assert started(cluster) == before, "another node was restarted"
    assert members(cluster) == ["os1", "os2", "os3"]
    assert voting_exclusions(cluster) == []
    assert SPARE.check("systemctl is-enabled opensearch || true").strip() == "disabled"
    assert SPARE.check("ls /var/lib/opensearch/nodes").strip(), "the data was to be kept"
    nothing_lost(cluster, seen, record, f"node removed, {run.seconds:.0f} s, gone on after a kill")
    assert cluster.play("remove_node.yml", "-e", "node=os4").succeeded().changed == {}


def test_the_edited_inventory_restarts_nothing(cluster: Cluster) -> None:
    edit(cluster, member=False)
    before = started(cluster)
    cluster.play("site.yml").succeeded()
    assert started(cluster) == before
    assert cluster.play("site.yml").succeeded().changed == {}
