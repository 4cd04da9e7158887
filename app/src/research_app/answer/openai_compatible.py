"""A model on the premises that speaks the chat completions protocol: vLLM, Ollama, llama.cpp."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from research_app.answer.endpoint import Endpoint
from research_app.answer.passage import Passage
from research_app.answer.prompt import RULES, material
from research_app.answer.provider import ProviderError


class OpenAICompatible:
    """POST URL/chat/completions."""

    name = "openai"

    def __init__(self, endpoint: Endpoint, url: str, model: str, most_tokens: int) -> None:
        self._endpoint = endpoint
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._model = model
        self._most_tokens = most_tokens

    async def stream(self, question: str, passages: Sequence[Passage]) -> AsyncGenerator[str, None]:
        """The text, as the model writes it."""
        body = {
            "model": self._model,
            "stream": True,
            "temperature": 0.1,
            "max_tokens": self._most_tokens,
            "messages": [
                {"role": "system", "content": RULES},
                {"role": "user", "content": await asyncio.to_thread(material, question, passages)},
            ],
        }
        async with contextlib.aclosing(self._endpoint.events(self._url, body)) as events:
            async for event in events:
                if text := _delta(event):
                    yield text

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()


def _delta(event: dict[str, Any]) -> str:
    """The text of one chunk; the last ones carry none. What a model thinks aloud is not taken."""
    try:
        choices = event.get("choices") or []
        text = choices[0].get("delta", {}).get("content") if choices else ""
    except (AttributeError, IndexError, KeyError, TypeError):
        raise ProviderError("a chunk is not as the protocol says") from None
    return text if isinstance(text, str) else ""
