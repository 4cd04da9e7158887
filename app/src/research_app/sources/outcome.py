"""What becomes of one document of many: no fault of one ends what is read of the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from research_app.refusal import NotNowError, RefusedError
from research_app.sources.document import Candidate, Refusal

logger = logging.getLogger(__name__)

FAULT = "an unexpected fault of this program; its log says more"


def outcome(source: str, make: Callable[[], Candidate]) -> Candidate | Refusal:
    """A candidate, or why there is none."""
    try:
        return make()
    except Exception as error:
        return refusal(source, error)


def guarded(source: str, items: Iterator[Candidate | Refusal]) -> Iterator[Candidate | Refusal]:
    """What a reader finds; a fault of the reader itself ends its source and no other."""
    try:
        yield from items
    except NotNowError:
        raise
    except Exception as error:
        yield refusal(source, error)


def refusal(source: str, error: Exception) -> Refusal:
    """Why something is not taken, in words; what nobody thought of is for the log."""
    if isinstance(error, RefusedError):
        return Refusal(source, str(error))
    if isinstance(error, OSError) and error.strerror:
        return Refusal(source, f"cannot be read: {error.strerror}")
    logger.error("%s: %s", source, FAULT, exc_info=error)
    return Refusal(source, FAULT)
