"""Judge an upgrade before it starts: (the cluster, the wanted version) -> a verdict with reasons.

Sources of the rules: OpenSearch documentation, "Rolling upgrade" (adjacent major versions only, 3.x
from 2.19.0 on, nodes cannot be downgraded) and "Version compatibility" (an index is read by the
major version that made it and by the next one).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.opensearch_disk import Disk, low_watermark, size
from ansible.module_utils.opensearch_verdict import UnreadableError, Verdict

Version = tuple[int, int, int]

# What the identifiers of OpenSearch's versions are marked with, to differ from Elasticsearch's
# (org.opensearch.Version, MASK).
OPENSEARCH_MARK = 0x08000000
# The first version of a major that the next one accepts in its cluster.
LAST_OF_MAJOR: Mapping[int, Version] = {2: (2, 19, 0)}


def version(text: str) -> Version:
    """Parse ``3.5.0`` or ``3.5.0-SNAPSHOT``.

    :raises UnreadableError: where it is no version
    """
    parts = text.partition("-")[0].split(".")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise UnreadableError(f"{text!r} is no version such as 3.5.0")
    return int(parts[0]), int(parts[1]), int(parts[2])


def created_by(identifier: str) -> tuple[str, Version]:
    """Return the product and the version in an index's ``version.created``.

    :param identifier: such as 137267827, which is OpenSearch 3.5.0
    :raises UnreadableError: where it is no number
    """
    try:
        number = int(identifier)
    except ValueError:
        raise UnreadableError(f"version.created is {identifier!r}") from None
    product = "OpenSearch" if number & OPENSEARCH_MARK else "Elasticsearch"
    number &= ~OPENSEARCH_MARK
    return product, (number // 1_000_000, number // 10_000 % 100, number // 100 % 100)


@dataclass(frozen=True)
class Before:
    """The cluster as it is before the upgrade.

    :ivar nodes: version of each member, by name
    :ivar indices: ``version.created`` of each index
    :ivar plugins: plugins that were added to the releases that run
    :ivar disks: each node's disk, by name
    :ivar settings: flat, effective settings of the cluster
    :ivar snapshot_age: hours since the newest complete snapshot, or None where there is none
    """

    nodes: Mapping[str, str]
    indices: Mapping[str, str]
    plugins: frozenset[str]
    disks: Mapping[str, Disk]
    settings: Mapping[str, Any]
    snapshot_age: float | None


@dataclass(frozen=True)
class Wanted:
    """What the cluster is to become.

    :ivar version: the version
    :ivar plugins: plugins that will be added to its release
    :ivar snapshot_hours: how old the newest snapshot may be
    """

    version: str
    plugins: frozenset[str]
    snapshot_hours: float


def outdated(before: Before, wanted: Wanted) -> list[str]:
    """Return the members that do not run the wanted version yet."""
    return sorted(name for name, runs in before.nodes.items() if runs != wanted.version)


def may_upgrade(before: Before, wanted: Wanted) -> Verdict:
    """Judge whether the rolling path leads from here to the wanted version."""
    verdict = Verdict()
    if not outdated(before, wanted):
        return verdict
    target = version(wanted.version)
    _supported_jump(before.nodes, target, verdict)
    _readable_indices(before.indices, target, verdict)
    for name in sorted(before.plugins - wanted.plugins):
        text = f"the plugin {name} is installed and opensearch_plugins does not name it"
        verdict.no("plugin_missing", f"{text} for {wanted.version}")
    for node, disk in sorted(before.disks.items()):
        limit = low_watermark(before.settings, disk)
        if disk.used >= limit:
            text = f"{node} uses {size(disk.used)} of its disk: from {size(int(limit))} on no copy"
            verdict.no("disk_watermark", f"{text} comes back to it after its restart", node=node)
    _fresh_snapshot(before.snapshot_age, wanted.snapshot_hours, verdict)
    return verdict


def _supported_jump(nodes: Mapping[str, str], target: Version, verdict: Verdict) -> None:
    for name, text in sorted(nodes.items()):
        runs = version(text)
        oldest = LAST_OF_MAJOR.get(runs[0], (runs[0], 0, 0))
        if runs > target:
            verdict.no("downgrade", f"{name} runs {text}, and no node goes back", node=name)
        elif target[0] - runs[0] > 1:
            step = f"{runs[0] + 1}.x"
            verdict.no("jump", f"{name} runs {text}: upgrade to {step} first", node=name)
        elif target[0] > runs[0] and runs < oldest:
            step = ".".join(map(str, oldest))
            verdict.no("jump", f"{name} runs {text}: upgrade to {step} first", node=name)


def _readable_indices(indices: Mapping[str, str], target: Version, verdict: Verdict) -> None:
    for index, identifier in sorted(indices.items()):
        product, made = created_by(identifier)
        if product != "OpenSearch" or made[0] < target[0] - 1:
            text = f"{index} was made by {product} {'.'.join(map(str, made))}"
            verdict.no("index_too_old", f"{text}: reindex it first", index=index)


def _fresh_snapshot(age: float | None, most: float, verdict: Verdict) -> None:
    if age is None:
        verdict.no("snapshot_missing", "there is no complete snapshot to go back to")
    elif age > most:
        text = f"the newest complete snapshot is {age:.0f} h old, and may be {most:g} h"
        verdict.no("snapshot_old", text)


def newest(snapshots: Iterable[Mapping[str, Any]], now_ms: int) -> float | None:
    """Return the age in hours of the newest complete snapshot among _snapshot's entries."""
    ends = [
        int(entry["end_time_in_millis"])
        for entry in snapshots
        if entry.get("state") == "SUCCESS" and "end_time_in_millis" in entry
    ]
    return (now_ms - max(ends)) / 3_600_000 if ends else None
