"""Says what hosts use, what to set and to buy, and what they cost. Run it as scripts/capacity."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from audit.playbook import PlaybookError, run_playbook

REPORT = "Report | Compare what is used with what there is"
TIMEOUT = 1800.0


class CapacityError(Exception):
    """There is no report; the message says what to put right."""


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="scripts/capacity",
        description="Say what the hosts of an inventory use, what to set and to buy; set nothing.",
        epilog="Ends with 0 where nothing is too small, 1 where something is or a host was not "
        "seen, 2 where there is no report.",
    )
    parser.add_argument("inventory", type=Path, help="a folder such as inventories/lab")
    parser.add_argument("--days", type=int, help="look back on so many days (capacity_days)")
    parser.add_argument("--seconds", type=int, help="look at hosts for so long (capacity_seconds)")
    parser.add_argument("--json", action="store_true", help="print the report for programs")
    return parser.parse_args(arguments)


def results(printed: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each task and its result on each host.

    :param printed: what the callback ansible.posix.json prints
    :raises CapacityError: where that is nothing
    """
    try:
        plays = json.loads(printed[printed.index("{") :])["plays"]
    except (ValueError, KeyError) as error:
        raise CapacityError(f"Ansible gave no answer: {printed.strip()[-1000:]}") from error
    for play in plays:
        for task in play["tasks"]:
            for result in task["hosts"].values():
                yield task["task"]["name"].removeprefix("capacity : "), result


def made(printed: str) -> dict[str, Any]:
    """Return what the report's task made, on the first monitoring host where it did.

    :raises CapacityError: where there is none; the message is the reason of the last failure
    """
    why = "no monitoring host could be asked"
    for name, result in results(printed):
        if name == REPORT and "report" in result:
            return result
        if result.get("failed") or result.get("unreachable"):
            said = str(result.get("msg") or "").strip()
            why = said.splitlines()[-1] if said else why
    raise CapacityError(why)


def ask(inventory: Path, variables: dict[str, int]) -> dict[str, Any]:
    """Run the playbook.

    :raises CapacityError: where there is no report
    """
    if not inventory.exists():
        raise CapacityError(f"there is no inventory {inventory}")
    try:
        return made(run_playbook("capacity.yml", inventory, variables, TIMEOUT))
    except PlaybookError as error:
        raise CapacityError(str(error)) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the report and show it."""
    given = options(arguments)
    started = time.monotonic()
    wanted = {"capacity_days": given.days, "capacity_seconds": given.seconds}

    def say(what: str) -> None:
        print(f"scripts/capacity: {what}", file=sys.stderr, flush=True)

    try:
        say("looking at the hosts, for a minute or as long as it is told, and at the metrics")
        found = ask(given.inventory, {k: v for k, v in wanted.items() if v is not None})
    except CapacityError as error:
        say(str(error))
        return 2
    print(json.dumps(found["report"], indent=2) if given.json else found["table"])
    say(f"{found['summary']}, {time.monotonic() - started:.0f} s")
    return 0 if found["report"]["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
