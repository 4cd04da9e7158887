"""What may be asked of the reader of documents: a closed list, and the limits of each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Lane = Literal["one", "many"]

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process that reads one document may take."""

    # of processor time in all, and, where there is one answer, by the clock
    seconds: int
    memory_bytes: int
    # many answers are taken as fast as they are wanted: the clock says nothing of their reader
    lane: Lane = "one"
    runs_programs: bool = False


KINDS: dict[str, Limits] = {
    "pdf": Limits(seconds=120, memory_bytes=2048 * MEBIBYTE),
}
