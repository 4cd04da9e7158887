"""Addresses that hold a secret, as the feed of one subscriber does; and how they are shown."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote, urlsplit

# What looks like chance: 16 characters or more, and from letters to digits and back again.
_CHANGE = re.compile(r"(?<=[A-Za-z])\d|(?<=\d)[A-Za-z]")
_NAMED = re.compile(r"(?i)token|key|auth|sig|secret|pass|pwd|credential")
_PUBLIC = ("v", "list")  # a video's, and a playlist's


def shown(address: str) -> str:
    """An address as logs, lists and pages may show it.

    A feed for one subscriber has a secret in its address: a name and a password, or a piece that
    nobody could guess. A piece is replaced by the beginning of its hash, which still tells two
    feeds apart. What holds no secret, or is not of the web, comes back as it is.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    if parts.scheme.lower() not in ("http", "https"):
        return address
    hidden = parts._replace(
        netloc=parts.netloc.rpartition("@")[2],
        path="/".join(_hidden(piece) for piece in parts.path.split("/")),
        query="&".join(_hidden_field(field) for field in parts.query.split("&")),
    )
    return address if hidden == parts else hidden._replace(fragment="").geturl()


def is_private(address: str) -> bool:
    """Whether an address holds a secret."""
    return shown(address) != address


def _hidden(piece: str) -> str:
    by_chance = len(piece) >= 16 and len(_CHANGE.findall(unquote(piece))) >= 4
    return _mark(piece) if by_chance else piece


def _mark(secret: str) -> str:
    return f"~{hashlib.sha256(secret.encode()).hexdigest()[:8]}"


def _hidden_field(field: str) -> str:
    name, equals, value = field.partition("=")
    if name in _PUBLIC:
        return field
    if value and not value.startswith("~") and _NAMED.search(name):
        return f"{name}={_mark(value)}"
    return f"{_hidden(name)}{equals}{_hidden(value)}"
