"""Names and types of variables, as the roles' argument_specs have them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.preflight.model import (
    ADMIN_NETWORKS,
    SUBGROUPS,
    TIERS,
    Host,
    Inventory,
    Mistake,
    Role,
    Unreadable,
    hidden,
    shown,
)

# How much alike two names must be for one to be taken for a slip of the other.
ALIKE = 0.8
# Names without a role's prefix are the site's own business, unless they are this close to ours.
NEARLY_THE_SAME = 0.92
# A misspelt name still tells that its value is nobody's business.
SECRET_SLIP = re.compile(r"pas+w|phrase|secr|sign|token", re.IGNORECASE)
NOT_OURS = ("ansible_", "vault_")
ELEMENTS = {"str": "texts", "dict": "mappings", "int": "whole numbers", "path": "paths"}
UNDEFINED = re.compile(r"'(\w+)' is undefined")
NO_GROUP = re.compile(r"object of type 'dict' has no attribute '(\w+)'")


def unknown_variables(inventory: Inventory) -> Iterator[Mistake]:
    """A variable that no role knows is ignored without a word, so a slip goes unnoticed."""
    known = {name for role in inventory.roles.values() for name in role.options} | inventory.shared
    prefixes = tuple(f"{role}_" for role in inventory.roles)
    given = {name for host in inventory.hosts.values() for name in host.given} - known
    meant = {
        name: next(iter(difflib.get_close_matches(name, known, n=1, cutoff=ALIKE)), "")
        for name in sorted(given)
        if not name.startswith(NOT_OURS)
    }
    for host in inventory.hosts.values():
        for name in sorted(meant.keys() & host.given):
            close = meant[name]
            secret = SECRET_SLIP.search(name) or (close and inventory.is_secret(close))
            value = host.variables.get(name, "")
            value = hidden(value) if secret else inventory.show(name, value)
            if name.startswith(prefixes):
                remedy = f"write {close}" if close else "remove it, or see docs/inventory.md"
                yield Mistake(host.name, name, value, "is a variable that no role has", remedy)
            elif close and nearly(name, close):
                problem = f"looks like a slip of {close} and would be ignored"
                remedy = f"write {close}, or choose a name that is less like it"
                yield Mistake(host.name, name, value, problem, remedy)


def nearly(name: str, known: str) -> bool:
    """Tell whether two names differ by no more than a slip of the pen."""
    return difflib.SequenceMatcher(None, name, known).ratio() >= NEARLY_THE_SAME


def undefined_variables(inventory: Inventory) -> Iterator[Mistake]:
    """A template that names something undefined would stop a play half-way."""
    vault: dict[str, list[str]] = {}
    for host in inventory.hosts.values():
        needed_by: dict[str, list[str]] = {}
        for name, reason in unreadable(inventory, host):
            cause = UNDEFINED.search(reason)
            missing_group = NO_GROUP.search(reason)
            if cause and cause[1] == ADMIN_NETWORKS:
                continue  # said by network.nobody_let_in
            if cause:
                needed_by.setdefault(cause[1], []).append(name)
            elif not (missing_group and missing_group[1] in (*TIERS, *SUBGROUPS)):
                problem = f"cannot be worked out ({shown(reason)})"
                yield Mistake(host.name, name, "", problem, "correct its template")
        for cause_name, names in needed_by.items():
            if cause_name.startswith("vault_") and not similar(cause_name, host):
                vault.setdefault(cause_name, []).extend(names)
            else:
                yield undefined(inventory, host, cause_name, names)
    if vault:
        needing = list(dict.fromkeys(name for names in vault.values() for name in names))
        yield Mistake(
            "inventory",
            ", ".join(vault),
            "",
            f"{'are' if len(vault) > 1 else 'is'} not defined, and {', '.join(needing)} "
            f"need{'' if len(needing) > 1 else 's'} {'them' if len(vault) > 1 else 'it'}",
            "run scripts/secrets for this inventory, which makes group_vars/all/vault.yml",
        )


def unreadable(inventory: Inventory, host: Host) -> Iterator[tuple[str, str]]:
    """Return the variables of a host that cannot be templated, each with the reason."""
    for role in inventory.roles.values():
        for name in role.options if role.runs_on(host) else ():
            value = host.variables.get(name)
            if isinstance(value, Unreadable) and not value.needs_facts:
                yield name, value.reason


def similar(name: str, host: Host) -> str:
    """Return the name that the inventory gives and that may be a slip of a missing one."""
    prefix = name.partition("_")[0] + "_"
    given = [each for each in host.given if each.startswith(prefix)]
    return next(iter(difflib.get_close_matches(name, given, n=1, cutoff=NEARLY_THE_SAME)), "")


def undefined(inventory: Inventory, host: Host, name: str, needed_by: list[str]) -> Mistake:
    """Say what is missing, who needs it and where it comes from."""
    option = inventory.option(name)
    close = similar(name, host)
    if close:
        remedy = f"correct {close}, which the inventory has"
    elif option:
        remedy = f"set it to {wanted(option)}: {first_sentence(option)}"
    else:
        remedy = "set it in the inventory's group_vars"
    problem = f"is not defined, and {shown(needed_by)} {'need' if needed_by[1:] else 'needs'} it"
    return Mistake(host.name, name, "", problem, remedy)


def missing_variables(inventory: Inventory) -> Iterator[Mistake]:
    """What a role requires has to come from the inventory."""
    told = {(mistake.where, mistake.variable) for mistake in undefined_variables(inventory)}
    for role, host in inventory.role_hosts():
        for name, option in role.options.items():
            if (host.name, name) in told:
                continue
            if option.get("required") and host.variables.get(name) is None:
                yield Mistake(
                    host.name,
                    name,
                    "",
                    "is not set, and there is no default that would be right everywhere",
                    f"set it to {wanted(option)}: {first_sentence(option)}",
                )


def wrong_types(inventory: Inventory) -> Iterator[Mistake]:
    """A value has the type and is one of the choices that the role describes."""
    # Hosts share most values, which are looked at once: (variable, value) -> what is wrong.
    looked_at: dict[tuple[str, int], tuple[Any, str]] = {}
    for role, host in inventory.role_hosts():
        yield from wrong_types_of(inventory, role, host, looked_at)


def wrong_types_of(
    inventory: Inventory, role: Role, host: Host, looked_at: dict[tuple[str, int], tuple[Any, str]]
) -> Iterator[Mistake]:
    """Check one host's variables of one role."""
    for name, option in role.options.items():
        value = host.get(name)
        if value is None:
            continue
        choices = option.get("choices")
        if choices and option.get("type") != "list" and value not in choices:
            close = difflib.get_close_matches(str(value), map(str, choices), n=1)
            remedy = f"write {close[0]}" if close else f"write one of {shown(choices)}"
            yield Mistake(host.name, name, inventory.show(name, value), "is no choice", remedy)
            continue
        key = (name, id(value))
        if key not in looked_at:  # the value is kept too, so that nothing else gets its id
            looked_at[key] = (value, type_problem(name, option, value))
        problem = looked_at[key][1]
        if problem:
            yield Mistake(
                host.name,
                name,
                inventory.show(name, value),
                "has the wrong form" if inventory.is_secret(name) else problem,
                f"write {wanted(option)}",
            )


