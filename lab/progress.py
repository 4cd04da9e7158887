"""Shows how far ansible-playbook is: a line per play, the task on a terminal, errors in full.

Reads its output on standard input and keeps all of it in the file that the argument names.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

HEADING = re.compile(r"^(PLAY|TASK|RUNNING HANDLER) \[(.*)\] \**$")
ERROR = re.compile(r"^(\[ERROR\]|fatal: |ERROR! |An exception)")
RECAP = re.compile(r"^\S+ +: ok=\d+ +changed=\d+")


def shown(lines: Iterable[str], clock: Iterator[str]) -> Iterator[tuple[str, str]]:
    """What to show of ansible's output: pairs of kind (play, task or text) and line."""
    in_error = False
    for line in lines:
        heading = HEADING.match(line)
        if heading:
            kind = "play" if heading[1] == "PLAY" else "task"
            in_error = False
            yield kind, f"  {next(clock)}  {heading[2]}"
        elif ERROR.match(line) or RECAP.match(line):
            in_error = bool(ERROR.match(line))
            yield "text", line
        elif in_error and line.strip():
            yield "text", line
        else:
            in_error = False


def since(start: float) -> Iterator[str]:
    """Minutes and seconds since start, for ever."""
    while True:
        passed = int(time.monotonic() - start)
        yield f"{passed // 60:2}:{passed % 60:02}"


def main() -> int:
    terminal = sys.stdout.isatty()
    clear = "\r\x1b[K" if terminal else ""

    def kept(path: Path) -> Iterator[str]:
        with path.open("w", encoding="utf-8") as file:
            for line in sys.stdin:
                file.write(line)
                file.flush()
                yield line.rstrip("\n")

    for kind, line in shown(kept(Path(sys.argv[1])), since(time.monotonic())):
        if kind != "task":
            print(f"{clear}{line}", flush=True)
        elif terminal:
            print(f"{clear}{line[:100]}", end="", flush=True)
    print(clear, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
