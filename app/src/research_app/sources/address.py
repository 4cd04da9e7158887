"""Addresses as feeds and people write them; one that cannot be read is refused."""

from __future__ import annotations

from urllib.parse import SplitResult, urljoin, urlsplit

from research_app.plain_text import one_line
from research_app.private_address import shown
from research_app.refusal import RefusedError


def split(address: str) -> SplitResult:
    """The parts of an address."""
    try:
        return urlsplit(address)
    except ValueError:
        raise _refused(address) from None


def join(base: str, reference: str) -> str:
    """An address, whole, that is relative to another."""
    try:
        return urljoin(base, reference)
    except ValueError:
        raise _refused(reference) from None


def _refused(address: str) -> RefusedError:
    return RefusedError(f"not an address that can be read: {one_line(shown(address))[:200]}")
