"""Wait until nodes hold no shard any more, saying how far it is and why it does not go on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.opensearch_client import Client, OpenSearchError
from ansible.module_utils.opensearch_disk import size
from ansible.module_utils.opensearch_gate import read_state
from ansible.module_utils.opensearch_removal import stuck
from ansible.module_utils.opensearch_verdict import ClusterState, Shard, UnreadableError

STORE_FILTER = "nodes.*.name,nodes.*.indices.store.size_in_bytes"
GIB = 2**30


@dataclass
class Drain:
    """How far a drain has come."""

    shards_left: int = 0
    bytes_left: int = 0
    bytes_moved: int = 0
    seconds: float = 0.0
    # What could not be read at the last look, and why nothing moves.
    unread: str = ""
    reasons: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)

    @property
    def drained(self) -> bool:
        """Say whether nothing is left, and that was read and not assumed."""
        return not self.shards_left and not self.unread

    def as_dict(self) -> dict[str, Any]:
        """Return it for a module's result."""
        per_gb = self.seconds * GIB / self.bytes_moved if self.bytes_moved else None
        return {
            "drained": self.drained,
            "shards_left": self.shards_left,
            "bytes_left": self.bytes_left,
            "bytes_moved": self.bytes_moved,
            "seconds": round(self.seconds, 1),
            "seconds_per_gb": None if per_gb is None else round(per_gb, 1),
            "reasons": [self.unread] if self.unread else self.reasons,
            "history": self.history,
        }


def left_on(state: ClusterState, names: list[str]) -> list[Shard]:
    """Return the copies that are on some nodes or on their way to them, by the cluster's state."""
    nodes = [node for node in state.nodes if node.name in names]
    return [shard for node in nodes for shard in [*state.on(node), *state.coming_to(node)]]


def bytes_on(client: Client, names: list[str]) -> int:
    """Return how many bytes of shards some nodes hold; only a figure, never a proof.

    :raises OpenSearchError: where the cluster does not answer or refuses
    :raises UnreadableError: where its answer is not complete
    """
    answer = client.request("GET", "/_nodes/stats/indices/store", filter_path=STORE_FILTER)
    try:
        found = [node for node in answer["nodes"].values() if node["name"] in names]
        return sum(int(node["indices"]["store"]["size_in_bytes"]) for node in found)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableError(f"the answer about stores lacks {error}") from error


def explain_stuck(client: Client, state: ClusterState, shard: Shard) -> str:
    """Ask why a copy does not move."""
    body = {
        "index": shard.index,
        "shard": shard.number,
        "primary": shard.primary,
        "current_node": state.name_of(shard.node),
    }
    try:
        return stuck(client.request("POST", "/_cluster/allocation/explain", body=body), shard)
    except OpenSearchError as error:
        return f"{shard.label} does not move: {error}"


def await_drained(
    client: Client, names: list[str], timeout: float, interval: float, stall: float
) -> Drain:
    """Look until nothing is left on the nodes, time is up, or nothing has moved for long.

    :param stall: seconds without any movement after which waiting longer is pointless
    :raises OpenSearchError: where asking again is pointless (refused, TLS not trusted)
    """
    started = moved_at = time.monotonic()
    drain = Drain()
    most = 0
    while True:
        before = (drain.shards_left, drain.bytes_left, drain.unread)
        state, left = _look(client, names, drain)
        most = max(most, drain.bytes_left)
        drain.bytes_moved = most - drain.bytes_left
        now = time.monotonic()
        drain.seconds = now - started
        if (drain.shards_left, drain.bytes_left, drain.unread) != before:
            moved_at = now
            amount = f"{drain.shards_left} shards, {size(drain.bytes_left)} left"
            drain.history.append(f"{drain.seconds:.0f} s {drain.unread or amount}")
        if drain.drained or drain.seconds + interval > timeout:
            return drain
        if state and now - moved_at >= stall and _stands_still(left):
            drain.reasons = [why for s in left[:5] if (why := explain_stuck(client, state, s))]
            if drain.reasons:
                return drain
            moved_at = now
        time.sleep(interval)


def _look(
    client: Client, names: list[str], drain: Drain
) -> tuple[ClusterState | None, list[Shard]]:
    """Note what is left; return no state where the answers could not be read."""
    try:
        state = read_state(client)
        left = left_on(state, names)
        drain.shards_left, drain.bytes_left = len(left), bytes_on(client, names)
    except UnreadableError as error:
        drain.unread = str(error)
        return None, []
    except OpenSearchError as error:
        if error.final:
            raise
        drain.unread = str(error)
        return None, []
    drain.unread = ""
    return state, left


def _stands_still(shards: list[Shard]) -> bool:
    return all(shard.state == "STARTED" for shard in shards)
