"""Passwords: argon2id, a few at a time, and as slow for a name that nobody has."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

SHORTEST = 12
LONGEST = 256
AT_ONCE = 2  # 64 MB and some 50 ms of a core each
WAITING = 32


T = TypeVar("T")


class PasswordError(Exception):
    """The password will not do; the message says why."""


class BusyError(Exception):
    """Too many people sign in at this moment."""


def checked(password: str) -> str:
    """A new password, or PasswordError."""
    normal = _normal(password)
    if len(normal) < SHORTEST:
        raise PasswordError(f"a password has at least {SHORTEST} characters")
    if len(normal) > LONGEST:
        raise PasswordError(f"a password has at most {LONGEST} characters")
    if len(set(normal)) < 4:
        raise PasswordError("a password has at least 4 different characters")
    return password


def _normal(password: str) -> str:
    """The form that is hashed and compared: the same password from another keyboard is the same.

    NIST SP 800-63B takes NFC or NFKC; the other one than stored hashes have would void them.
    """
    return unicodedata.normalize("NFKC", password)


class Passwords:
    """Makes and checks hashes, in threads: it is work for the processor."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=3, memory_cost=65536, parallelism=1)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._pending = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The hash of a new password."""
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, stored: str | None, given: str) -> bool:
        """Whether it is the password; without one to compare it takes as long to say no."""
        if len(given) > LONGEST:
            return False
        return await self._run(lambda: self._matches(stored, _normal(given)))

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str | None, given: str) -> bool:
        if stored is None:
            if self._nobody is None:
                self._nobody = self._hasher.hash(secrets.token_hex(16))
            self._verify(self._nobody, given)
            return False
        return self._verify(stored, given)

    def _verify(self, stored: str, given: str) -> bool:
        try:
            return self._hasher.verify(stored, given)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= WAITING:
            raise BusyError
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._pending -= 1
