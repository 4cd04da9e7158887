"""Judge a cluster: (what it says of itself, a question) -> a verdict with reasons.

Everything here is a pure function of the cluster's own answers, so that a verdict can be tested
without a cluster. An answer that cannot be read is a no.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible.module_utils.opensearch_objects import ENABLE, flatten

ACTIVE = ("STARTED", "RELOCATING")
MANAGER_ROLES = ("cluster_manager", "master")
# Deciders that say: by its own rules the cluster does not want this copy on that node.
NOT_WANTED_HERE = {"same_shard", "filter", "awareness"}
LEVELS = ("transient", "persistent", "defaults")


class UnreadableError(ValueError):
    """The cluster's answer lacks what a verdict needs."""


@dataclass(frozen=True)
class Shard:
    """One copy of a shard."""

    index: str
    number: int
    primary: bool
    state: str
    node: str | None
    search_only: bool = False
    # Where a copy moves to, or comes from; the state lists a moving copy once, where it still is.
    relocating: str | None = None

    @property
    def label(self) -> str:
        """Return how people write it."""
        return f"{self.index}[{self.number}]"

    @property
    def key(self) -> tuple[str, int]:
        """Return what the copies of one shard have in common."""
        return self.index, self.number


@dataclass(frozen=True)
class Node:
    """A member of the cluster."""

    id: str
    name: str
    version: str
    roles: tuple[str, ...]
    temp: str = ""
    address: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    @property
    def manager(self) -> bool:
        """Say whether it may be elected."""
        return any(role in MANAGER_ROLES for role in self.roles)

    @property
    def data(self) -> bool:
        """Say whether it holds shards."""
        return any(role == "data" or role.startswith("data_") for role in self.roles)


