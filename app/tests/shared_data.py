"""Real input that lies beside a checkout; a test that wants it is skipped where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "RESEARCH_TEST_DATA"
BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def shared(name: str) -> Path:
    """A file or a folder of the shared data."""
    path = Path(os.environ.get(VARIABLE) or BESIDE) / name
    if not path.exists():
        pytest.skip(f"{name} is not there: {VARIABLE} does not name the folder of the shared data")
    return path
