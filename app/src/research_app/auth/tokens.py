"""The tokens that say who is signed in: JWT, one algorithm, two keys at most.

The current key signs and verifies, the previous one only verifies: so a key can be replaced
while everybody stays signed in. Each key is named in the token's header by a fingerprint.
"""

from __future__ import annotations

import hmac
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import jwt

ALGORITHM = "HS256"
ISSUER = AUDIENCE = "research-app"
LEEWAY_SECONDS = 5
REQUIRED = ("sub", "iat", "exp", "iss", "aud", "jti")


class InvalidTokenError(Exception):
    """The token proves nothing."""


@dataclass(frozen=True)
class Claims:
    """What a good token says."""

    name: str
    stamp: str  # the account's when the token was made; see accounts.py
    issued: float
    expires: float
    signed_in: float  # when the password was given; renewing a token does not change it
    identity: str
    current: bool  # whether the current key signed it


@dataclass(frozen=True)
class Token:
    """A new token, and how long it is good."""

    text: str = field(repr=False)
    seconds: int


def derived(secret: str, purpose: str) -> bytes:
    """A key for one purpose: what leaks from one use says nothing about another."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")


class Tokens:
    """Makes tokens and reads them."""

    def __init__(self, current: str, previous: str | None, seconds: int) -> None:
        self.seconds = seconds
        self._current, key = self._named(current)
        self._keys = {self._current: key}
        if previous:
            name, key = self._named(previous)
            self._keys.setdefault(name, key)

    @staticmethod
    def _named(secret: str) -> tuple[str, bytes]:
        return derived(secret, "token key name").hex()[:16], derived(secret, "token signature")

    def issue(self, name: str, stamp: str, signed_in: float | None = None) -> Token:
        """A token for somebody who has proved who they are, now or at `signed_in`."""
        now = time.time()
        claims = {
            "sub": name,
            "stamp": stamp,
            "iat": int(now),
            "exp": int(now) + self.seconds,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "jti": uuid.uuid4().hex,
            "auth_time": int(now if signed_in is None else signed_in),
        }
        key = self._keys[self._current]
        text = jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": self._current})
        return Token(text, self.seconds)

    def read(self, text: str) -> Claims:
        """What a token says, or InvalidTokenError."""
        try:
            kid = jwt.get_unverified_header(text).get("kid")
            key = self._keys.get(kid) if isinstance(kid, str) else None
            if key is None:
                raise InvalidTokenError("signed with a key that is not ours")
            claims: dict[str, Any] = jwt.decode(
                text,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY_SECONDS,
                options={"require": list(REQUIRED)},
            )
            return Claims(
                name=claims["sub"],
                stamp=str(claims["stamp"]),
                issued=float(claims["iat"]),
                expires=float(claims["exp"]),
                signed_in=float(claims["auth_time"]),
                identity=claims["jti"],
                current=kid == self._current,
            )
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            raise InvalidTokenError(type(error).__name__) from error
