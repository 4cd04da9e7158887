"""Nothing that is sent to the assistant opens a file, reaches another machine or stops the process.

Each attack runs in a process of its own, since a hook of audit events cannot be taken away again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ATTACKS = Path(__file__).with_name("assistant_attacks.py")
SECONDS = 300


def attacked(kind: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(ATTACKS), kind],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout), done.stderr


@pytest.mark.timeout(SECONDS + 20)
def test_through_its_gate_the_assistant_takes_questions_alone() -> None:
    report, said = attacked("gate")
    assert report["seen"] == []
    assert "Traceback" not in said
    for name in ("anybody", "admin"):
        found = report[name]
        assert found["faults"] == [], name
        assert set(found["statuses"]) == {"200", "404", "413", "422"}, name
        assert found["slowest"] < 5, name


@pytest.mark.timeout(SECONDS + 20)
def test_without_its_gate_too_no_path_is_opened_and_nothing_fetched() -> None:
    report, _ = attacked("bare")
    assert report["seen"] == []
    assert min(sum(report[name]["statuses"].values()) for name in ("anybody", "admin")) > 500
