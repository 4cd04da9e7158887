"""Measure the search tier alone: blank hosts, nothing to do, check mode, a rolling restart."""

from __future__ import annotations

import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from threading import Event, Thread
from urllib.error import HTTPError
from urllib.request import urlopen

from lab.bench_deploy import ROOT, Run, lab, measure, table

ONLY_THE_TIER = ("--limit", "opensearch")
NODES = ("10.77.0.31", "10.77.0.32", "10.77.0.33")


@dataclass
class Polls:
    """Asks every node in turn, all the time, whether it answers (401 is an answer)."""

    sent: int = 0
    failed: int = 0
    unanswered_seconds: float = 0.0
    _stop: Event = field(default_factory=Event)

    def __enter__(self) -> Polls:
        self._thread = Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        context = ssl.create_default_context(cafile=str(ROOT / "inventories/cluster/pki/ca.pem"))
        answered = time.monotonic()
        while not self._stop.wait(0.1):
            node = NODES[self.sent % len(NODES)]
            self.sent += 1
            try:
                urlopen(f"https://{node}:9200/", timeout=2, context=context).close()
            except HTTPError:
                pass
            except OSError:
                self.failed += 1
                continue
            now = time.monotonic()
            self.unanswered_seconds = max(self.unanswered_seconds, now - answered)
            answered = now


def starts() -> list[str]:
    """Return when each node's service was started."""
    command = "systemctl show opensearch --property=ExecMainStartTimestampMonotonic"
    return [_on(name, command) for name in ("os1", "os2", "os3")]


def _on(name: str, command: str) -> str:
    shell = ["scripts/lab", "shell", name, command]
    return subprocess.run(shell, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def rolling_restart() -> float:
    """Restart all nodes one by one and return the seconds."""
    playbook = ["ansible-playbook", "-i", "inventories/cluster", "playbooks/rolling_restart.yml"]
    started = time.monotonic()
    done = subprocess.run(playbook, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: the rolling restart failed\n{done.stdout[-3000:]}")
    return time.monotonic() - started


def main() -> None:
    """Run the benchmark."""
    lab("down", "--keep-cache")
    lab("up", "--profile", "cluster")
    runs: list[Run] = [measure("first run", "cluster", *ONLY_THE_TIER)]
    before = starts()
    with Polls() as idle:
        runs.append(measure("nothing to do", "cluster", *ONLY_THE_TIER))
    restarted = sum(one != other for one, other in zip(before, starts(), strict=True))
    runs.append(measure("check", "cluster", "--check", *ONLY_THE_TIER))
    with Polls() as rolling:
        seconds = rolling_restart()
    print("\nthree blank hosts, downloads cached:")
    print(table(runs))
    print(
        f"\nnothing to do: {restarted} nodes restarted, {idle.failed} of {idle.sent} polls failed"
    )
    print(
        f"rolling restart: {seconds:.0f} s for three nodes, {rolling.failed} of {rolling.sent}"
        " polls met the node that was down,"
        f" no node answered for {rolling.unanswered_seconds:.1f} s at most"
    )


if __name__ == "__main__":
    main()
