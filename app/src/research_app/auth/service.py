"""Sign-in, and who a token belongs to."""

from __future__ import annotations

import logging
import secrets
import time

from research_app.auth.accounts import NAME, Account, AccountError, Accounts
from research_app.auth.cookies import SessionCookie
from research_app.auth.passwords import Passwords
from research_app.auth.provider_tokens import ProviderTokens
from research_app.auth.sign_outs import SignOuts
from research_app.auth.tokens import (
    LEEWAY_SECONDS,
    Claims,
    InvalidTokenError,
    Token,
    Tokens,
    derived,
)
from research_app.auth.user import Role, User
from research_app.index.client import IndexUnavailableError
from research_app.settings import Settings

logger = logging.getLogger(__name__)

HOUR = 3600
LOOK_SECONDS = 3.0  # how long a disabled account may go on, at most
STALE_SECONDS = 60.0  # while OpenSearch does not answer
REST_SECONDS = 3.0  # after it did not, so that not every page waits for it
REMEMBERED = 10_000
ROLE_SECONDS = 3600.0  # how old a role may be that a sign-in service gave


class Auth:
    """What the pages, the API and the middleware ask."""

    def __init__(self, settings: Settings, accounts: Accounts) -> None:
        self.settings = settings.auth
        self.accounts = accounts
        self.passwords = Passwords()
        self.cookie = SessionCookie(secure=settings.server.tls)
        self.sign_outs = SignOuts(settings)
        keys = settings.credentials
        current = keys.signing_key.get_secret_value() if keys.signing_key else ""
        previous = keys.signing_key_previous
        self._secret = current or secrets.token_hex(32)  # then sign-ins end with the process
        earlier = [previous.get_secret_value()] if previous else []
        self.provider_tokens = ProviderTokens(
            settings, [derived(key, "provider tokens") for key in (self._secret, *earlier)]
        )
        self.tokens = Tokens(
            self._secret,
            previous.get_secret_value() if previous else None,
            round(self.settings.session_hours * HOUR),
        )
        self._known: dict[str, tuple[float, Account | None]] = {}
        self._rest_until = 0.0

    def key(self, purpose: str) -> bytes:
        """A key for another purpose than tokens."""
        return derived(self._secret, purpose)

    async def sign_in(self, name: str, password: str) -> tuple[User, Token] | None:
        """The user and a token, if it is the password of an account that may be used."""
        account = await self.accounts.get(name) if NAME.fullmatch(name) else None
        stored = account.password if account and not account.disabled else None
        if not await self.passwords.verify(stored, password) or account is None:
            return None
        if stored and self.passwords.outdated(stored):
            account = await self._rehashed(account, password)
        return account.user, self.token(account)

    def token(self, account: Account, of: Claims | None = None) -> Token:
        """A token for somebody who has proved that it is their account, again within a sign-in."""
        self._known[account.name] = (time.monotonic(), account)
        signed_in, identity = (of.signed_in, of.identity) if of else (None, None)
        return self.tokens.issue(account.name, account.stamp, signed_in, identity)

    async def account_of(self, claims: Claims) -> Account | None:
        """Whose token it is, if that account and that sign-in may still be used."""
        if await self.sign_outs.has(claims.identity):
            return None
        account = await self._account(claims.name)
        if account is None or account.disabled or account.stamp != claims.stamp:
            return None
        return account

    def forget(self, name: str) -> None:
        """Look an account up with the next request: it is not what it was."""
        self._known.pop(name, None)

    @property
    def longest_seconds(self) -> float:
        """How long a sign-in may last."""
        return self.settings.session_days * 24 * HOUR

    def renewed(self, claims: Claims) -> Token | None:
        """A new token in place of one that is old, or of a key that signs no more."""
        now = time.time()
        if now > claims.signed_in + self.longest_seconds:
            return None
        if claims.current and now < (claims.issued + claims.expires) / 2:
            return None
        return self.tokens.issue(
            claims.name, claims.stamp, claims.signed_in, claims.identity, claims.confirmed
        )

    async def sign_out(self, claims: Claims) -> None:
        """End a sign-in, with the tokens that renewed its first one."""
        await self.sign_outs.note(claims.identity, self.tokens.seconds + LEEWAY_SECONDS)

    def read(self, text: str) -> Claims | None:
        """What a token says, if it is a good one."""
        try:
            return self.tokens.read(text)
        except InvalidTokenError:
            return None

    async def close(self) -> None:
        """Close the connections."""
        await self.sign_outs.close()
        await self.provider_tokens.close()

    async def bootstrap(self, password: str) -> bool:
        """Make the first administrator where there is no such account; True when this call did."""
        name = self.settings.admin_user
        if await self.accounts.get(name) is not None:
            return False
        hashed = await self.passwords.hash(password)
        try:
            await self.accounts.add(Account(name, Role.ADMIN, password=hashed))
        except AccountError:  # another node was faster
            return False
        return True

    async def _account(self, name: str) -> Account | None:
        looked, account = self._known.get(name, (float("-inf"), None))
        age = time.monotonic() - looked
        if age < LOOK_SECONDS:
            return account
        try:
            account = await self._looked_up(name)
        except IndexUnavailableError:
            if age < STALE_SECONDS:
                return account
            raise
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[name] = (time.monotonic(), account)
        return account

    async def _looked_up(self, name: str) -> Account | None:
        if time.monotonic() < self._rest_until:
            raise IndexUnavailableError("it did not answer a moment ago")
        try:
            return await self.accounts.get(name)
        except IndexUnavailableError:
            self._rest_until = time.monotonic() + REST_SECONDS
            raise

    async def _rehashed(self, account: Account, password: str) -> Account:
        hashed = await self.passwords.hash(password)
        try:
            await self.accounts.replace(account.with_changes(new_stamp=False, password=hashed))
        except (AccountError, IndexUnavailableError) as error:
            logger.warning("the hash of %s is not renewed: %s", account.name, error)
        return account
