"""What is true of every variable of a kind: paths, durations, counts, placeholders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.preflight.model import Host, Inventory, Mistake

PLACEHOLDER = re.compile(r"change[ _-]?me|fill[ _-]?in|^<.+>$|^todo\b|^xxx+$", re.IGNORECASE)
DURATION = re.compile(r"(\d+)([smhdwy])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
AT_LEAST_ONE = ("_kept", "_keep_releases", "_days", "_fall", "_rise")
NOT_NEGATIVE = ("_seconds", "_timeout", "_megabytes", "_connections", "_rate", "_burst", "_queue")


def each_value(inventory: Inventory) -> Iterator[tuple[Host, str, Any, str]]:
    """Return each variable of each role on each host: the host, name, value and type."""
    for role, host in inventory.role_hosts():
        for name, option in role.options.items():
            value = host.get(name)
            if value is not None:
                yield host, name, value, str(option.get("type", "str"))


def placeholders(inventory: Inventory) -> Iterator[Mistake]:
    """A placeholder of the example was to be replaced."""
    for host, name, value, _ in each_value(inventory):
        if isinstance(value, str) and not inventory.is_secret(name) and PLACEHOLDER.search(value):
            problem, remedy = "is still the placeholder", "write your own value"
            yield Mistake(host.name, name, inventory.show(name, value), problem, remedy)


def paths(inventory: Inventory) -> Iterator[Mistake]:
    """A path begins at the root, as services do not start in a folder of yours."""
    for host, name, value, kind in each_value(inventory):
        if kind == "path" and isinstance(value, str) and value and value[0] not in "/~":
            remedy = f"write the whole path, such as /{value.lstrip('./')}"
            yield Mistake(host.name, name, value, "is a relative path", remedy)


def counts(inventory: Inventory) -> Iterator[Mistake]:
    """Numbers that count something."""
    for host, name, value, _ in each_value(inventory):
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        if name.endswith(AT_LEAST_ONE) and value < 1:
            yield Mistake(host.name, name, str(value), "keeps nothing", "write 1 or more")
        elif name.endswith(NOT_NEGATIVE) and value < 0:
            yield Mistake(host.name, name, str(value), "is negative", "write 0 or more")


def certificate_lives(inventory: Inventory) -> Iterator[Mistake]:
    """A certificate lives longer than the time before its end at which it is renewed."""
    for host in inventory.hosts.values():
        seconds = {}
        for name in ("pki_valid_for", "pki_renew_before", "pki_ca_valid_for"):
            text = str(host.get(name, ""))
            match = DURATION.fullmatch(text.replace("+", ""))
            if match:
                seconds[name] = int(match[1]) * SECONDS[match[2]]
        life = seconds.get("pki_valid_for")
        if life and life > seconds.get("pki_ca_valid_for", life):
            yield Mistake(
                host.name,
                "pki_valid_for",
                str(host.get("pki_valid_for")),
                f"outlives the authority ({host.get('pki_ca_valid_for')})",
                "write less than pki_ca_valid_for",
            )
