"""Write numbers through the Sentinels until told to stop; print what was written and lost."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from cache_node import Access, CacheError, Connection, find_primary


def write_until(stop: threading.Event, order: dict[str, Any]) -> dict[str, Any]:
    """Write every 50 ms, looking the primary up again after each failure."""
    access = Access("/etc/research-pki/ca.pem", order["user"], order["password"], timeout=1.0)
    sentinels = [(node, 26379) for node in order["nodes"]]
    server: Connection | None = None
    acknowledged: list[str] = []
    failed, gap, last = 0, 0.0, time.monotonic()
    number = 0
    while not stop.is_set():
        number += 1
        try:
            server = server or Connection(find_primary("research", sentinels, access), 6379, access)
            server.call("SADD", "research:numbers", str(number))
            acknowledged.append(str(number))
            gap, last = max(gap, time.monotonic() - last), time.monotonic()
        except CacheError:
            failed += 1
            server = None
        time.sleep(0.05)
    with Connection(find_primary("research", sentinels, access), 6379, access) as reader:
        kept = set(reader.call("SMEMBERS", "research:numbers"))
        reader.call("DEL", "research:numbers")
    lost = [one for one in acknowledged if one not in kept]
    return {
        "acknowledged": len(acknowledged),
        "failed": failed,
        "lost": len(lost),
        "longest_gap": round(gap, 2),
    }


def main() -> None:
    """Take the order, write until the next line, print the tally."""
    order = json.loads(sys.stdin.readline())
    stop = threading.Event()
    tally: dict[str, Any] = {}
    thread = threading.Thread(target=lambda: tally.update(write_until(stop, order)))
    thread.start()
    sys.stdin.readline()
    stop.set()
    thread.join()
    print(json.dumps(tally))


main()
