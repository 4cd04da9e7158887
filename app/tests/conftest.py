"""What the tests share: settings, documents as OpenSearch returns them, an app without services."""

from __future__ import annotations

import dataclasses
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from research_app import logs
from research_app.answer.extractive import Extractive
from research_app.answer.service import AnswerService
from research_app.auth import Role
from research_app.auth.accounts import Account, AccountError
from research_app.auth.service import Auth
from research_app.factory import create_app
from research_app.search.query import SearchQuery
from research_app.search.results import shown
from research_app.services import build
from research_app.settings import Credentials, Logging, Settings, parse

URLS = {
    "opensearch": "RESEARCH_TEST_OPENSEARCH_URL",
    "redis": "RESEARCH_TEST_REDIS_URL",
}


def make_settings(**sections: Any) -> Settings:
    """Settings for a test: plain, no cache, an OpenSearch that nobody runs."""
    data: dict[str, Any] = {
        "server": {"tls": False},
        "opensearch": {"urls": ["http://127.0.0.1:9"]},
        "cache": {"enabled": False},
    }
    for name, values in sections.items():
        data[name] = data.get(name, {}) | values
    return parse(data, Credentials(), Path("settings.toml"))


def service_url(name: str) -> str:
    """The address of a real service, or a skip; in CI its absence is a failure."""
    url = os.environ.get(URLS[name], "")
    if not url:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{URLS[name]} is not set")
        pytest.skip(f"{URLS[name]} is not set")
    return url


@pytest.fixture
def opensearch_url() -> str:
    return service_url("opensearch")


@pytest.fixture
def redis_url() -> str:
    return service_url("redis")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RESEARCH_APP_SETTINGS", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)


@dataclasses.dataclass(frozen=True)
class FakePassage:
    """A passage as the search finds it."""

    text: str
    item_id: str = "a/b"
    title: str = "A paper"
    kind: str = "paper"
    page: int | None = None
    start: float | None = None


class FakeSearch:
    """Answers without an OpenSearch; `failure` is raised instead, where it is set."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.results_of: dict[str, Any] = results()
        self.items: dict[str, dict[str, Any]] = {}
        self.asked: list[SearchQuery] = []
        self.texts: dict[str, list[dict[str, Any]]] = {}
        self.found_passages: list[FakePassage] = []

    def _fail(self) -> None:
        if self.failure:
            raise self.failure

    async def results(self, query: SearchQuery) -> dict[str, Any]:
        self._fail()
        self.asked.append(query)
        return self.results_of | {"page": query.page, "size": query.size}

    async def search(self, query: SearchQuery) -> bytes:
        return orjson.dumps(await self.results(query))

    async def item(self, identity: str) -> dict[str, Any] | None:
        self._fail()
        found = self.items.get(identity)
        return shown({"_id": identity, "_source": found}) if found else None

    async def passages(self, question: str, size: int) -> list[FakePassage]:
        self._fail()
        return self.found_passages[:size]

    async def contents(self, identity: str) -> list[dict[str, Any]]:
        self._fail()
        return self.texts.get(identity, [])

    async def similar(self, identity: str, size: int) -> list[dict[str, Any]]:
        self._fail()
        return self.results_of["results"][:size]

    async def overview(self) -> dict[str, Any]:
        self._fail()
        return {
            "total": 1234,
            "kind": [{"value": "paper", "count": 1224}, {"value": "video", "count": 10}],
            "year": [
                {"value": 2019, "count": 1000, "kinds": {"paper": 990, "video": 10}},
                {"value": 2021, "count": 234, "kinds": {"paper": 234}},
            ],
        }


def results(*found: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    """Results in the API's form."""
    hits = [{"_id": str(n), "_source": fields} for n, fields in enumerate(found, 1)]
    return {
        "total": len(found) if total is None else total,
        "page": 1,
        "size": 20,
        "took_ms": 1,
        "partial": False,
        "results": [{**shown(hit), "highlights": {}, "passages": [], "score": 1.0} for hit in hits],
        "facets": {
            "kind": [{"value": "paper", "count": 3}],
            "year": [{"value": 2020, "count": 3}],
            "venue": [{"value": 'A "Venue" & Co', "count": 3}],
            "author": [],
        },
    }