def type_problem(name: str, option: Mapping[str, Any], value: Any) -> str:
    """Return what Ansible has to say against a value, or an empty string."""
    spec = {key: option[key] for key in ("type", "elements", "options", "choices") if key in option}
    errors = ArgumentSpecValidator({name: spec}).validate({name: value}).errors.errors
    if not errors:
        return ""
    reason = str(errors[0]).replace(f"Elements value for option '{name}' is", "has an element")
    if " found in " in reason or reason.startswith(("missing", "Unsupported", "value of")):
        return f"does not fit ({reason})"
    return f"is not of type {option.get('type', 'str')}"


def wanted(option: Mapping[str, Any]) -> str:
    """Say which form a value has."""
    kind = option.get("type", "str")
    if option.get("choices"):
        return f"one of {shown([str(choice) for choice in option['choices']])}"
    if kind == "list":
        keys = ", ".join(option.get("options") or ())
        elements = ELEMENTS.get(str(option.get("elements")), "values")
        return f"a list of {elements}" + (f" with {keys}" if keys else "")
    names = {
        "str": "a text",
        "int": "a whole number",
        "bool": "true or false",
        "path": "an absolute path",
        "dict": "a mapping",
        "float": "a number",
    }
    return names.get(kind, f"a value of type {kind}")


def first_sentence(option: Mapping[str, Any]) -> str:
    """Return the beginning of an option's description."""
    text = option.get("description", "")
    text = text if isinstance(text, str) else " ".join(text)
    return text.partition(". ")[0].rstrip(".")
