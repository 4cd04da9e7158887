"""Judges what the hosts and the scanners answered: pure functions from answers to findings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

from audit.findings import Finding, judged, not_measurable
from audit.site import LOOK, LYNIS, PORTS, Host

LYNIS_GOAL = 80
CERTIFICATE_DAYS = 14
# The distribution's own services do what a sandbox forbids: log people in, run anybody's jobs,
# install packages. The proxies' first process reads the keys as root, so that the one that talks
# to clients need not: with a user of systemd's they would lose that, and HAProxy its empty root
# directory. What else is the project's own has the last line's goal.
EXPOSURE_GOALS = {
    "ssh.service": 9.2,
    "cron.service": 9.0,
    "unattended-upgrades.service": 9.0,
    "auditd.service": 9.0,
    "chrony.service": 3.5,
    "keepalived.service": 3.0,
    "haproxy.service": 2.3,
    "nginx.service": 2.1,
    "*": 2.0,
}


def exposure_goal(unit: str) -> float:
    """Return the highest exposure that a unit may have."""
    return next(goal for pattern, goal in EXPOSURE_GOALS.items() if fnmatch(unit, pattern))


def exposure(host: Host, found: Mapping[str, float]) -> Finding:
    """Judge the exposure of the services."""
    short = [
        f"{unit.removesuffix('.service')} {value:.1f} (goal {exposure_goal(unit):.1f})"
        for unit, value in sorted(found.items())
        if value > exposure_goal(unit)
    ]
    own = [value for unit, value in found.items() if exposure_goal(unit) == EXPOSURE_GOALS["*"]]
    return judged("exposure", host.name, f"{max(own, default=0):.1f}", short)


def certificates(host: Host, found: Mapping[str, float]) -> Finding:
    """Judge the days that the certificates have left."""
    short = [f"{path}: {days:.0f} days" for path, days in found.items() if days <= CERTIFICATE_DAYS]
    return judged("certificates", host.name, f"{min(found.values(), default=0):.0f} days", short)


def listed(check: str) -> Callable[[Host, Sequence[str]], Finding]:
    """Return the judge of a check whose goal is an empty list."""
    return lambda host, found: judged(check, host.name, str(len(found)), found)


PARTS: Mapping[str, Callable[[Host, Any], Finding]] = {
    "exposure": exposure,
    "secrets": listed("secrets"),
    "certificates": certificates,
    "writable": listed("writable"),
    "updates": listed("updates"),
}


def part(check: str, host: Host) -> Finding:
    """Judge a part of what the module host_audit saw."""
    if host.seen is None or check not in host.seen:
        return not_measurable(check, host.name, host.why_not(LOOK, check))
    return PARTS[check](host, host.seen[check])


def lynis(host: Host) -> Finding:
    """Judge lynis' report; where the index is too low, the details are what lynis would change."""
    report = host.lynis
    if report is None:
        return not_measurable("lynis", host.name, host.why_not(LYNIS))
    index = re.search(r"^hardening_index=(\d+)$", report, re.MULTILINE)
    if not index:
        return not_measurable("lynis", host.name, "lynis did not come to its end in time")
    if int(index[1]) >= LYNIS_GOAL:
        return judged("lynis", host.name, index[1], [])
    said = re.findall(r"^(?:warning|suggestion)\[\]=([^|]+)\|([^|]*)\|", report, re.MULTILINE)
    details = [f"index {index[1]}", *(f"{test}: {text}" for test, text in said)]
    return judged("lynis", host.name, index[1], details)


def firewall(hosts: Sequence[Host]) -> list[Finding]:
    """Judge for each host whether exactly those reach its ports whom the inventory lets in."""
    return [_firewall(host, [other for other in hosts if other != host]) for host in hosts]


def _firewall(host: Host, callers: Sequence[Host]) -> Finding:
    met = {
        (caller.name, int(port)): state
        for caller in callers
        if caller.reached is not None
        for port, state in caller.reached.get(host.address, {}).items()
    }
    if callers and not met:
        return not_measurable("firewall", host.name, callers[0].why_not(PORTS))
    allowed = {
        (caller.name, port)
        for caller in callers
        for port in host.ports
        if any(rule.port == port and rule.admits(caller.address) for rule in host.rules)
    }
    wrong: dict[str, list[str]] = {}
    for (caller, port), state in met.items():
        if said := _said(host, port, state, (caller, port) in allowed):
            wrong.setdefault(said, []).append(caller)
    short = [f"{said} from {', '.join(names)}" for said, names in wrong.items()]
    return judged("firewall", host.name, f"{len(met)} tried", short)


def _said(host: Host, port: int, state: str, allowed: bool) -> str:
    if allowed:
        return "" if state == "open" else f"port {port}, which the inventory opens, is {state}"
    if state == "dropped":
        return ""
    processes = {item["port"]: item["process"] for item in (host.seen or {}).get("listening", [])}
    process = f" ({processes[port]})" if processes.get(port) else ""
    return f"port {port}{process} is {state} though the inventory does not open it"


def ssh(host: Host, printed: str) -> Finding:
    """Judge the JSON that ssh-audit printed."""
    try:
        answer = json.loads(printed)
        algorithms = [entry for kind in ("kex", "key", "enc", "mac") for entry in answer[kind]]
    except (ValueError, KeyError):
        last = (printed.strip().splitlines() or ["it printed nothing"])[-1]
        return not_measurable("ssh", host.name, re.sub(r"\x1b\[[\d;]*m", "", last))
    short = [
        f"{entry['algorithm']}: {', '.join(entry['notes']['fail'])}"
        for entry in algorithms
        if entry.get("notes", {}).get("fail")
    ]
    return judged("ssh", host.name, f"{len(short)} fails", short)


def tls(host: Host, ports: Sequence[int], compliance: Mapping[str, Sequence[str]]) -> Finding:
    """Judge what sslyze said of the ports of a host.

    :param compliance: target ("os1:9200") to its issues, as C(tls_issues) returns them
    """
    targets = [f"{host.name}:{port}" for port in ports]
    missing = [target for target in targets if target not in compliance]
    if missing:
        return not_measurable("tls", host.name, f"sslyze said nothing of {', '.join(missing)}")
    short = [f"{target}: {issue}" for target in targets for issue in compliance[target]]
    good = sum(not compliance[target] for target in targets)
    return judged("tls", host.name, f"{good} of {len(targets)}", short)


def tls_issues(printed: str) -> dict[str, list[str]]:
    """Return the issues of each target, from the part about compliance of what sslyze prints."""
    _, _, text = printed.partition("COMPLIANCE AGAINST TLS CONFIGURATION")
    issues: dict[str, list[str]] = {}
    target = ""
    for line in text.splitlines():
        if head := re.match(r"\s+(\S+:\d+): (OK|FAILED|ERROR) - (.*)", line):
            target = head[1]
            issues[target] = ["it speaks no TLS"] if head[2] == "ERROR" else []
        elif target and (issue := re.match(r"\s+\* (\w+): (.*)", line)):
            issues[target].append(_in_order(issue[2]))
    return issues


def _in_order(text: str) -> str:
    """Return an issue with the sets in it in one order, whatever the hash of the day."""
    return re.sub(r"\{([^}]*)\}", lambda found: ", ".join(sorted(found[1].split(", "))), text)
