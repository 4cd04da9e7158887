"""Shows the findings, to people and to programs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict

from audit.findings import CHECKS, Finding, Verdict, overall

SHOWN = 12  # lines for each check; --json has all


def worst(findings: Sequence[Finding]) -> str:
    """Return the range of what was measured, by the numbers that the figures begin with."""

    def number(figure: str) -> float:
        found = re.match(r"[\d.]+", figure)
        return float(found[0]) if found else 0.0

    figures = sorted({finding.measured for finding in findings if finding.measured}, key=number)
    return " to ".join(dict.fromkeys([figures[0], figures[-1]])) if figures else "-"


def table(findings: Sequence[Finding]) -> str:
    """Return a row for each check, and below it what falls short."""
    rows = [("check", "goal", "measured", "hosts", "verdict")]
    details: list[str] = []
    for name, check in CHECKS.items():
        own = [finding for finding in findings if finding.check == name]
        if not own:
            continue
        good = sum(finding.verdict == Verdict.OK for finding in own)
        verdict = overall(own).value
        rows.append((check.title, check.goal, worst(own), f"{good} of {len(own)}", verdict))
        details += shortfalls(name, own)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, *(["", "What falls short:"] if details else []), *details])


def shortfalls(name: str, findings: Sequence[Finding]) -> list[str]:
    """Return the details of a check, those that hosts have in common once."""
    every = {finding.host for finding in findings}
    hosts: dict[tuple[Verdict, str], list[str]] = {}
    for finding in findings:
        if finding.verdict != Verdict.OK:
            for detail in finding.details:
                hosts.setdefault((finding.verdict, detail), []).append(finding.host)
    lines = [
        f"  {name}: {'every host' if set(on) == every and len(on) > 1 else ', '.join(on)}: "
        f"{'not measurable: ' if verdict == Verdict.NOT_MEASURABLE else ''}{detail}"
        for (verdict, detail), on in hosts.items()
    ]
    more = [f"  {name}: {len(lines) - SHOWN} more (--json has them)"] if len(lines) > SHOWN else []
    return lines[:SHOWN] + more


def document(inventory: str, findings: Sequence[Finding]) -> str:
    """Return the findings as JSON."""
    checks = []
    for name, check in CHECKS.items():
        own = [finding for finding in findings if finding.check == name]
        if own:
            listed = [{k: v for k, v in asdict(f).items() if k != "check"} for f in own]
            verdict = overall(own).value
            checks.append(
                {"check": name, "goal": check.goal, "verdict": verdict, "findings": listed}
            )
    met = overall(findings) == Verdict.OK
    return json.dumps({"inventory": inventory, "met": met, "checks": checks}, indent=2)
