"""Places inside documents: in words, and as addresses that open there."""

from __future__ import annotations

from research_app.web.addresses import item_address


def clock(seconds: float) -> str:
    """A time as players show it: 4:05, 1:02:09."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"


def place(page: int | None, start: float | None) -> str:
    """Where in a document something is, in words."""
    if start is not None:
        return clock(start)
    return f"page {page}" if page is not None else ""


def place_address(identity: str, page: int | None, start: float | None) -> str:
    """The address of a document's page, opened at a page or a second."""
    if start is not None:
        return f"{item_address(identity)}?t={int(start)}#place"
    return item_address(identity) + (f"?page={page}#place" if page is not None else "")
