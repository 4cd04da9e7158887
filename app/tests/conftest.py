"""What the tests share: settings, documents as OpenSearch returns them, an app without services."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from research_app.settings import Credentials, Settings, parse

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
