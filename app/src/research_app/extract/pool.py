"""A few worker processes that extract text, each replaced when a file kills it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import orjson

from research_app.refusal import RefusedError

SECONDS_PER_FILE = 120.0
MAX_ANSWER_BYTES = 256 * 1024 * 1024
CRASHED = "damaged: it crashes the PDF reader, or needs more memory than one file may take"
COMMAND = ("-m", "research_app.extract.worker")


class ExtractionPool:
    """Lends one idle worker per file."""

    def __init__(self, size: int = 0, seconds: float = SECONDS_PER_FILE) -> None:
        self._idle: asyncio.LifoQueue[asyncio.subprocess.Process | None] = asyncio.LifoQueue()
        self._seconds = seconds
        for _ in range(size or min(4, os.cpu_count() or 1)):
            self._idle.put_nowait(None)  # started when first needed

    async def extract(self, path: Path) -> dict[str, Any]:
        """The fields of one file; RefusedError with the reason where there are none."""
        worker = await self._idle.get()
        try:
            if worker is None or worker.returncode is not None:
                worker = await _start()
            line = await asyncio.wait_for(_ask(worker, path), self._seconds)
        except TimeoutError:
            await _end(worker)
            raise RefusedError(f"reading it takes over {self._seconds:.0f} seconds") from None
        except (OSError, ValueError, asyncio.IncompleteReadError):
            await _end(worker)
            raise RefusedError(CRASHED) from None
        except asyncio.CancelledError:
            await _end(worker)
            raise
        finally:
            self._idle.put_nowait(worker)
        answer = orjson.loads(line)
        if "refused" in answer:
            raise RefusedError(answer["refused"])
        return cast("dict[str, Any]", answer["fields"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        while not self._idle.empty():
            await _end(self._idle.get_nowait())


async def _start() -> asyncio.subprocess.Process:
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=MAX_ANSWER_BYTES,
        env=environment,
        start_new_session=True,  # Ctrl-C is the parent's to handle
    )


async def _ask(worker: asyncio.subprocess.Process, path: Path) -> bytes:
    assert worker.stdin is not None  # noqa: S101
    assert worker.stdout is not None  # noqa: S101
    worker.stdin.write(orjson.dumps(str(path.absolute())) + b"\n")
    await worker.stdin.drain()
    return await worker.stdout.readuntil(b"\n")


async def _end(worker: asyncio.subprocess.Process | None) -> None:
    if worker is None or worker.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        worker.kill()
    await worker.wait()