@dataclass(frozen=True)
class ClusterState:
    """What the verdicts look at."""

    elected: str | None
    nodes: tuple[Node, ...]
    shards: tuple[Shard, ...]
    voters: frozenset[str]
    excluded: frozenset[str]
    allocation: str
    # Flat: the cluster's effective settings, and those of each index that say where copies may be.
    settings: Mapping[str, Any] = field(default_factory=dict)
    indices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_answers(cls, state: Any, settings: Any, nodes: Any) -> ClusterState:
        """Build from the answers of _cluster/state, _cluster/settings and _nodes.

        :raises UnreadableError: where an answer is not what it should be
        """
        try:
            coordination = state["metadata"]["cluster_coordination"]
            return cls(
                elected=state.get("cluster_manager_node") or state.get("master_node"),
                nodes=tuple(_nodes(state, nodes)),
                shards=tuple(_shards(state["routing_table"]["indices"])),
                voters=frozenset(coordination["last_committed_config"]),
                excluded=frozenset(
                    entry["node_id"] for entry in coordination.get("voting_config_exclusions", [])
                ),
                allocation=allocation(settings),
                settings=effective(settings),
                indices={
                    index: flatten(content.get("settings") or {})
                    for index, content in (state["metadata"].get("indices") or {}).items()
                },
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnreadableError(f"the cluster's answer lacks {error}") from error

    def named(self, name: str) -> Node | None:
        """Return the member of that name."""
        return next((node for node in self.nodes if node.name == name), None)

    def on(self, node: Node) -> list[Shard]:
        """Return the copies that a node holds."""
        return [shard for shard in self.shards if shard.node == node.id]

    def coming_to(self, node: Node) -> list[Shard]:
        """Return the copies that move to a node and are still listed where they come from."""
        return [
            shard
            for shard in self.shards
            if shard.relocating == node.id and shard.state == "RELOCATING"
        ]

    def name_of(self, identity: str | None) -> str:
        """Return the name of a member."""
        return next((node.name for node in self.nodes if node.id == identity), str(identity))


def _nodes(state: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterable[Node]:
    details = nodes["nodes"]
    for identity, node in state["nodes"].items():
        detail = details[identity]
        yield Node(
            id=identity,
            name=node["name"],
            version=detail["version"],
            roles=tuple(detail["roles"]),
            temp=(node.get("attributes") or {}).get("temp", ""),
            address=str(node.get("transport_address") or "").rpartition(":")[0].strip("[]"),
            attributes=node.get("attributes") or {},
        )


def _shards(indices: Mapping[str, Any]) -> Iterable[Shard]:
    for index, table in indices.items():
        for copies in table["shards"].values():
            for copy in copies:
                yield Shard(
                    index=index,
                    number=int(copy["shard"]),
                    primary=copy["primary"],
                    state=copy["state"],
                    node=copy["node"],
                    search_only=copy.get("searchOnly", False),
                    relocating=copy.get("relocating_node"),
                )


def allocation(settings: Mapping[str, Any]) -> str:
    """Return the effective value of the allocation setting from flat cluster settings."""
    for level in LEVELS[:2]:
        if ENABLE in settings[level]:
            return str(settings[level][ENABLE])
    return "all"


def effective(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat cluster settings, the stronger level winning."""
    found: dict[str, Any] = {}
    for level in reversed(LEVELS):
        found.update(settings.get(level) or {})
    return found


@dataclass(frozen=True)
class Reason:
    """Why a verdict is a no, or what to know about a yes."""

    code: str
    text: str
    node: str | None = None
    index: str | None = None
    shard: int | None = None


@dataclass
class Verdict:
    """The answer to a question."""

    reasons: list[Reason] = field(default_factory=list)
    notes: list[Reason] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Say whether the answer is yes."""
        return not self.reasons

    def no(self, code: str, text: str, **where: Any) -> None:
        """Add a reason."""
        self.reasons.append(Reason(code, text, **where))

    def note(self, code: str, text: str, **where: Any) -> None:
        """Add something to know."""
        self.notes.append(Reason(code, text, **where))

    def as_dict(self) -> dict[str, Any]:
        """Return it for a module's result."""
        return {
            "ok": self.ok,
            "reasons": [_plain(reason) for reason in self.reasons],
            "notes": [_plain(note) for note in self.notes],
        }

    def sentence(self) -> str:
        """Say the reasons in words, the first few of them."""
        texts = [reason.text for reason in self.reasons]
        more = f" (and {len(texts) - 5} more)" if len(texts) > 5 else ""
        return "; ".join(texts[:5]) + more


def _plain(reason: Reason) -> dict[str, Any]:
    return {key: value for key, value in asdict(reason).items() if value is not None}


def unreadable(text: str) -> Verdict:
    """Return the verdict on an answer that cannot be read."""
    verdict = Verdict()
    verdict.no("unreadable_answer", text)
    return verdict


def cluster_serves(state: ClusterState, node: str | None = None, nodes: int = 0) -> Verdict:
    """Judge whether searches and writes are answered: a manager, and every primary started.

    :param node: a node that must be a member too
    :param nodes: how many members there must be at least
    """
    verdict = Verdict()
    needs_manager(state, verdict)
    if node is not None and state.named(node) is None:
        verdict.no("node_absent", f"{node} is not in the cluster", node=node)
    if len(state.nodes) < nodes:
        verdict.no("nodes_missing", f"{len(state.nodes)} nodes are in the cluster, not {nodes}")
    needs_primaries(state, verdict)
    return verdict


def may_stop(state: ClusterState, name: str, accept_outage: bool = False) -> Verdict:
    """Judge whether stopping a node leaves everything served and the managers a majority.

    :param name: the node
    :param accept_outage: turn the reasons that mean an interruption, and no loss, into notes
    """
    verdict = Verdict()
    needs_manager(state, verdict)
    node = state.named(name)
    if node is None:
        verdict.note("node_absent", f"{name} is not in the cluster", node=name)
        return verdict
    if len(state.nodes) == 1 and state.voters <= {node.id}:
        text = f"{name} is the only node: nothing is answered until it is back"
        verdict.note("unavoidable_outage", text, node=name)
        return verdict
    needs_allocation(state, verdict)
    interrupting = Verdict()
    needs_primaries(state, interrupting)
    _needs_other_copies(state, node, interrupting)
    _needs_quorum(state, node, interrupting)
    (verdict.notes if accept_outage else verdict.reasons).extend(interrupting.reasons)
    for shard in state.on(node):
        if shard.state in ("INITIALIZING", "RELOCATING"):
            text = f"{shard.label} on {name} is {shard.state.lower()}"
            verdict.no(shard.state.lower(), text, **where(shard, name))
    for shard in state.coming_to(node):
        verdict.no("relocating", f"{shard.label} moves to {name}", **where(shard, name))
    return verdict


def has_joined(state: ClusterState, name: str, version: str | None = None) -> Verdict:
    """Judge whether a node is a member again, and of the right version."""
    verdict = Verdict()
    needs_manager(state, verdict)
    node = state.named(name)
    if node is None:
        verdict.no("node_absent", f"{name} is not in the cluster", node=name)
    elif version and node.version != version:
        text = f"{name} runs {node.version}, not {version}"
        verdict.no("wrong_version", text, node=name)
    return verdict


def is_back(
    state: ClusterState,
    name: str,
    version: str | None = None,
    explain: Callable[[Shard], Any] | None = None,
) -> Verdict:
    """Judge whether a node is as useful as before it stopped.

    :param name: the node
    :param version: the version that it must run
    :param explain: returns the cluster's explanation of why a copy is not assigned
    """
    verdict = has_joined(state, name, version)
    if not verdict.ok:
        return verdict
    needs_allocation(state, verdict)
    moving = [shard for shard in state.shards if shard.state == "INITIALIZING"]
    for shard in moving:
        text = f"{shard.label} is recovering"
        verdict.no("initializing", text, **where(shard))
    if not verdict.ok:
        return verdict
    for shard in state.shards:
        if shard.state == "UNASSIGNED":
            _judge_unassigned(shard, name, explain(shard) if explain else None, verdict)
    return verdict


def _judge_unassigned(shard: Shard, name: str, explanation: Any, verdict: Verdict) -> None:
    """Say whether a copy that is not assigned is a reason to wait for the node."""
    label = shard.label
    place = where(shard, name)
    try:
        decisions = {
            entry["node_name"]: {
                decider["decider"]
                for decider in entry.get("deciders", [])
                if decider["decision"] == "NO"
            }
            for entry in explanation.get("node_allocation_decisions", [])
        }
    except (KeyError, TypeError, AttributeError):
        verdict.no("unreadable_answer", f"nothing explains why {label} is unassigned", **place)
        return
    refusals = decisions.get(name, set())
    if "node_version" in refusals:
        text = f"{label} waits for another node of the new version"
        verdict.note("node_version_yellow", text, **place)
    elif refusals & NOT_WANTED_HERE:
        verdict.note("not_wanted_here", f"{label} has no place on {name} by rule", **place)
    else:
        deciders = ", ".join(sorted(refusals)) or "not tried yet"
        verdict.no("shard_unassigned", f"{label} is unassigned ({deciders})", **place)


def where(shard: Shard, node: str | None = None) -> dict[str, Any]:
    """Return the part of a reason that says which copy it is about."""
    return {"index": shard.index, "shard": shard.number, "node": node}


def needs_manager(state: ClusterState, verdict: Verdict) -> None:
    """Say no where nobody leads."""
    if state.elected is None or all(node.id != state.elected for node in state.nodes):
        verdict.no("no_manager", "no cluster manager is elected")


def needs_primaries(state: ClusterState, verdict: Verdict) -> None:
    """Say no where a shard is not served."""
    for shard in state.shards:
        if shard.primary and shard.state not in ACTIVE:
            text = f"the primary of {shard.label} is {shard.state.lower()}"
            verdict.no("primary_not_started", text, index=shard.index, shard=shard.number)


def needs_allocation(state: ClusterState, verdict: Verdict) -> None:
    """Say no where copies would not be built."""
    if state.allocation != "all":
        text = f"shard allocation stands at {state.allocation}: {ENABLE} was left behind"
        verdict.no("allocation_disabled", text)


def _needs_other_copies(state: ClusterState, node: Node, verdict: Verdict) -> None:
    active: dict[tuple[str, int], set[str]] = {}
    for shard in state.shards:
        # A copy that is for searches only cannot become the primary.
        if shard.state in ACTIVE and shard.node is not None and not shard.search_only:
            active.setdefault(shard.key, set()).add(shard.node)
    for key, holders in sorted(active.items()):
        if holders == {node.id}:
            text = f"{node.name} holds the only started copy of {key[0]}[{key[1]}]"
            verdict.no("shard_without_other_copy", text, node=node.name, index=key[0], shard=key[1])


def _needs_quorum(state: ClusterState, node: Node, verdict: Verdict) -> None:
    members = {member.id for member in state.nodes if member.manager}
    left = (state.voters & members) - {node.id}
    needed = len(state.voters) // 2 + 1
    if len(left) < needed:
        text = f"without {node.name} {len(left)} of {len(state.voters)} voting managers are left"
        verdict.no("manager_quorum", f"{text}, and {needed} are needed", node=node.name)


def restart_order(state: ClusterState, candidates: Iterable[str]) -> list[str]:
    """Order nodes for a rolling restart: warm, other data, managers, and the elected one last.

    A node that is not in the cluster comes first: it helps nobody as it is.
    """

    def rank(name: str) -> tuple[int, str]:
        node = state.named(name)
        if node is None:
            return 0, name
        if node.id == state.elected:
            return 4, name
        if node.temp == "warm":
            return 1, name
        return (2 if "data" in node.roles else 3), name

    return sorted(candidates, key=rank)
