"""Amounts of memory and disk as people write them."""

from __future__ import annotations

import re

SIZE = re.compile(r"\s*(\d+)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)
FACTOR = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
GIB = FACTOR["g"]


def parse_size(value: object) -> int | None:
    """Return a size in bytes, or None where it is none.

    :param value: such as ``512m``, ``4g``, ``4GB`` or a number of bytes
    """
    match = SIZE.fullmatch(str(value))
    if not match:
        return None
    return int(match[1]) * FACTOR[match[2].lower()]


def size(count: float) -> str:
    """Return a number of bytes as it is written in a variable, rounded down."""
    for unit in ("g", "m", "k"):
        if count >= 4 * FACTOR[unit] or (count >= FACTOR[unit] and count % FACTOR[unit] == 0):
            return f"{int(count // FACTOR[unit])}{unit}"
    return str(int(count))
