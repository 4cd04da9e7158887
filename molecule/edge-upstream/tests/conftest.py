"""Fixtures of the edge's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from readers import Site


@pytest.fixture(scope="session")
def site() -> Site:
    """Return the hosts, once all nodes serve."""
    found = Site()
    found.restore()
    return found


@pytest.fixture
def disturbed(site: Site) -> Iterator[Site]:
    """Return the hosts for a test that stops some of them; afterwards all serve again."""
    yield site
    site.restore()
