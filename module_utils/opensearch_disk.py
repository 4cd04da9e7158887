"""The disks of a cluster's nodes, and how full it lets them become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.opensearch_verdict import UnreadableError

WATERMARK = "cluster.routing.allocation.disk.watermark"
UNITS = {"pb": 50, "tb": 40, "gb": 30, "mb": 20, "kb": 10, "b": 0}


@dataclass(frozen=True)
class Disk:
    """A node's disk in bytes, and how much of it its shards take."""

    total: int
    available: int
    stored: int

    @property
    def used(self) -> int:
        """Return the bytes that are not available."""
        return self.total - self.available


def disks_from(answer: Any) -> dict[str, Disk]:
    """Build from the answer of _nodes/stats/indices,fs, by the nodes' names.

    :raises UnreadableError: where the answer is not what it should be
    """
    try:
        return {
            node["name"]: Disk(
                total=int(node["fs"]["total"]["total_in_bytes"]),
                available=int(node["fs"]["total"]["available_in_bytes"]),
                stored=int(node["indices"]["store"]["size_in_bytes"]),
            )
            for node in answer["nodes"].values()
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableError(f"the answer about disks lacks {error}") from error


def low_watermark(settings: Mapping[str, Any], disk: Disk) -> float:
    """Return how many bytes of a disk may be used before no copy is placed on it any more.

    :param settings: flat, effective settings of the cluster
    """
    return watermark(settings.get(f"{WATERMARK}.low", "85%"), disk.total)


def high_watermark(settings: Mapping[str, Any], disk: Disk) -> float:
    """Return how many bytes of a disk may be used before copies are moved away from it.

    :param settings: flat, effective settings of the cluster
    """
    return watermark(settings.get(f"{WATERMARK}.high", "90%"), disk.total)


def watermark(value: Any, total: int) -> float:
    """Return how many bytes of a disk may be used below a watermark.

    :raises UnreadableError: where the setting is neither a share nor a size
    """
    text = str(value).strip().lower()
    try:
        if text.endswith("%"):
            return total * float(text[:-1]) / 100
        for unit, power in UNITS.items():
            if text.endswith(unit):
                return total - float(text.removesuffix(unit)) * float(2**power)
        return total * float(text)
    except ValueError as error:
        raise UnreadableError(f"the disk watermark {value} cannot be read") from error


def size(count: int) -> str:
    """Return a number of bytes as people write it."""
    for unit, power in UNITS.items():
        if count >= 2**power:
            return f"{count / 2**power:.1f} {unit.upper()}" if power else f"{count} B"
    return "0 B"
