"""What the sign-in service gave us for a sign-in, kept sealed on our side alone.

A refresh token asks again who somebody is and in which groups, an ID token tells the service whose
sign-in is to end there. Both are in the cache tier, where every node finds them, encrypted with a
key that the cache does not have; no browser gets them. While the cache does not answer, and on a
site without it, a node keeps them for itself. Nobody misses one that is lost: the browser is sent
through the service instead.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Sequence
from typing import Literal

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from redis.exceptions import MaxConnectionsError

from research_app.cache import FAILURES, REST_SECONDS
from research_app.cache import connect as connect_cache
from research_app.settings import Settings

logger = logging.getLogger(__name__)

Kind = Literal["refresh", "id"]
REMEMBERED = 10_000
LONGEST = 32_768


class ProviderTokens:
    """Keeps tokens by the identity of a sign-in, and gives each away once."""

    def __init__(self, settings: Settings, keys: Sequence[bytes]) -> None:
        self._redis = connect_cache(settings) if settings.oidc.issuer else None
        self._prefix = f"{settings.cache.prefix}provider-token:"
        self._seconds = 2 * settings.cache.timeout_seconds
        self._rest_until = 0.0
        self._seal = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
        self._here: dict[str, tuple[float, bytes]] = {}  # until when; what the cache did not take

    async def keep(self, kind: Kind, identity: str, token: str | None, seconds: int) -> None:
        """Keep a token, in place of an earlier one."""
        if not token or len(token) > LONGEST:
            return
        name = f"{kind}:{identity}"
        # with its name in it: what is moved to another sign-in cannot be opened
        sealed = self._seal.encrypt(f"{name}\n{token}".encode())
        if await self._told(name, sealed, seconds):
            self._here.pop(name, None)
            return
        now = time.monotonic()
        if len(self._here) >= REMEMBERED:
            self._here = {key: kept for key, kept in self._here.items() if kept[0] > now}
        if len(self._here) < REMEMBERED:
            self._here[name] = (now + seconds, sealed)

    async def take(self, kind: Kind, identity: str) -> str | None:
        """The token, which is nobody else's from now on: of two nodes one alone asks with it."""
        name = f"{kind}:{identity}"
        until, sealed = self._here.pop(name, (0.0, b""))
        elsewhere = await self._taken(name)
        if until < time.monotonic():
            sealed = elsewhere
        try:
            opened = self._seal.decrypt(sealed).decode()
        except (InvalidToken, UnicodeDecodeError):
            return None
        whose, _, token = opened.partition("\n")
        return token if whose == name else None

    async def _told(self, name: str, sealed: bytes, seconds: int) -> bool:
        if self._redis is None or time.monotonic() < self._rest_until:
            return False
        try:
            async with asyncio.timeout(self._seconds):
                await self._redis.set(self._prefix + name, sealed, ex=seconds)
        except FAILURES as error:
            self._failed(error)
            return False
        return True

    async def _taken(self, name: str) -> bytes:
        if self._redis is None or time.monotonic() < self._rest_until:
            return b""
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._redis.getdel(self._prefix + name)
        except FAILURES as error:
            self._failed(error)
            return b""
        return found if isinstance(found, bytes) else b""

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, MaxConnectionsError):
            return  # busy, not broken
        self._rest_until = time.monotonic() + REST_SECONDS
        logger.warning("tokens of the sign-in service: %s; kept here", type(error).__name__)

    async def close(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            await self._redis.aclose()
