"""Which TCP ports answer, tried from here."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

AT_ONCE = 128


def reached(address: str, port: int, timeout: float) -> str:
    """Return C(open), C(refused) (an answer, though nothing listens) or C(dropped).

    :param timeout: seconds
    """
    try:
        socket.create_connection((address, port), timeout=timeout).close()
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "dropped"
    return "open"


def probe(
    addresses: Sequence[str], ports: Sequence[int], timeout: float
) -> dict[str, dict[str, str]]:
    """Return for each address and port (as text) what C(reached) says; all are tried at once.

    :param timeout: seconds for each
    """
    targets = [(address, port) for address in addresses for port in ports]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        met = list(pool.map(lambda target: reached(target[0], target[1], timeout), targets))
    found: dict[str, dict[str, str]] = {address: {} for address in addresses}
    for (address, port), state in zip(targets, met, strict=True):
        found[address][str(port)] = state
    return found
