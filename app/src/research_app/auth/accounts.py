"""The accounts: documents of the index `<index>-users`.

A token names the stamp that its account had. A new password, a disabled account or a sign-out
everywhere renews the stamp, and with that no earlier token counts.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import (
    ConflictError,
    NotFoundError,
    OpenSearchException,
    RequestError,
)

from research_app.auth.user import Role, User
from research_app.index.client import IndexUnavailableError, describe

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
OIDC_PREFIX = "oidc-"  # of the names of those who sign in elsewhere
MOST = 10_000
# An account is read before each page: within that time, so that a node that is silent does not
# hold up the page, and by two attempts, so that another node is asked.
LOOK_UP_SECONDS = 2.0
ATTEMPT_SECONDS = 0.9

MAPPINGS: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "shown": {"type": "keyword"},
        "role": {"type": "keyword"},
        "origin": {"type": "keyword"},
        "disabled": {"type": "boolean"},
        "password": {"type": "keyword", "index": False, "doc_values": False},
        "stamp": {"type": "keyword", "index": False, "doc_values": False},
        "created": {"type": "date"},
        "changed": {"type": "date"},
    },
}


class AccountError(Exception):
    """It cannot be done; the message says why, to whoever asked for it."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _stamp() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Account:
    """One account; `seen` is where in the index's history it was read."""

    name: str
    role: Role
    origin: Literal["local", "oidc"] = "local"
    shown: str = ""
    password: str | None = field(default=None, repr=False)  # its argon2 hash
    disabled: bool = False
    stamp: str = field(default_factory=_stamp, repr=False)
    created: str = field(default_factory=_now)
    changed: str = field(default_factory=_now)
    seen: tuple[int, int] | None = field(default=None, compare=False, repr=False)

    @property
    def user(self) -> User:
        """The user whose account it is."""
        return User(self.name, self.role, self.shown)

    def with_changes(self, *, new_stamp: bool, **changes: Any) -> Account:
        """The account as it is to be; with a new stamp all its tokens are void."""
        stamp = _stamp() if new_stamp else self.stamp
        return dataclasses.replace(self, **changes, stamp=stamp, changed=_now())


class Accounts:
    """Reads and writes accounts."""

    def __init__(self, client: AsyncOpenSearch, index: str) -> None:
        self._client = client
        self.index = f"{index}-users"

    async def create_index(self) -> bool:
        """Create the index where it is missing; True when this call made it."""
        settings = {"index": {"number_of_shards": 1, "refresh_interval": "1s"}}
        try:
            if await self._client.indices.exists(index=self.index):
                return False
            body = {"settings": settings, "mappings": MAPPINGS}
            await self._client.indices.create(index=self.index, body=body)
        except RequestError as error:
            if error.error == "resource_already_exists_exception":
                return False
            raise IndexUnavailableError(describe(error)) from error
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error
        return True

    async def get(self, name: str) -> Account | None:
        """The account of that name; what was just written is seen."""
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                found = await self._client.get(
                    index=self.index, id=name, params={"request_timeout": ATTEMPT_SECONDS}
                )
        except NotFoundError:
            return None
        except TimeoutError as error:
            raise IndexUnavailableError("no answer in time") from error
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error
        return _account(found)

    async def add(self, account: Account) -> None:
        """Write a new account."""
        try:
            await self._client.create(
                index=self.index,
                id=account.name,
                body=_document(account),
                params={"refresh": "true"},
            )
        except ConflictError:
            if not await self._is_written(account):
                raise AccountError(f"there is an account {account.name} already") from None
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error

    async def replace(self, account: Account) -> None:
        """Write an account that was read before, unless somebody else wrote it since."""
        if account.seen is None:
            raise ValueError("an account that was not read cannot be replaced")
        number, term = account.seen
        try:
            await self._client.index(
                index=self.index,
                id=account.name,
                body=_document(account),
                params={"if_seq_no": number, "if_primary_term": term, "refresh": "true"},
            )
        except ConflictError:
            if not await self._is_written(account):
                raise AccountError(
                    f"{account.name} was changed by somebody else meanwhile: look, and try again"
                ) from None
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error

    async def _is_written(self, account: Account) -> bool:
        """Whether the conflict is with ourselves: an answer was late, and we asked again."""
        return await self.get(account.name) == account

    async def list(self) -> list[Account]:
        """Every account, by name."""
        body = {"size": MOST, "query": {"match_all": {}}, "seq_no_primary_term": True}
        try:
            found = await self._client.search(index=self.index, body=body)
        except NotFoundError:
            return []
        except OpenSearchException as error:
            raise IndexUnavailableError(describe(error)) from error
        return sorted((_account(hit) for hit in found["hits"]["hits"]), key=lambda a: a.name)


def _document(account: Account) -> dict[str, Any]:
    fields = dataclasses.asdict(account)
    return {name: value for name, value in fields.items() if name not in ("name", "seen")}


def _account(hit: dict[str, Any]) -> Account:
    fields = dict(hit["_source"])
    return Account(
        name=hit["_id"],
        role=Role(fields.pop("role")),
        seen=(hit["_seq_no"], hit["_primary_term"]),
        **fields,
    )
