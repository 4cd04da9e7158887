"""What a source may use beside the files that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from research_app.extract.extraction import OWN, Extraction
from research_app.sources.caption_names import READERS
from research_app.sources.document import RefusedError

if TYPE_CHECKING:
    from research_app.fetch import Fetcher
    from research_app.pictures import Pictures
    from research_app.speech import Recogniser


@dataclass(frozen=True, slots=True)
class Tools:
    """None of it is there by itself: a source does without, or says what is missing."""

    fetcher: Fetcher | None = None
    pictures: Pictures | None = None
    recogniser: Recogniser | None = None
    # this one is always there: what nobody else starts starts itself
    extraction: Extraction = OWN
    # the language of captions that comes after the recording's own
    readers: str = READERS

    @property
    def has_web(self) -> bool:
        """Whether anything may be fetched."""
        return self.fetcher is not None and self.fetcher.enabled

    @property
    def hears_the_web(self) -> Recogniser | None:
        """What hears recordings that have to be fetched; nothing where none may be."""
        allowed = self.fetcher is not None and self.fetcher.saves_recordings
        return self.recogniser if allowed else None

    @property
    def web(self) -> Fetcher:
        """What fetches; RefusedError where nothing may."""
        if self.fetcher is None:
            raise RefusedError("fetching from the web is switched off on this site")
        return self.fetcher


NO_TOOLS = Tools()
