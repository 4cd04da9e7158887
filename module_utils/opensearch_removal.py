"""Judge whether a node can leave a cluster for good: before it is drained, and once it is.

Pure functions, as in opensearch_verdict: the cluster's own answers in, a verdict with reasons out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from ansible.module_utils.opensearch_disk import Disk, high_watermark, low_watermark, size
from ansible.module_utils.opensearch_objects import words
from ansible.module_utils.opensearch_verdict import (
    ACTIVE,
    ClusterState,
    Node,
    Shard,
    UnreadableError,
    Verdict,
    needs_allocation,
    needs_manager,
    needs_primaries,
    where,
)

ALLOCATION = "cluster.routing.allocation"
INDEX_ALLOCATION = "index.routing.allocation"
AWARENESS = f"{ALLOCATION}.awareness"
# Fewer than three managers cannot lose one.
ENOUGH_MANAGERS = 3


def _member_of_served(state: ClusterState, name: str, verdict: Verdict) -> Node | None:
    """Say no where the cluster does not serve; return the node, whose absence is only noted."""
    needs_manager(state, verdict)
    needs_primaries(state, verdict)
    node = state.named(name)
    if node is None:
        verdict.note("node_absent", f"{name} is not in the cluster", node=name)
    return node


def may_drain(
    state: ClusterState,
    name: str,
    disks: Mapping[str, Disk],
    accept_fewer_managers: bool = False,
) -> Verdict:
    """Judge, before anything is touched, whether a node's shards and its vote can go elsewhere.

    A drain that has begun already is no reason against going on with it.
    """
    verdict = Verdict()
    node = _member_of_served(state, name, verdict)
    if node is None:
        return verdict
    needs_allocation(state, verdict)
    _needs_place(state, node, verdict)
    _needs_copies(state, verdict)
    _needs_disk(state, node, disks, verdict)
    managers = Verdict()
    _needs_managers(state, node, managers)
    (verdict.notes if accept_fewer_managers else verdict.reasons).extend(managers.reasons)
    _needs_voters(state, node, verdict)
    return verdict


def may_remove(state: ClusterState, name: str) -> Verdict:
    """Judge whether a node can be stopped for good: nothing is on it, and nobody counts on it."""
    verdict = Verdict()
    node = _member_of_served(state, name, verdict)
    if node is None:
        return verdict
    for shard in [*state.on(node), *state.coming_to(node)]:
        text = f"{shard.label} is still on {name}"
        code = "not_drained"
        if shard.state == "RELOCATING":
            code = "relocating"
            text = f"{shard.label} moves to {state.name_of(shard.relocating)}"
        verdict.no(code, text, **where(shard, name))
    _needs_copy_elsewhere(state, node, verdict)
    _needs_place(state, node, verdict)
    _needs_copies(state, verdict)
    _needs_no_vote(state, node, verdict)
    _needs_voters(state, node, verdict)
    return verdict


def has_left(state: ClusterState, name: str) -> Verdict:
    """Judge whether a node is no member any more, and everything is served without it."""
    verdict = Verdict()
    needs_manager(state, verdict)
    needs_primaries(state, verdict)
    if state.named(name) is not None:
        verdict.no("still_member", f"{name} is still in the cluster", node=name)
    return verdict


def has_shards(state: ClusterState, name: str) -> Verdict:
    """Judge whether a node that is new has taken shards, and no copy is on its way."""
    verdict = Verdict()
    needs_manager(state, verdict)
    needs_allocation(state, verdict)
    node = state.named(name)
    if node is None:
        verdict.no("node_absent", f"{name} is not in the cluster", node=name)
        return verdict
    for shard in state.shards:
        if shard.state in ("RELOCATING", "INITIALIZING"):
            text = f"{shard.label} is {shard.state.lower()}"
            verdict.no(shard.state.lower(), text, **where(shard, name))
    if not node.data:
        verdict.note("no_data_role", f"{name} has no role that holds data", node=name)
    elif not any(shard.state in ACTIVE for shard in state.on(node)):
        verdict.no("no_shards", f"no shard is on {name}", node=name)
    return verdict


def _needs_copies(state: ClusterState, verdict: Verdict) -> None:
    """Say no where a replica is missing: the drain must begin and end with every copy there."""
    for shard in state.shards:
        if not shard.primary and shard.state == "UNASSIGNED":
            verdict.no("shard_unassigned", f"a copy of {shard.label} is unassigned", **where(shard))


def _needs_copy_elsewhere(state: ClusterState, node: Node, verdict: Verdict) -> None:
    held = {shard.key: shard for shard in state.on(node)}
    elsewhere = {
        shard.key
        for shard in state.shards
        if shard.state in ACTIVE and shard.node != node.id and not shard.search_only
    }
    for key in sorted(held.keys() - elsewhere):
        text = f"{node.name} holds the only started copy of {held[key].label}"
        verdict.no("shard_without_other_copy", text, **where(held[key], node.name))


def _needs_no_vote(state: ClusterState, node: Node, verdict: Verdict) -> None:
    if node.id in state.voters:
        verdict.no("still_votes", f"{node.name} still votes", node=node.name)
    if node.id == state.elected:
        verdict.no("still_elected", f"{node.name} is the elected manager", node=node.name)


def _needs_voters(state: ClusterState, node: Node, verdict: Verdict) -> None:
    """Say no where those who vote could not agree on going on without the node."""
    members = {member.id for member in state.nodes if member.manager}
    # One that votes still takes part in the decision to do without it.
    alive = state.voters & members
    needed = len(state.voters) // 2 + 1
    others = {m.id for m in state.nodes if m.manager} - state.excluded - {node.id}
    if len(alive) < needed or not others:
        text = f"without {node.name} {len(others)} managers are left"
        if others:
            text = f"{len(alive)} of {len(state.voters)} voting managers are here"
        verdict.no("manager_quorum", text, node=node.name)


def _needs_managers(state: ClusterState, node: Node, verdict: Verdict) -> None:
    if not node.manager:
        return
    managers = {member.id for member in state.nodes if member.manager} - state.excluded
    left = managers - {node.id}
    if left and len(left) < ENOUGH_MANAGERS <= len(managers | {node.id}):
        text = f"without {node.name} {len(left)} managers are left, and none of them could be lost"
        verdict.no("too_few_managers", text, node=node.name)


def _needs_place(state: ClusterState, node: Node, verdict: Verdict) -> None:
    """Say no where the data nodes that are left cannot hold every copy of an index."""
    copies: Counter[tuple[str, int]] = Counter(
        shard.key for shard in state.shards if not shard.search_only
    )
    wanted: dict[str, int] = {}
    for (index, _), count in copies.items():
        wanted[index] = max(count, wanted.get(index, 0))
    for index, count in sorted(wanted.items()):
        rules = state.indices.get(index, {})
        needed = 1 if _expands(rules) else count
        room = _placeable(state, _eligible(state, node, rules), needed)
        if room < needed:
            text = f"{index} has {needed} copies and, without {node.name}, room for {room}"
            verdict.no("replicas_do_not_fit", text, index=index, node=node.name)


def _expands(rules: Mapping[str, Any]) -> bool:
    """Say whether the number of copies follows the number of nodes by itself."""
    return str(rules.get("index.auto_expand_replicas") or "false") != "false"


def _eligible(state: ClusterState, gone: Node, rules: Mapping[str, Any]) -> list[Node]:
    """Return the data nodes, but for one, that the filters of cluster and index let hold copies."""
    return [
        node
        for node in state.nodes
        if node.data
        and node.id != gone.id
        and _admits(state.settings, ALLOCATION, node)
        and _admits(rules, INDEX_ALLOCATION, node)
    ]


def _admits(rules: Mapping[str, Any], prefix: str, node: Node) -> bool:
    """Say whether the require, include and exclude filters below a prefix admit a node."""
    for key, value in rules.items():
        kind, _, attribute = key.removeprefix(f"{prefix}.").partition(".")
        if not key.startswith(prefix) or kind not in ("require", "include", "exclude"):
            continue
        patterns = words(value)
        if not patterns:
            continue
        hits = [_matches(node, attribute, pattern) for pattern in patterns]
        admitted = {"require": all(hits), "include": any(hits), "exclude": not any(hits)}[kind]
        if not admitted:
            return False
    return True


def _matches(node: Node, attribute: str, pattern: str) -> bool:
    own = {"_name": node.name, "_id": node.id, "_ip": node.address, "_publish_ip": node.address}
    value = own.get(attribute, node.attributes.get(attribute))
    # An attribute that is not known here (_host) is taken as no match; the drain itself then waits.
    return value is not None and fnmatchcase(value, pattern)


def _placeable(state: ClusterState, nodes: Iterable[Node], copies: int) -> int:
    """Return how many copies of one shard find a place, awareness considered.

    A node that is being drained still counts for its zone until it has left.
    """
    nodes = list(nodes)
    room = len(nodes)
    for attribute in words(state.settings.get(f"{AWARENESS}.attributes")):
        data = [node for node in state.nodes if node.data]
        present = {node.attributes[attribute] for node in data if attribute in node.attributes}
        forced = words(state.settings.get(f"{AWARENESS}.force.{attribute}.values"))
        zones = present | set(forced)
        most = -(-copies // max(1, len(zones)))
        there = Counter(n.attributes[attribute] for n in nodes if attribute in n.attributes)
        room = min(room, sum(min(most, count) for count in there.values()))
    return room


def _needs_disk(
    state: ClusterState, node: Node, disks: Mapping[str, Disk], verdict: Verdict
) -> None:
    """Say no where the node's shards would fill the others' disks up to the high watermark."""
    if node.name not in disks:
        raise UnreadableError(f"the answer about disks lacks {node.name}")
    room = 0
    for other in _eligible(state, node, {}):
        if other.name not in disks:
            raise UnreadableError(f"the answer about disks lacks {other.name}")
        disk = disks[other.name]
        if disk.used > high_watermark(state.settings, disk):
            text = f"the disk of {other.name} is over the high watermark"
            verdict.no("disk_watermark", text, node=other.name)
        elif disk.used < low_watermark(state.settings, disk):
            room += int(high_watermark(state.settings, disk)) - disk.used
    needed = disks[node.name].stored
    if needed > room:
        text = f"{size(needed)} are on {node.name} and the others have room for {size(room)}"
        verdict.no("disk_watermark", text, node=node.name)


def stuck(explanation: Any, shard: Shard) -> str:
    """Say why the cluster does not move a copy away, from its own explanation."""
    try:
        if explanation.get("can_move_to_other_node") == "yes":
            return ""
        deciders = {
            decider["decider"]
            for entry in explanation.get("node_allocation_decisions") or []
            for decider in entry.get("deciders") or []
            if decider["decision"] in ("NO", "THROTTLE")
        }
    except (KeyError, TypeError, AttributeError):
        return f"nothing explains why {shard.label} does not move"
    if not explanation.get("node_allocation_decisions"):
        return f"{shard.label} does not move: there is no other data node"
    return f"{shard.label} does not move: {', '.join(sorted(deciders)) or 'not tried yet'}"
