"""Google's Gemini, over its REST interface. Only for sites that may send passages to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from urllib.parse import quote

from research_app.answer.endpoint import Endpoint
from research_app.answer.passage import Passage
from research_app.answer.prompt import RULES, material
from research_app.answer.provider import ProviderError

URL = "https://generativelanguage.googleapis.com/v1beta"
GOOD_ENDS = ("STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED")


class Gemini:
    """POST URL/models/MODEL:streamGenerateContent."""

    name = "gemini"

    def __init__(self, endpoint: Endpoint, url: str, model: str, most_tokens: int) -> None:
        self._endpoint = endpoint
        base = (url or URL).rstrip("/")
        self._url = f"{base}/models/{quote(model, safe='')}:streamGenerateContent?alt=sse"
        self._most_tokens = most_tokens

    async def stream(self, question: str, passages: Sequence[Passage]) -> AsyncGenerator[str, None]:
        """The text, as the model writes it."""
        body = {
            "systemInstruction": {"parts": [{"text": RULES}]},
            "contents": [
                {
                    "role": "user",
                    "parts": [{"text": await asyncio.to_thread(material, question, passages)}],
                }
            ],
            "generationConfig": {"temperature": 0.1, "maxOutputTokens": self._most_tokens},
        }
        async with contextlib.aclosing(self._endpoint.events(self._url, body)) as events:
            async for event in events:
                for text in _parts(event):
                    yield text

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()


def _parts(event: dict[str, Any]) -> list[str]:
    """The texts of one event, without the model's thoughts."""
    try:
        if reason := event.get("promptFeedback", {}).get("blockReason"):
            raise ProviderError(f"the question was refused: {reason}")
        candidates = event.get("candidates") or []
        if not candidates:  # the figures at the end
            return []
        candidate = candidates[0]
        parts = candidate.get("content", {}).get("parts", [])
        texts = [part.get("text", "") for part in parts if not part.get("thought")]
        end = candidate.get("finishReason") or "STOP"
    except (AttributeError, IndexError, KeyError, TypeError):
        raise ProviderError("an event is not as the interface says") from None
    if end not in GOOD_ENDS:
        raise ProviderError(f"the answer was ended: {end}")
    return [text for text in texts if isinstance(text, str) and text]
