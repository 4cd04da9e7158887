"""Ask a cluster for what a verdict needs, again and again until it is a yes or time is up."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.opensearch_client import Client, OpenSearchError
from ansible.module_utils.opensearch_disk import Disk, disks_from
from ansible.module_utils.opensearch_verdict import (
    ClusterState,
    Shard,
    UnreadableError,
    Verdict,
    unreadable,
)

STATE_PATH = "/_cluster/state/cluster_manager_node,nodes,routing_table,metadata"
STATE_FILTER = (
    "cluster_uuid,cluster_manager_node,master_node,nodes,routing_table,"
    "metadata.cluster_coordination,metadata.indices.*.settings.index.routing,"
    "metadata.indices.*.settings.index.auto_expand_replicas"
)
# The term is never empty, so that an answer without exclusions can be told from no answer.
EXCLUSIONS_FILTER = (
    "metadata.cluster_coordination.term,metadata.cluster_coordination.voting_config_exclusions"
)
DISKS_PATH = "/_nodes/stats/indices,fs"
DISKS_FILTER = "nodes.*.name,nodes.*.fs.total,nodes.*.indices.store.size_in_bytes"
NODES_FILTER = "nodes.*.name,nodes.*.version,nodes.*.roles"
MOST_EXPLAINED = 50


def read_state(client: Client, defaults: bool = False) -> ClusterState:
    """Read what the cluster says of itself.

    :param defaults: ask for the settings that nobody set, too
    :raises OpenSearchError: where it does not answer or refuses
    :raises UnreadableError: where its answer is not complete
    """
    state = client.request("GET", STATE_PATH, filter_path=STATE_FILTER)
    if isinstance(state, dict):
        # filter_path leaves out what is empty.
        state.setdefault("routing_table", {}).setdefault("indices", {})
        coordination = state.get("metadata", {}).get("cluster_coordination", {})
        coordination.setdefault("last_committed_config", [])
    wanted = {"flat_settings": "true", **({"include_defaults": "true"} if defaults else {})}
    settings = client.request("GET", "/_cluster/settings", **wanted)
    nodes = client.request("GET", "/_nodes/_all/process", filter_path=NODES_FILTER)
    return ClusterState.from_answers(state, settings, nodes)


def read_disks(client: Client) -> dict[str, Disk]:
    """Read how full the nodes are.

    :raises OpenSearchError: where the cluster does not answer or refuses
    :raises UnreadableError: where its answer is not complete
    """
    return disks_from(client.request("GET", DISKS_PATH, filter_path=DISKS_FILTER))


def read_exclusions(client: Client) -> list[dict[str, str]]:
    """Read whose vote is taken, each with node_id and node_name.

    :raises OpenSearchError: where the cluster does not answer, refuses, or cannot be understood
    """
    answer = client.request("GET", "/_cluster/state/metadata", filter_path=EXCLUSIONS_FILTER)
    try:
        coordination = answer["metadata"]["cluster_coordination"]
        listed = coordination.get("voting_config_exclusions") or []
        return [{key: entry[key] for key in ("node_id", "node_name")} for entry in listed]
    except (KeyError, TypeError, AttributeError) as error:
        raise OpenSearchError(f"the cluster's answer about votes lacks {error}") from error


def security_is_up(client: Client) -> bool:
    """Say whether the security plugin has read its users, without which nobody is let in."""
    answer = client.request("GET", "/_plugins/_security/health")
    return isinstance(answer, dict) and answer.get("status") == "UP"


def explainer(client: Client) -> Callable[[Shard], Any]:
    """Return a function that asks why a copy is not assigned, a bounded number of times."""
    asked = 0

    def explain(shard: Shard) -> Any:
        nonlocal asked
        asked += 1
        if asked > MOST_EXPLAINED:
            return None
        body = {"index": shard.index, "shard": shard.number, "primary": shard.primary}
        try:
            return client.request("POST", "/_cluster/allocation/explain", body=body)
        except OpenSearchError:
            return None

    return explain


def failed_unit(unit: str | None) -> Callable[[], str]:
    """Return a function that says when a unit of this host has failed or keeps failing."""

    def hopeless() -> str:
        if not unit:
            return ""
        show = ["systemctl", "show", unit, "--property=ActiveState,SubState,NRestarts"]
        shown = subprocess.run(show, capture_output=True, text=True, check=False).stdout
        state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        if state.get("ActiveState") == "failed" or int(state.get("NRestarts") or 0) > 1:
            return f"{unit} does not stay up (see: journalctl -u {unit})"
        return ""

    return hopeless


def await_verdict(
    ask: Callable[[], Verdict],
    timeout: float,
    interval: float,
    hopeless: Callable[[], str] = lambda: "",
) -> tuple[Verdict, list[str]]:
    """Ask until the verdict is a yes or time is up; return the last one and what changed.

    :param hopeless: says why waiting is pointless, or nothing
    :raises OpenSearchError: where asking again is pointless (refused, TLS not trusted)
    """
    started = time.monotonic()
    history: list[str] = []
    while True:
        try:
            verdict = ask()
        except UnreadableError as error:
            verdict = unreadable(str(error))
        except OpenSearchError as error:
            if error.final:
                raise
            verdict = unreadable(str(error))
        said = "yes" if verdict.ok else verdict.sentence()
        elapsed = time.monotonic() - started
        if not history or not history[-1].endswith(f"s {said}"):
            history.append(f"{elapsed:.0f} s {said}")
        why = "" if verdict.ok else hopeless()
        if why:
            verdict.no("unit_failed", why)
            return verdict, history
        if verdict.ok or elapsed + interval > timeout:
            return verdict, history
        time.sleep(interval)
