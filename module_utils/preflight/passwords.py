"""Secrets: long enough, nobody's default, none used twice. Their values are never shown."""

from __future__ import annotations

from collections.abc import Iterator

from ansible.module_utils.preflight.model import (
    SECRET_NAME,
    Host,
    Inventory,
    Mistake,
    hidden,
    items,
)

SHORTEST = 12
# VRRP has room for this many characters.
SHORTEST_VRRP = 8
DEFAULTS = {
    "admin", "administrator", "changeit", "changeme", "default", "demo", "example", "guest",
    "letmein", "opensearch", "password", "passw0rd", "pass", "redis", "research", "root",
    "secret", "test", "todo", "valkey", "welcome",
}  # fmt: skip
MAKE_ONE = "take the value that scripts/secrets makes for this inventory, or a random one"


def host_secrets(inventory: Inventory, host: Host) -> Iterator[tuple[str, str]]:
    """Return the name and the value of each secret that a host's roles use."""
    for role in inventory.roles.values():
        if not role.runs_on(host):
            continue
        for name in role.options:
            value = host.get(name)
            if isinstance(value, str) and inventory.is_secret(name):
                yield name, value
            for number, item in enumerate(items(value)):
                for key, inner in item.items():
                    if SECRET_NAME.search(str(key)) and isinstance(inner, str):
                        yield f"{name}[{item.get('name', number)}].{key}", inner


def weak_secrets(inventory: Inventory) -> Iterator[Mistake]:
    """A default or a short password is an open door."""
    for host in inventory.hosts.values():
        for name, value in host_secrets(inventory, host):
            problem = weakness(value, SHORTEST_VRRP if "_vrrp_" in name else SHORTEST)
            if problem and not (value == "" and optional(inventory, name)):
                yield Mistake(host.name, name, hidden(value), problem, MAKE_ONE)


def optional(inventory: Inventory, name: str) -> bool:
    """Tell whether a role's default for a secret is none at all."""
    option = inventory.option(name)
    return option is not None and option.get("default") == ""


def weakness(value: str, shortest: int = SHORTEST) -> str:
    """Return what is wrong with a secret, or an empty string."""
    plain = value.strip().lower()
    if not plain:
        return "is empty"
    if plain in DEFAULTS or plain.rstrip("0123456789!_-.") in DEFAULTS:
        return "is a password that everyone tries first"
    if "change" in plain and "me" in plain:
        return "is still the placeholder"
    if len(value) < shortest:
        return f"is shorter than {shortest} characters"
    if len(set(value)) < 5:
        return "repeats a few characters"
    return ""


def shared_secrets(inventory: Inventory) -> Iterator[Mistake]:
    """One secret for two purposes gives whoever learns the one the other too."""
    for host in inventory.hosts.values():
        owners: dict[tuple[str, str], str] = {}
        for name, value in [*host_secrets(inventory, host), *vault_secrets(host)]:
            kind = name.partition("[")[0] if "[" in name else name.partition("_")[0]
            if not value or ("[" not in name and kind != "vault"):
                continue
            first = owners.setdefault((kind, value), name)
            if first != name:
                problem = f"is the value of {first} too"
                remedy = "give each its own: " + MAKE_ONE
                yield Mistake(host.name, name, hidden(value), problem, remedy)


def vault_secrets(host: Host) -> Iterator[tuple[str, str]]:
    """Return the secrets of the vault; each role's secret is one of them."""
    for name in sorted(host.given):
        value = host.get(name) if name.startswith("vault_") else None
        if isinstance(value, str):
            yield name, value
