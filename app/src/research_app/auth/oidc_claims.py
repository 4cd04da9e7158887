"""What a sign-in service says of somebody: who it is, what to call them, and their role here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from research_app.auth.accounts import OIDC_PREFIX
from research_app.auth.user import Role
from research_app.settings import Oidc

ANYBODY = "*"
LONGEST_NAME = 100
# Where the claim that the settings name is missing; the last three are those of AD FS.
NAMES = ("name", "upn", "unique_name", "email")


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim, or one inside others: "realm_access.roles"."""
    if path in claims:  # some names are addresses, with dots in them
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def role_of(claims: Mapping[str, Any], section: Oidc) -> Role | None:
    """The highest role that one of the groups has; AD FS tells a single group as a string."""
    found = claim(claims, section.roles_claim)
    groups = {found} if isinstance(found, str) else set()
    if isinstance(found, (list, tuple)):
        groups = {group for group in found if isinstance(group, str)}
    for role in reversed(Role):
        wanted = set(getattr(section, role.value))
        if ANYBODY in wanted or groups & wanted:
            return role
    return None


def shown_name(claims: Mapping[str, Any], section: Oidc) -> str:
    """What the pages call them."""
    for path in (section.name_claim, *NAMES):
        found = claim(claims, path)
        if isinstance(found, str):
            name = "".join(letter for letter in found if letter.isprintable()).strip()
            if name:
                return name[:LONGEST_NAME]
    return ""


def subject(claims: Mapping[str, Any]) -> str:
    """Who it is at the service, or ValueError: the specification wants a string."""
    found = claims.get("sub")
    if not isinstance(found, str) or not found:
        raise ValueError("sub is no string")
    return found


def account_name(issuer: str, subject: str) -> str:
    """The name of an account: nobody else's, whatever people call themselves."""
    return OIDC_PREFIX + hashlib.sha256(f"{issuer}\0{subject}".encode()).hexdigest()[:32]
