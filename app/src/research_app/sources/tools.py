"""What a source may use beside the files that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from research_app.fetch import Fetcher


@dataclass(frozen=True, slots=True)
class Tools:
    """None of it is there by itself: a source does without, or says what is missing."""

    fetcher: Fetcher | None = None


NO_TOOLS = Tools()
