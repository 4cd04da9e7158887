"""Addresses that hold a secret, as the feed of one subscriber does; and how they are shown."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import unquote, urlsplit

# What looks like chance: 16 characters or more, and from letters to digits and back again, or
# capitals among them as no words have them. Where an address says that it is for subscribers, less.
_CHANGE = re.compile(r"(?<=[A-Za-z])\d|(?<=\d)[A-Za-z]")
_CASE = re.compile(r"(?<=[a-z])[A-Z]|(?<=[A-Z])[a-z]")
_CAPITALS = re.compile(r"(?<=[A-Z])[A-Z]")
_FOR_SOME = re.compile(
    r"(?i)(?:^|[/.])(?:private|premium|subscribers?|members?|patrons?|secret)[/.]"
)
_NAMED = re.compile(
    r"(?i)token|(?<!mon)(?<!tur)key(?!word)|auth(?!or(?!i))|(?<!de)sig(?!nal|nup)|secret"
    r"|pass(?!age|enger)|pwd|credential|jwt"
)
_MARKED = re.compile(r"~[0-9a-f]{8}")
_PUBLIC = ("v", "list")  # a video's, and a playlist's
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s<>\"']+")


def shown(address: str) -> str:
    """An address as logs, lists and pages may show it.

    A feed for one subscriber has a secret in its address: a name and a password, or a piece that
    nobody could guess. A piece is replaced by the beginning of its hash, which still tells two
    feeds apart. What holds no secret, or names no host, comes back as it is.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return _unreadable(address)
    if not parts.netloc or not parts.scheme:
        return address
    for_some = _FOR_SOME.search(f"{parts.netloc}{parts.path}") is not None
    hidden = parts._replace(
        netloc=parts.netloc.rpartition("@")[2],
        path="/".join(_hidden(piece, for_some) for piece in parts.path.split("/")),
        query="&".join(_hidden_field(field, for_some) for field in parts.query.split("&")),
        fragment="&".join(_hidden_field(field, for_some) for field in parts.fragment.split("&")),
    )
    return address if hidden == parts else hidden._replace(fragment="").geturl()


def shown_in(text: str) -> str:
    """A text in which addresses are as they may be shown."""
    return _ADDRESS.sub(lambda address: shown(address[0]), text)


def is_private(address: str) -> bool:
    """Whether an address holds a secret."""
    return shown(address) != address


def holds_a_key(address: str) -> bool:
    """Whether an address plainly says that it does; a public recording's may be named by chance."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    names = (field.partition("=")[0] for field in parts.query.split("&"))
    return "@" in parts.netloc or any(_NAMED.search(name) for name in names)


def _unreadable(address: str) -> str:
    """What has no parts that can be told from one another, its pieces hidden all the same."""
    scheme, mark, rest = address.partition("://")
    if not mark:
        return address
    path, question, query = rest.partition("?")
    pieces = [_hidden(piece, False) for piece in path.rpartition("@")[2].split("/")]
    fields = [_hidden_field(field, False) for field in query.split("&")]
    return f"{scheme}{mark}{'/'.join(pieces)}{question}{'&'.join(fields)}"


def _hidden(piece: str, for_some: bool) -> str:
    if _MARKED.fullmatch(piece):
        return piece
    text = unquote(piece)
    if len(piece) >= 16:
        by_chance = len(_CHANGE.findall(text)) >= 4 or (
            3 * len(_CASE.findall(text)) >= len(text) and len(_CAPITALS.findall(text)) >= 2
        )
    else:
        by_chance = for_some and len(piece) >= 8 and len(_CHANGE.findall(text)) >= 2
    return _mark(piece) if by_chance else piece


def _mark(secret: str) -> str:
    return f"~{hashlib.sha256(secret.encode(errors='replace')).hexdigest()[:8]}"


def _hidden_field(field: str, for_some: bool) -> str:
    name, equals, value = field.partition("=")
    if name in _PUBLIC:
        return field
    if value and not _MARKED.fullmatch(value) and _NAMED.search(name):
        return f"{name}={_mark(value)}"
    return f"{_hidden(name, for_some)}{equals}{_hidden(value, for_some)}"
