"""Archives that the inventory names: where they are and how they are recognised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.preflight.model import Host, Inventory, Mistake, items

DIGITS = {"sha512": 128, "sha256": 64}
URL = re.compile(r"https?://", re.IGNORECASE)


def checksums(inventory: Inventory) -> Iterator[Mistake]:
    """A checksum has the length of its kind; one that is cut short would never match."""
    for host in inventory.hosts.values():
        for name, kind, value in host_checksums(inventory, host):
            if value == "" or re.fullmatch(rf"[0-9a-f]{{{DIGITS[kind]}}}", value, re.IGNORECASE):
                continue
            odd = re.sub(r"[0-9a-fA-F]", "", value)
            problem = f"has {len(value)} characters where a {kind} has {DIGITS[kind]}"
            if len(value) == DIGITS[kind]:
                problem = f"holds {odd[0]!r}, which is no hexadecimal digit"
            remedy = f"copy it whole, as {kind}sum prints it"
            shortened = value if len(value) < 24 else f"{value[:10]}…{value[-6:]}"
            yield Mistake(host.name, name, shortened, problem, remedy)


def host_checksums(inventory: Inventory, host: Host) -> Iterator[tuple[str, str, str]]:
    """Return each checksum of a host's roles: its name, its kind and its value."""
    for role in inventory.roles.values():
        if not role.runs_on(host):
            continue
        for name in role.options:
            value = host.get(name)
            for kind in DIGITS:
                if name.endswith(kind) and value is not None:
                    yield name, kind, str(value)
                for item in items(value):
                    if item.get(kind):
                        label = f"{name}[{item.get('name', '')}].{kind}"
                        yield label, kind, str(item[kind])


def sources(inventory: Inventory) -> Iterator[Mistake]:
    """A file that is to be copied from this machine is there; a download has a checksum."""
    for host in inventory.group("opensearch"):
        yield from source(
            host, "opensearch_archive", host.get("opensearch_archive"),
            "opensearch_archive_sha512", host.get("opensearch_archive_sha512"),
        )  # fmt: skip
        for plugin in items(host.get("opensearch_plugins", [])):
            label = f"opensearch_plugins[{plugin.get('name', '')}]"
            place = plugin.get("source")
            yield from source(
                host, f"{label}.source", place, f"{label}.sha512", plugin.get("sha512")
            )


def source(host: Host, name: str, place: Any, checksum: str, wanted: Any) -> Iterator[Mistake]:
    """Check one archive."""
    if place is None:
        return  # required: names.missing_variables says so
    text = str(place)
    if not text:
        remedy = "write the path of the archive on this machine, or its https address"
        yield Mistake(host.name, name, '""', "is empty", remedy)
    elif text.startswith("http://"):
        remedy = f"write {text.replace('http://', 'https://', 1)}"
        yield Mistake(host.name, name, text, "is fetched without protection on the way", remedy)
    elif not URL.match(text) and not Path(text).expanduser().is_file():
        remedy = "correct the path, or fetch the file to it"
        yield Mistake(host.name, name, text, "is no file on this machine", remedy)
    if text and not wanted:
        remedy = "write the sha512 that the publisher gives"
        yield Mistake(host.name, checksum, '""', f"is empty, so {text} is taken on trust", remedy)
