"""What an audit asks, and what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How something stands to its goal; the later one weighs more."""

    OK = "ok"
    NOT_MEASURABLE = "not measurable"
    BELOW_GOAL = "below goal"


@dataclass(frozen=True)
class Check:
    """One question of the audit."""

    name: str
    title: str
    goal: str


# In the order of the table.
CHECKS = {
    check.name: check
    for check in (
        Check("tls", "TLS of every port", "Mozilla's intermediate profile"),
        Check("ssh", "algorithms of ssh (ssh-audit)", "0 fails"),
        Check("lynis", "hardening index (lynis)", "80 or more"),
        Check("exposure", "exposure of the services (systemd)", "2.0 or less; some other"),
        Check("firewall", "open ports, from host to host", "as the inventory asks"),
        Check("secrets", "secrets that others could read", "0"),
        Check("certificates", "certificates", "more than 14 days left"),
        Check("writable", "files that everybody may write to", "0"),
        Check("updates", "security updates that wait", "0"),
    )
}


@dataclass(frozen=True)
class Finding:
    """What a check says of one host.

    :param measured: the figure that is compared with the goal
    :param details: what falls short, or why nothing could be measured; one line each
    """

    check: str
    host: str
    verdict: Verdict
    measured: str
    details: tuple[str, ...] = ()


def judged(check: str, host: str, measured: str, short: Sequence[str]) -> Finding:
    """Return a finding that is ok where nothing falls short."""
    verdict = Verdict.BELOW_GOAL if short else Verdict.OK
    return Finding(check, host, verdict, measured, tuple(short))


def not_measurable(check: str, host: str, why: str) -> Finding:
    """Return a finding that says why there is none."""
    return Finding(check, host, Verdict.NOT_MEASURABLE, "", (why,))


def overall(findings: Sequence[Finding]) -> Verdict:
    """Return the worst verdict."""
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)
