"""A small HTTP server that speaks as a model's endpoint does, from recorded answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

# as vLLM sends them (a chat completion in chunks, comments in between, figures at the end)
OPENAI = [
    ": ping",
    'data: {"id":"chatcmpl-8f2","object":"chat.completion.chunk","created":1764000000,'
    '"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},'
    '"logprobs":null,"finish_reason":null}]}',
    'data: {"id":"chatcmpl-8f2","object":"chat.completion.chunk","created":1764000000,'
    '"model":"m","choices":[{"index":0,"delta":{"reasoning_content":"The passages say …"},'
    '"logprobs":null,"finish_reason":null}]}',
    *(
        'data: {"id":"chatcmpl-8f2","object":"chat.completion.chunk","created":1764000000,'
        f'"model":"m","choices":[{{"index":0,"delta":{{"content":{json.dumps(text)}}},'
        '"logprobs":null,"finish_reason":null}]}'
        for text in ("Zebras have", " stripes [", "1", "]", " and eat grass [7][2, 9].")
    ),
    'data: {"id":"chatcmpl-8f2","object":"chat.completion.chunk","created":1764000000,'
    '"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}',
    'data: {"id":"chatcmpl-8f2","object":"chat.completion.chunk","created":1764000000,'
    '"model":"m","choices":[],"usage":{"prompt_tokens":90,"completion_tokens":12}}',
    "data: [DONE]",
]

# as streamGenerateContent?alt=sse is documented
GEMINI = [
    'data: {"candidates": [{"content": {"parts": [{"text": "Weighing it.", "thought": true}],'
    '"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 90},'
    '"modelVersion": "gemini-2.5-flash","responseId": "x"}',
    'data: {"candidates": [{"content": {"parts": [{"text": "Zebras have stripes [1]"}],'
    '"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 90,'
    '"candidatesTokenCount": 5,"totalTokenCount": 95},"modelVersion": "gemini-2.5-flash"}',
    'data: {"candidates": [{"content": {"parts": [{"text": " and eat grass [7][2, 9]."}],'
    '"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata":'
    ' {"promptTokenCount": 90,"candidatesTokenCount": 12,"totalTokenCount": 102},'
    '"modelVersion": "gemini-2.5-flash"}',
]
REFUSED = ['data: {"promptFeedback": {"blockReason": "SAFETY"},"modelVersion": "gemini-2.5-flash"}']
ENDED = ['data: {"candidates": [{"finishReason": "RECITATION","index": 0}]}']
OVERLOADED = (
    '{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}'
)


@dataclass
class Model:
    """What the server answers, and what it was asked."""

    lines: list[str] = field(default_factory=list)
    status: int = 200
    body: str = ""
    stall_after: int | None = None
    break_after: int | None = None
    url: str = ""
    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            await self._read(reader)
            await self._write(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.asked.append((head[0].split()[1], headers, json.loads(body)))

    async def _write(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {self.status} X\r\nTransfer-Encoding: chunked\r\n".encode())
        writer.write(b"Content-Type: text/event-stream\r\n\r\n")
        if self.body:
            _chunk(writer, self.body.encode())
        for number, line in enumerate(self.lines):
            if number == self.break_after:
                return
            if number == self.stall_after:
                await writer.drain()
                if not await reader.read(1):  # until the other side goes
                    self.left.set()
                return
            _chunk(writer, f"{line}\n\n".encode())
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


@asynccontextmanager
async def serving(model: Model) -> AsyncIterator[Model]:
    """Serve on a free port."""
    server = await asyncio.start_server(model, "127.0.0.1", 0)
    model.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield model
    finally:
        server.close()
