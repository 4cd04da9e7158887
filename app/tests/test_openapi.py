"""What the API promises in its OpenAPI document, against the whole application over HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from conftest import service_url
from hypothesis import HealthCheck, given, settings
from redis import Redis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from research_app.factory import create_app
from research_app.services import build
from research_app.settings import Credentials, Settings, parse

pytestmark = pytest.mark.integration

PASSWORD = "a long password for this test"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 12


@pytest.fixture(scope="module")
def own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of an application with an index, a cache and a folder of its own."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    found = parse(
        {
            "server": {"tls": False},
            "opensearch": {"urls": [service_url("opensearch")], "index": name},
            "cache": {"url": service_url("redis"), "tls": False, "prefix": f"{name}:"},
            "library": {"directory": str(tmp_path_factory.mktemp("library"))},
            "limits": {"unlimited": ["127.0.0.0/8"]},
            "fetch": {"enabled": False},
        },
        Credentials.model_validate({"signing_key": "k" * 48}),
        Path("settings.toml"),
    )

    async def administrator() -> None:
        parts = build(found)
        async with parts.connected():
            await parts.auth.accounts.create_index()
            await parts.auth.bootstrap(PASSWORD)

    asyncio.run(administrator())
    yield found

    async def remove() -> None:
        client = build(found).client
        await client.indices.delete(index=f"{name}*", ignore_unavailable=True)
        await client.close()

    asyncio.run(remove())
    redis: Any = Redis.from_url(service_url("redis"))
    for key in redis.scan_iter(f"{name}:*"):
        redis.delete(key)
    redis.close()


@pytest.fixture(scope="module")
def address(own_settings: Settings) -> Iterator[str]:
    """The application, served."""
    config = uvicorn.Config(create_app(own_settings), port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline, "the application does not start"
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    while httpx.get(f"{address}/ready").status_code != 200:
        assert time.monotonic() < deadline, "the application is not ready"
        time.sleep(0.2)
    yield address
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture(scope="module")
def token(address: str) -> str:
    """What an administrator sends."""
    login = {"name": "admin", "password": PASSWORD}
    answer = httpx.post(f"{address}/api/token", json=login)
    assert answer.status_code == 200, answer.text
    return f"Bearer {answer.json()['access_token']}"


@pytest.fixture(scope="module")
def api(address: str) -> Any:
    return schemathesis.openapi.from_url(f"{address}/api/openapi.json")


bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


def ask_everything(api: Any, subtests: pytest.Subtests, headers: dict[str, str]) -> None:
    """Requests of all kinds to every operation: no error of ours, and the answers promised."""
    asked = 0
    for result in api.get_all_operations():
        operation = result.ok()

        @bounded
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, headers=headers, timeout=30)

        with subtests.test(operation.label):
            ask()
        asked += 1
    assert asked >= 10


def test_what_anybody_may_ask(api: Any, subtests: pytest.Subtests) -> None:
    ask_everything(api, subtests, {})


def test_what_an_administrator_may_ask(api: Any, token: str, subtests: pytest.Subtests) -> None:
    ask_everything(api, subtests, {"Authorization": token})
