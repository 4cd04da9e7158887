"""Word to systemd (Type=notify): a state, and signs of life; nothing where it does not listen."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable


def notify(state: str) -> None:
    """Send a state such as READY=1."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # a name in the abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect(address)
        channel.sendall(state.encode())


def watchdog_seconds() -> float | None:
    """How long systemd waits for this process's next sign of life; None where it does not watch."""
    process = str(os.getpid())
    if os.environ.get("WATCHDOG_PID", process) != process:
        return None
    return int(os.environ.get("WATCHDOG_USEC") or 0) / 1_000_000 or None


async def keep_alive(lives: Callable[[], bool] = lambda: True) -> None:
    """Give signs of life as long as this event loop turns and `lives` says yes.

    Ends at once where systemd does not watch; otherwise never.
    """
    if seconds := watchdog_seconds():
        while True:
            if lives():
                notify("WATCHDOG=1")
            await asyncio.sleep(seconds / 3)
