#!/usr/bin/python3
"""Copies of shards that the cluster has given up though their data are there: try them again.

OpenSearch tries five times to assign a copy and then never again by itself (decider max_retry).
The module ``opensearch_allocation`` does it for a play (``retried``). The role also installs this
file as the program of a unit on every search node, where it acts on the elected manager alone.
There it also leaves what no exporter tells, as a file that the node exporter reads: whether this
node is the elected manager, and how many copies are unassigned for which reason.
"""

from __future__ import annotations

import argparse
import json
import ssl
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

STATE_PATH = (
    "/_cluster/state/cluster_manager_node,nodes,routing_table"
    "?filter_path=cluster_manager_node,nodes.*.name,routing_table.indices.*.shards"
)
EXPLAIN_PATH = "/_cluster/allocation/explain"
RETRY_PATH = "/_cluster/reroute?retry_failed=true&metric=none"
MOST_EXPLAINED = 50
ANSWER_SECONDS = 30
# Between two looks. The next try waits twice as long each time while the same is given up again.
PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 3600.0

Request = Callable[..., Any]


def failed_copies(state: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the unassigned copies whose last try failed, as the explain API wants them named.

    A replica counts only where its primary is started, since it is built from that.

    :raises KeyError: where the cluster's answer is not complete
    """
    for index, table in state.get("routing_table", {}).get("indices", {}).items():
        for copies in table["shards"].values():
            served = any(copy["primary"] and copy["state"] == "STARTED" for copy in copies)
            for copy in copies:
                failed = copy.get("unassigned_info", {}).get("failed_attempts", 0)
                if copy["state"] == "UNASSIGNED" and failed and (copy["primary"] or served):
                    yield {"index": index, "shard": copy["shard"], "primary": copy["primary"]}


def given_up(explanation: Mapping[str, Any]) -> bool:
    """Say whether a copy waits for nothing but another try, and has good data to begin with."""
    if explanation.get("can_allocate") == "yes":  # it only has to be asked
        return True
    decisions = explanation.get("node_allocation_decisions", [])
    refused = any(
        decider["decider"] == "max_retry" and decider["decision"] == "NO"
        for decision in decisions
        for decider in decision.get("deciders", [])
    )
    stores = [decision.get("store", {}) for decision in decisions]
    good = any(store.get("in_sync") and "store_exception" not in store for store in stores)
    return refused and (good or not explanation["primary"])


def stuck(request: Request, state: Mapping[str, Any]) -> list[str]:
    """Return the names of the copies that are worth another try, sorted.

    :param request: sends method, path and body, and returns the parsed answer
    :raises KeyError: where the cluster's answer is not complete
    """
    found = set()
    for copy in list(failed_copies(state))[:MOST_EXPLAINED]:
        if given_up(request("POST", EXPLAIN_PATH, copy)):
            kind = "primary" if copy["primary"] else "replica"
            found.add(f"{copy['index']}[{copy['shard']}] ({kind})")
    return sorted(found)


def is_elected(state: Mapping[str, Any], node: str) -> bool:
    """Say whether a node, by its name, is the elected manager."""
    elected = state.get("cluster_manager_node")
    return bool(state.get("nodes", {}).get(elected, {}).get("name") == node)


def metrics(state: Mapping[str, Any], node: str) -> str:
    """Return what a node tells of the cluster, as Prometheus reads it.

    Every node says whether it is the elected manager; the manager alone says why copies are
    unassigned, so that each is counted once.

    :raises KeyError: where the cluster's answer is not complete
    """
    elected = is_elected(state, node)
    lines = [
        "# HELP research_opensearch_manager Whether this node is the elected cluster manager.",
        "# TYPE research_opensearch_manager gauge",
        f"research_opensearch_manager {elected:d}",
    ]
    if elected:
        reasons = Counter(
            copy.get("unassigned_info", {}).get("reason", "unknown")
            for table in state.get("routing_table", {}).get("indices", {}).values()
            for copies in table["shards"].values()
            for copy in copies
            if copy["state"] == "UNASSIGNED"
        )
        name = "research_opensearch_unassigned_shards"
        lines += [
            f"# HELP {name} Copies without a node, by the reason that the cluster gives.",
            f"# TYPE {name} gauge",
            *(f'{name}{{reason="{reason}"}} {count}' for reason, count in sorted(reasons.items())),
        ]
    return "\n".join(lines) + "\n"


def leave(path: Path, text: str) -> None:
    """Replace a file in one step, for others to read."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o644)
    new.replace(path)


def attend(request: Request, state: Mapping[str, Any], node: str) -> list[str]:
    """Try again what was given up, where this node is the manager; return what that was."""
    copies = stuck(request, state) if is_elected(state, node) else []
    if copies:
        request("POST", RETRY_PATH)
    return copies


def next_pause(pause: float, before: list[str], now: list[str]) -> float:
    """Return how long to wait: longer each time while the same copies are given up again."""
    if now and now == before:
        return min(2 * pause, LONGEST_PAUSE_SECONDS)
    return PAUSE_SECONDS


def requester(url: str, authority: str, certificate: str, key: str) -> Request:
    """Return a function that asks one node; the files are read anew each time.

    It raises OSError where the node does not answer, ValueError where the answer is no JSON.
    """

    def request(method: str, path: str, body: Any = None) -> Any:
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(certificate, key)
        sent = urllib.request.Request(  # noqa: S310 - always the https URL of the unit
            url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        opened = urllib.request.urlopen(sent, timeout=ANSWER_SECONDS, context=context)  # noqa: S310
        with opened as answer:
            return json.load(answer)

    return request


def main() -> None:
    """Look every half minute, as long as the unit runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("node", "url", "ca", "certificate", "key"):
        parser.add_argument(f"--{option}", required=True)
    parser.add_argument("--metrics", type=Path, help="a file that the node exporter reads")
    options = parser.parse_args()
    request = requester(options.url, options.ca, options.certificate, options.key)
    pause, due, copies, trouble = PAUSE_SECONDS, time.monotonic(), list[str](), ""
    while True:
        told = metrics({}, options.node)
        try:
            state = request("GET", STATE_PATH)
            told = metrics(state, options.node)
            if time.monotonic() >= due:
                before, copies = copies, attend(request, state, options.node)
                pause = next_pause(pause, before, copies)
                due = time.monotonic() + pause
                if copies:
                    print(
                        f"tried again: {', '.join(copies)}; next try in {pause:.0f} s", flush=True
                    )
            trouble = ""
        except (OSError, ValueError, KeyError) as error:
            if (said := f"{type(error).__name__}: {error}") != trouble:
                print(f"the cluster cannot be asked: {said}", flush=True)
                trouble = said
        if options.metrics:
            leave(options.metrics, told)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
