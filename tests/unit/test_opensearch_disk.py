"""How full a disk may become, by the watermarks as administrators write them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.opensearch_disk import (
    WATERMARK,
    Disk,
    disks_from,
    high_watermark,
    low_watermark,
    size,
    watermark,
)
from ansible.module_utils.opensearch_verdict import UnreadableError


@pytest.mark.parametrize(
    ("value", "expected"),
    [("90%", 900), ("0.85", 850), ("100b", 900), (" 85% ", 850), ("1kb", 1000 - 1024)],
)
def test_watermark(value: str, expected: float) -> None:
    assert watermark(value, 1000) == pytest.approx(expected)


def test_a_watermark_that_cannot_be_read_is_no_answer() -> None:
    with pytest.raises(UnreadableError):
        watermark("plenty", 1000)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (512, "512 B"), (1536, "1.5 KB"), (3 * 2**30, "3.0 GB")]
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize("answer", [None, {}, {"nodes": {"x": {"name": "os1"}}}, "{trunc"])
def test_disks_that_cannot_be_read(answer: Any) -> None:
    with pytest.raises(UnreadableError):
        disks_from(answer)


def test_what_the_cluster_sets_counts_and_else_what_the_server_does() -> None:
    disk = Disk(total=1000, available=400, stored=0)
    assert disk.used == 600
    assert (low_watermark({}, disk), high_watermark({}, disk)) == (850, 900)
    assert low_watermark({f"{WATERMARK}.low": "100b"}, disk) == 900
