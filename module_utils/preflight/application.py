"""The application's settings, against what it accepts: it would refuse them host by host."""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.preflight.model import Host, Inventory, Mistake

# scripts/app-settings-table makes it of what the application declares.
TABLE = Path(__file__).resolve().parent / "app_settings.json"
SETTINGS = "app_settings"
YES_OR_NO = ("0", "1", "true", "false", "yes", "no", "on", "off", "t", "f", "y", "n")
NO_NUMBER, NO_TEXT, NO_LIST = "is no number", "is no text", "is no list"
NOT_BOTH = "is neither true nor false"
OF_TYPE = (NO_NUMBER, NO_TEXT, NO_LIST, NOT_BOTH)
Rule = Mapping[str, Any]
Wrong = tuple[str, str]  # what is wrong, and what to do


@functools.cache
def table() -> dict[str, dict[str, Rule]]:
    """Return section -> key -> what a value has to be."""
    found: dict[str, dict[str, Rule]] = json.loads(TABLE.read_text())
    return found


def settings(inventory: Inventory) -> Iterator[Mistake]:
    """What the inventory gives the application is what it accepts."""
    for host in inventory.group("app"):
        yield from of_variables(inventory, host)
        given = host.get(SETTINGS, {})
        for section, values in given.items() if isinstance(given, Mapping) else ():
            known = table().get(str(section))
            name = f"{SETTINGS}.{section}"
            if known is None:
                yield unknown(host, name, str(section), list(table()))
            elif not isinstance(values, Mapping):
                remedy = "write its keys and values below it"
                yield Mistake(host.name, name, str(values), "is a section", remedy)
            else:
                yield from of_section(host, name, known, values)


def of_variables(inventory: Inventory, host: Host) -> Iterator[Mistake]:
    """Check the role's variables that are written into the settings as they are.

    Their types, choices and ports are what every role's variables are checked for.
    """
    options = inventory.roles["app"].options if "app" in inventory.roles else {}
    for keys in table().values():
        for rule in keys.values():
            name = rule.get("variable", "")
            value = host.get(name)
            if "choices" in options.get(name, {}) or name.endswith("_port"):
                continue
            for problem, remedy in wrong(value, rule):
                if problem not in OF_TYPE:
                    yield Mistake(host.name, name, shown(value), problem, remedy)


def of_section(
    host: Host, name: str, known: Mapping[str, Rule], values: Mapping[str, Any]
) -> Iterator[Mistake]:
    """Check what the inventory sets in one section."""
    for key, value in values.items():
        if key not in known:
            yield unknown(host, f"{name}.{key}", str(key), list(known))
            continue
        for problem, remedy in wrong(value, known[key]):
            yield Mistake(host.name, f"{name}.{key}", shown(value), problem, remedy)


def unknown(host: Host, name: str, given: str, known: list[str]) -> Mistake:
    """Say that the application has no such setting."""
    close = difflib.get_close_matches(given, known, n=1)
    remedy = f"write {close[0]}" if close else "remove it, or see app/settings.example.toml"
    return Mistake(host.name, name, "", "is no setting of the application", remedy)


def shown(value: Any) -> str:
    """Return a value as people wrote it."""
    return value if isinstance(value, str) and value else json.dumps(value, default=str)


def wrong(value: Any, rule: Rule) -> Iterator[Wrong]:
    """Return what of a value the application refuses; None is left to it."""
    kind = rule.get("type")
    if value is None:
        return
    if rule.get("enum") and value not in rule["enum"]:
        yield "is none of the application's", f"write one of {', '.join(map(str, rule['enum']))}"
    elif kind in {"integer", "number"}:
        yield from wrong_number(value, rule)
    elif kind == "boolean" and str(value).lower() not in YES_OR_NO:
        yield NOT_BOTH, "write true or false"
    elif kind == "array":
        yield from wrong_list(value, rule)
    elif kind == "string":
        yield from wrong_text(value, rule)


def wrong_number(value: Any, rule: Rule) -> Iterator[Wrong]:
    """Check a number against its bounds."""
    try:
        number = float(value)
        whole = number == int(number)
    except (TypeError, ValueError, OverflowError):
        yield NO_NUMBER, f"write {bounds(rule)}"
        return
    if rule["type"] == "integer" and not whole:
        yield "is no whole number", f"write {bounds(rule)}"
    elif (
        number < rule.get("minimum", number)
        or number > rule.get("maximum", number)
        or number <= rule.get("exclusiveMinimum", number - 1)
    ):
        yield "is not accepted by the application", f"write {bounds(rule)}"


def bounds(rule: Rule) -> str:
    """Say which numbers are accepted."""
    least = f"{rule['minimum']:g}" if "minimum" in rule else ""
    if "exclusiveMinimum" in rule:
        least = f"more than {rule['exclusiveMinimum']:g}"
    most = f"{rule['maximum']:.15g}" if "maximum" in rule else ""
    if least and most:
        return f"{least} to {most}" if "minimum" in rule else f"{least}, up to {most}"
    return f"{least} or more" if least else "a number"


def wrong_text(value: Any, rule: Rule) -> Iterator[Wrong]:
    """Check a text against its pattern."""
    if not isinstance(value, str):
        yield NO_TEXT, "write it in quotes"
    elif "per" in rule.get("pattern", "") and not re.search(rule["pattern"], value):
        yield "is no rate", 'write it as "60/minute", or "" for no limit'
    elif not re.search(rule.get("pattern", ""), value):
        yield "is not accepted by the application", f"write what fits {rule['pattern']}"
    elif len(value) < rule.get("minLength", 0):
        yield "is empty", "write one"


def wrong_list(value: Any, rule: Rule) -> Iterator[Wrong]:
    """Check a list and what it holds."""
    if not isinstance(value, (list, tuple)):
        yield NO_LIST, "write it as a list"
        return
    if not rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value)):
        most = f" to {rule['maxItems']}" if "maxItems" in rule else " or more"
        yield "has a number of entries that is not accepted", f"list {rule['minItems']}{most}"
    for entry in value:
        for problem, remedy in wrong(entry, rule.get("items", {})):
            yield f"has an entry ({shown(entry)}) that {problem}", remedy
