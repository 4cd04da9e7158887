"""Monitoring hosts: who is told of alerts, and how often figures are read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible.module_utils.preflight.model import Inventory, Mistake, items
from ansible.module_utils.preflight.search_tier import number

RECEIVERS = "alertmanager_receivers"
NEEDED = {
    "pagerduty": {"secret": "the routing key of the service, from the vault"},
    "opsgenie": {"secret": "the API key of the team, from the vault"},
    "mail": {
        "to": "whom mail goes to",
        "from": "whom mail is from",
        "smarthost": "the mail server with its port, such as mail.example.org:25",
    },
    "webhook": {"secret": "the address to post to"},
    "slack": {"secret": "the address of the incoming webhook, from the vault"},
}
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
SIZE = re.compile(r"[1-9]\d*([KMGTPE]?B)")
# Prometheus holds a figure that is older than five minutes for none.
LONGEST_PAUSE = 120


def receivers(inventory: Inventory) -> Iterator[Mistake]:
    """A receiver has a name of its own and what its kind needs."""
    for host in inventory.group("ops"):
        seen: set[str] = set()
        for receiver in items(host.get(RECEIVERS, [])):
            name, kind = str(receiver.get("name", "")), str(receiver.get("kind", ""))
            if not NAME.fullmatch(name):
                remedy = "write small letters, digits and hyphens"
                yield Mistake(host.name, f"{RECEIVERS}.name", name, "is no name", remedy)
            elif name in seen:
                problem, remedy = "is listed twice", "give each receiver a name of its own"
                yield Mistake(host.name, f"{RECEIVERS}.name", name, problem, remedy)
            seen.add(name)
            for key, what in NEEDED.get(kind, {}).items():
                if not receiver.get(key):
                    variable = f"{RECEIVERS}[{name}].{key}"
                    problem = f"is missing, without which {kind} reaches nobody"
                    yield Mistake(host.name, variable, "", problem, f"write {what}")
            if kind == "mail" and receiver.get("user") and not receiver.get("secret"):
                variable = f"{RECEIVERS}[{name}].secret"
                problem = f"is missing, by which {receiver['user']} signs in"
                yield Mistake(
                    host.name, variable, "", problem, "write the password, from the vault"
                )


def pauses(inventory: Inventory) -> Iterator[Mistake]:
    """Figures are read often enough to be there when a rule looks."""
    for host in inventory.group("ops"):
        for name in ("prometheus_scrape_seconds", "prometheus_probe_seconds"):
            seconds = number(host.get(name, 1))
            if seconds < 1:
                yield Mistake(host.name, name, str(seconds), "is no pause", "write 1 or more")
            elif seconds > LONGEST_PAUSE:
                problem = "is so long that one missed answer looks like none at all"
                remedy = f"write {LONGEST_PAUSE} or less"
                yield Mistake(host.name, name, str(seconds), problem, remedy)


def retention(inventory: Inventory) -> Iterator[Mistake]:
    """Prometheus does not start with a size that it cannot read; nobody waits less than nothing."""
    for host in inventory.group("ops"):
        size = str(host.get("prometheus_retention_size", "1GB"))
        if not SIZE.fullmatch(size):
            remedy = "write it such as 512MB or 8GB"
            yield Mistake(host.name, "prometheus_retention_size", size, "is no size", remedy)
        patience = host.get("prometheus_patience", 1)
        if not isinstance(patience, int | float) or patience <= 0:
            problem = "is nothing to multiply waiting times by"
            remedy = "write 1, or less where people are in a hurry"
            yield Mistake(host.name, "prometheus_patience", str(patience), problem, remedy)
