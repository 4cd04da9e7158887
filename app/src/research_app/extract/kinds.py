"""What may be asked of the reader of documents: a closed list, and the limits of each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# one answer, soon; many, as fast as they are wanted; many that take hours; one that takes an hour
Lane = Literal["one", "many", "long", "slow"]

MEBIBYTE = 2**20
# by the clock; the reader itself keeps to it, and leaves out the pages for which no time is left
SCAN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process that reads one document may take."""

    # of processor time in all; where there is one answer also by the clock
    seconds: int
    memory_bytes: int
    lane: Lane = "one"
    # of waiting for the next of many answers
    silent_seconds: int = 60
    # processes and threads of its own
    starts_others: bool = False

    @property
    def patience(self) -> int:
        """How long to wait for an answer."""
        return self.seconds if self.lane == "one" else self.silent_seconds


KINDS: dict[str, Limits] = {
    "pdf": Limits(seconds=120, memory_bytes=2048 * MEBIBYTE),
    "scan": Limits(
        seconds=SCAN_SECONDS,
        memory_bytes=2048 * MEBIBYTE,
        lane="slow",
        silent_seconds=SCAN_SECONDS,
        starts_others=True,
    ),
    "media": Limits(seconds=200, memory_bytes=2048 * MEBIBYTE, starts_others=True),
    "speech": Limits(
        seconds=4 * 86_400,
        memory_bytes=8192 * MEBIBYTE,
        lane="long",
        silent_seconds=600,
        starts_others=True,
    ),
    "picture": Limits(seconds=20, memory_bytes=1024 * MEBIBYTE),
    "feed": Limits(seconds=120, memory_bytes=2048 * MEBIBYTE),
    "arxiv": Limits(seconds=60, memory_bytes=1024 * MEBIBYTE),
    "transcript": Limits(seconds=60, memory_bytes=1024 * MEBIBYTE),
    "bibtex": Limits(seconds=7200, memory_bytes=2048 * MEBIBYTE, lane="many"),
    "jsonlines": Limits(seconds=7200, memory_bytes=1024 * MEBIBYTE, lane="many"),
}