CHECKS = ("opensearch", "indices", "cache", "disk", "memory")


class FakeHealth:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.bad: set[str] = set()

    async def check(self, name: str) -> dict[str, Any]:
        return {"ok": name not in self.bad, "seconds": 0.001, "detail": ""}

    async def all(self) -> dict[str, Any]:
        return {name: await self.check(name) for name in CHECKS}

    async def ready(self) -> dict[str, Any]:
        return await self.check("opensearch")


class FakeAccounts:
    """Accounts in a dict, with the same promises."""

    index = "fake-users"

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.stored: dict[str, Account] = {}

    def _fail(self) -> None:
        if self.failure:
            raise self.failure

    async def create_index(self) -> bool:
        self._fail()
        return False

    async def get(self, name: str) -> Account | None:
        self._fail()
        return self.stored.get(name)

    async def add(self, account: Account) -> None:
        self._fail()
        if account.name in self.stored:
            raise AccountError("there is one already")
        self.stored[account.name] = dataclasses.replace(account, seen=(0, 1))

    async def replace(self, account: Account) -> None:
        self._fail()
        before = self.stored[account.name].seen
        if before is None or account.seen != before:
            raise AccountError("changed by somebody else")
        self.stored[account.name] = dataclasses.replace(account, seen=(before[0] + 1, 1))

    async def list(self) -> list[Account]:
        self._fail()
        return sorted(self.stored.values(), key=lambda account: account.name)


class Site:
    """The application with all services faked, and a client for it."""

    def __init__(self, **sections: Any) -> None:
        parts = build(make_settings(**{"site": {"contact": "desk@example.org"}} | sections))
        self._search, self._health = FakeSearch(), FakeHealth()
        self.accounts = FakeAccounts()
        self.auth = Auth(parts.settings, self.accounts)  # type: ignore[arg-type]
        self.drain = parts.drain
        self.services = dataclasses.replace(
            parts,
            search=self._search,  # type: ignore[arg-type]
            answers=AnswerService(parts.settings.answer, self._search, Extractive()),
            health=self._health,  # type: ignore[arg-type]
            auth=self.auth,
        )
        self.app = create_app(self.services.settings, self.services)
        self.client = TestClient(self.app, raise_server_exceptions=False)

    @property
    def search(self) -> FakeSearch:
        return self._search

    @property
    def health(self) -> FakeHealth:
        return self._health

    def reset(self) -> None:
        """As it was when it was made; making it takes seconds."""
        self._search.__init__()  # type: ignore[misc]
        self._health.__init__()  # type: ignore[misc]
        self.accounts.__init__()  # type: ignore[misc]
        self.auth.__init__(self.services.settings, self.accounts)  # type: ignore[misc]
        self.drain.draining = False
        self.client.cookies.clear()

    def headers(self, role: str = "admin", name: str = "") -> dict[str, str]:
        """What a program sends that has signed in as somebody of that role."""
        account = Account(name or f"a-{role}", Role(role), seen=(0, 1))
        self.accounts.stored[account.name] = account
        return {"Authorization": f"Bearer {self.auth.token(account).text}"}

    def sign_in(self, role: str = "admin", name: str = "") -> None:
        """Give the client the cookie of somebody of that role, as a browser has it."""
        token = self.headers(role, name)["Authorization"].removeprefix("Bearer ")
        self.client.cookies.clear()
        self.client.cookies.set(self.auth.cookie.name, token)

    def get(self, address: str, **options: Any) -> Any:
        return self.client.get(address, **options)


@pytest.fixture(scope="session")
def _one_site() -> Site:
    return Site()


@pytest.fixture
def site(_one_site: Site) -> Site:
    _one_site.reset()
    return _one_site


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the process would write, in its own form."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure(Logging())
    written = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield written
    root.handlers[:] = before
    root.setLevel(level)
