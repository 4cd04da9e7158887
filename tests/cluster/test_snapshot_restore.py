"""All nodes lose their data; new empty ones get it back from a snapshot, and it is the same."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.conftest import Cluster, Traffic, missing

pytestmark = pytest.mark.timeout(2400)

LIBRARY = "research_assistant_library"
DOCUMENTS = 3000
SNAPSHOT = "before-the-loss"


def paper(number: int) -> dict[str, Any]:
    """Return a document of some size."""
    text = f"passage {number} " + hashlib.sha256(str(number).encode()).hexdigest() * 20
    return {"title": f"paper {number}", "year": 1950 + number % 75, "passages": [{"text": text}]}


@pytest.fixture(scope="module")
def library(cluster: Cluster) -> Any:
    """Fill an index of three shards."""
    client = cluster.client()
    body = {"settings": {"number_of_shards": 3, "number_of_replicas": 1}}
    client.indices.create(index=LIBRARY, body=body, ignore=400)
    for start in range(0, DOCUMENTS, 500):
        lines: list[Any] = []
        for number in range(start, start + 500):
            lines += [{"index": {"_index": LIBRARY, "_id": str(number)}}, paper(number)]
        assert not client.bulk(body=lines, request_timeout=60)["errors"]
    client.delete(index=LIBRARY, id="7", ignore=404)
    client.indices.refresh(index=LIBRARY)
    yield
    cluster.request("DELETE", f"/{LIBRARY}")


def content(cluster: Cluster) -> tuple[int, str]:
    """Return the number of documents and a hash over all of them."""
    client = cluster.client()
    total, count, after = hashlib.sha256(), 0, None
    client.indices.refresh(index=LIBRARY)
    while True:
        body: dict[str, Any] = {"size": 1000, "sort": [{"year": "asc"}, {"title.keyword": "asc"}]}
        found = client.search(index=LIBRARY, body={**body, **after} if after else body)
        hits = found["hits"]["hits"]
        if not hits:
            return count, total.hexdigest()
        for hit in hits:
            total.update(json.dumps([hit["_id"], hit["_source"]], sort_keys=True).encode())
        count += len(hits)
        after = {"search_after": hits[-1]["sort"]}


def lose_everything(cluster: Cluster) -> None:
    """Stop all nodes and delete what they hold."""
    for host in cluster.hosts.values():
        host.check("systemctl stop --no-block opensearch")
    for host in cluster.hosts.values():
        host.check("systemctl stop opensearch && rm -rf /var/lib/opensearch/*")


@pytest.mark.usefixtures("library")
def test_a_lost_cluster_comes_back(
    cluster: Cluster, traffic: Callable[[], Traffic], record: Callable[[str], None]
) -> None:
    before = content(cluster)
    with traffic() as seen:
        acknowledged = list(seen.acknowledged)
        taken = cluster.play("snapshot.yml", "-e", f"snapshot={SNAPSHOT}").succeeded()
    assert not seen.refused_writes
    assert not seen.failed_searches
    record(f"snapshot: {taken.seconds:.0f} s, meanwhile {seen.summary()}")

    lose_everything(cluster)
    lost = time.monotonic()
    made = cluster.play("opensearch.yml").succeeded()
    checked = cluster.play("restore.yml", "--check", "-e", f"snapshot={SNAPSHOT}").succeeded()
    assert checked.changed
    restored = cluster.play("restore.yml", "-e", f"snapshot={SNAPSHOT}").succeeded()
    assert "Restored and proved" in restored.output
    assert content(cluster) == before
    served = time.monotonic() - lost
    assert missing(cluster, acknowledged) == []
    cluster.wait_for_green()
    again = cluster.play("restore.yml", "-e", f"snapshot={SNAPSHOT}").succeeded()
    assert again.changed == {}
    record(
        f"whole cluster lost: {before[0]} documents, same hash; new nodes {made.seconds:.0f} s, "
        f"restore {restored.seconds:.0f} s, from loss to the same answers {served / 60:.1f} minutes"
    )


@pytest.mark.usefixtures("library")
def test_one_index_comes_back_beside_the_live_one(cluster: Cluster) -> None:
    beside = f"{LIBRARY}-before"
    options = ("-e", f"snapshot={SNAPSHOT}", "-e", f"index={LIBRARY}", "-e", f"restore_as={beside}")
    cluster.play("restore.yml", *options).succeeded()
    client = cluster.client("research_admin")
    client.indices.refresh(index=beside)
    assert client.count(index=beside)["count"] == DOCUMENTS - 1
    cluster.client().delete(index=LIBRARY, id="8", refresh=True)
    for number in range(100):
        cluster.client().index(index=LIBRARY, id=str(number), body={"title": "another"})
    refused = cluster.play("restore.yml", "-e", f"snapshot={SNAPSHOT}", "-e", f"index={LIBRARY}")
    assert f"{LIBRARY} is open and holds other documents" in " ".join(refused.refused().split())
    client.indices.delete(index=beside)
