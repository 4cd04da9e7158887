"""What is known of one job."""

from __future__ import annotations

import time
import uuid
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from research_app.report import Tally

State = Literal["queued", "running", "done", "failed", "dead"]
# done: it did what it could. failed: it cannot succeed as it is. dead: given up after many tries.
ENDED: tuple[State, ...] = ("done", "failed", "dead")
AGAIN: tuple[State, ...] = ("failed", "dead")


class JobsUnavailableError(Exception):
    """There is no queue that answers now."""


class JobsFullError(Exception):
    """As many jobs wait as may."""


class UnfitJobError(Exception):
    """The job cannot be taken, or not done; the message is for a librarian."""


class Job(BaseModel):
    """A job, as the API shows it and the cache tier keeps it."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: uuid.uuid4().hex[:12])
    kind: str
    argument: str
    options: dict[str, str] = {}
    user: str = ""
    state: State = "queued"
    seen: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    mended: int = 0
    kinds: dict[str, Tally] = {}
    unread: dict[str, int] = {}
    total: int | None = None
    message: str = ""
    attempts: int = 0
    worker: str = ""
    started: float = 0.0
    unsent: bool = False  # its next message is for later
    created: float = Field(default_factory=time.time)
    updated: float = Field(default_factory=time.time)
