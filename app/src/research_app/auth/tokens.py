"""The tokens that say who is signed in: JWT, one algorithm, two keys at most.

Both keys verify, and the current one signs: so a key can be replaced while everybody stays signed
in. A process that has just started signs with the previous one for a while, since it may be the
first to have the new key, and hosts without it would not know what that signs. Each key is named in
the token's header by a fingerprint.
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
ROLLOUT_SECONDS = 3600  # a new key is on every host by then
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
    identity: str  # of the sign-in; the tokens that renew it have the same
    current: bool  # False once the key that signed it signs no more
    confirmed: float = 0.0  # when a sign-in service last said that the role is theirs


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
        self._first = self._current
        self._rolled_out = time.monotonic()
        if previous:
            self._first, key = self._named(previous)
            self._keys.setdefault(self._first, key)
            self._rolled_out += ROLLOUT_SECONDS

    @staticmethod
    def _named(secret: str) -> tuple[str, bytes]:
        return derived(secret, "token key name").hex()[:16], derived(secret, "token signature")

    def _signing(self) -> str:
        """The name of the key that signs now."""
        return self._current if time.monotonic() >= self._rolled_out else self._first

    def issue(
        self,
        name: str,
        stamp: str,
        signed_in: float | None = None,
        identity: str | None = None,
        confirmed: float | None = None,
    ) -> Token:
        """A token for somebody who proves who they are, or did at `signed_in` by that sign-in."""
        now = time.time()
        claims = {
            "sub": name,
            "stamp": stamp,
            "iat": int(now),
            "exp": int(now) + self.seconds,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "jti": identity or uuid.uuid4().hex,
            "auth_time": int(now if signed_in is None else signed_in),
            "confirmed": int(now if confirmed is None else confirmed),
        }
        kid = self._signing()
        text = jwt.encode(claims, self._keys[kid], algorithm=ALGORITHM, headers={"kid": kid})
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
                current=kid in (self._current, self._signing()),
                # an earlier release's says nothing of it: it was with the sign-in
                confirmed=float(claims.get("confirmed", claims["auth_time"])),
            )
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            raise InvalidTokenError(type(error).__name__) from error
