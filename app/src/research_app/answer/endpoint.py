"""A model's HTTP endpoint that streams server-sent events."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import orjson

from research_app.answer.provider import ProviderError

CONNECT_SECONDS = 3.0
LONGEST_LINE = 1_000_000
CONNECTIONS = 64


class Endpoint:
    """Posts a request and yields the JSON of every event."""

    def __init__(self, headers: dict[str, str], silent_seconds: float, tls_ca: str = "") -> None:
        self._silent_seconds = silent_seconds
        self._headers = headers
        self._tls_ca = tls_ca
        self._open: httpx.AsyncClient | None = None

    @property
    def _client(self) -> httpx.AsyncClient:
        """Made when it is first needed: it belongs to a running loop."""
        if self._open is None:
            self._open = httpx.AsyncClient(
                headers={**self._headers, "Accept": "text/event-stream"},
                timeout=httpx.Timeout(self._silent_seconds, connect=CONNECT_SECONDS),
                verify=ssl.create_default_context(cafile=self._tls_ca or None),
                limits=httpx.Limits(max_connections=CONNECTIONS),
                follow_redirects=False,
                trust_env=False,
            )
        return self._open

    async def events(self, url: str, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The events; anything but a proper answer is a ProviderError without the key in it."""
        try:
            async with self._client.stream("POST", url, json=body) as response:
                if response.status_code != 200:
                    raise ProviderError(f"status {response.status_code}")
                async for line in response.aiter_lines():
                    if len(line) > LONGEST_LINE:
                        raise ProviderError("an event is too long")
                    name, _, data = line.partition(":")
                    if name != "data":  # comments that keep the connection alive, ids, blank lines
                        continue
                    if data.strip() == "[DONE]":
                        return
                    yield _parsed(data)
        except httpx.TimeoutException as error:
            raise ProviderError(f"no answer in time ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise ProviderError(type(error).__name__) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._open is not None:
            await self._open.aclose()
            self._open = None


def _parsed(data: str) -> dict[str, Any]:
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise ProviderError("an event is no JSON") from None
    if not isinstance(event, dict):
        raise ProviderError("an event is no object")
    if event.get("error"):
        raise ProviderError("the stream ended with an error")
    return event
