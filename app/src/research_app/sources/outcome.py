"""What becomes of one document of many: no fault of one ends what is read of the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from research_app.refusal import NotNowError, ReaderAwayError, RefusedError
from research_app.sources.document import Candidate, Refusal

logger = logging.getLogger(__name__)

# one less than the quarantine keeps of a run, so that it also says where the reading ended
MAX_REFUSED = 9_999
FAULT = "an unexpected fault of this program; its log says more"


def outcome(source: str, make: Callable[[], Candidate]) -> Candidate | Refusal:
    """A candidate, or why there is none."""
    try:
        return make()
    except ReaderAwayError:
        raise
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


def until_hopeless(
    source: str, items: Iterator[Candidate | Refusal]
) -> Iterator[Candidate | Refusal]:
    """What a file of many documents gives, until more of it is refused than anybody will mend."""
    refused = 0
    for item in items:
        if refused == MAX_REFUSED:
            yield Refusal(source, f"{refused:,} entries of it were refused; the rest is not read")
            return
        refused += isinstance(item, Refusal)
        yield item


def refusal(source: str, error: Exception) -> Refusal:
    """Why something is not taken, in words; what nobody thought of is for the log."""
    if isinstance(error, RefusedError):
        return Refusal(source, str(error))
    if isinstance(error, OSError) and error.strerror:
        return Refusal(source, f"cannot be read: {error.strerror}")
    logger.error("%s: %s", source, FAULT, exc_info=error)
    return Refusal(source, FAULT)
