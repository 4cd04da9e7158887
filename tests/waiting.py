"""Waiting for what takes a moment."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something holds.

    :param seconds: how long at most
    :param what: for the failure message
    :return: seconds waited
    """
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        assert waited < seconds, f"after {waited:.0f} s still not: {what}"
        time.sleep(0.5)
    return time.monotonic() - started
