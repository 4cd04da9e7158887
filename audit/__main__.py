"""Audits the hosts of an inventory and changes nothing on them. Run it as scripts/audit."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from audit import checks, report, scanners, site
from audit.findings import CHECKS, Finding, Verdict, overall

LYNIS_SECONDS = 600
TLS_SECONDS = 600.0
HOSTS_SECONDS = 1200.0


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(
        prog="scripts/audit",
        description="Audit the hosts of an inventory; nothing is changed on them.",
        epilog="Ends with 0 where every goal is met, 1 where one is not, 2 where it cannot start.",
    )
    parser.add_argument("inventory", type=Path, help="a folder such as inventories/lab")
    parser.add_argument("--json", action="store_true", help="print the findings for programs")
    parser.add_argument(
        "--only",
        metavar="CHECK,…",
        default=",".join(CHECKS),
        help=f"some of {', '.join(CHECKS)}",
    )
    return parser.parse_args(arguments)


def audit(inventory: Path, wanted: Sequence[str], say: Callable[[str], None]) -> list[Finding]:
    """Return the findings of the wanted checks."""
    say("asking the hosts" + (" (lynis takes a minute or more)" if "lynis" in wanted else ""))
    hosts = site.ask(inventory, LYNIS_SECONDS if "lynis" in wanted else 0, HOSTS_SECONDS)
    findings: list[Finding] = []
    if "tls" in wanted:
        say("trying the TLS of every port")
        findings += scanners.tls(hosts, TLS_SECONDS)
    for name in checks.PARTS:
        if name in wanted:
            findings += [checks.part(name, host) for host in hosts]
    if "lynis" in wanted:
        findings += [checks.lynis(host) for host in hosts]
    if "firewall" in wanted:
        findings += checks.firewall(hosts)
    if "ssh" in wanted:
        # At the end: sshd makes wait who often leaves without having logged in.
        say("trying the algorithms of ssh")
        findings += scanners.ssh(hosts)
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the audit and show it."""
    given = options(arguments)
    started = time.monotonic()
    wanted = given.only.split(",")

    def say(what: str) -> None:
        print(f"scripts/audit: {what}", file=sys.stderr, flush=True)

    try:
        if unknown := [name for name in wanted if name not in CHECKS]:
            raise site.AuditError(
                f"there is no check {unknown[0]!r}; there are {', '.join(CHECKS)}"
            )
        if not given.inventory.exists():
            raise site.AuditError(f"there is no inventory {given.inventory}")
        findings = audit(given.inventory, wanted, say)
    except site.AuditError as error:
        say(str(error))
        return 2
    met = overall(findings) == Verdict.OK
    print(report.document(str(given.inventory), findings) if given.json else report.table(findings))
    say(f"{'every' if met else 'not every'} goal is met, {time.monotonic() - started:.0f} s")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
