"""What preflight lets through of the application's settings, and what the application refuses."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.preflight.application import table, wrong


@pytest.mark.parametrize(
    ("section", "key", "value", "remedy"),
    [
        ("search", "max_at_once", 1, ""),
        ("search", "max_at_once", "32", ""),  # the application reads it as a number
        ("search", "max_at_once", 32.5, "1 to 10000"),
        ("search", "max_at_once", 10_001, "1 to 10000"),
        ("search", "timeout_seconds", 0, "more than 0, up to 3600"),
        ("search", "timeout_seconds", 0.1, ""),
        ("search", "timeout_seconds", float("inf"), "more than 0, up to 3600"),
        ("retention", "days", 0, ""),
        ("retention", "days", -1, "0 to 36500"),
        ("limits", "search", "", ""),
        ("limits", "account", "20/15 minutes", ""),
        ("limits", "account", "20 per hour", ""),
        ("limits", "search", "60/fortnight", '"60/minute"'),
        ("limits", "upload_bytes", 2**40 + 1, "1 to 1099511627776"),
        ("limits", "unlimited", "10.0.0.0/8", "as a list"),
        ("ocr", "languages", ["eng", "deu"], ""),
        ("ocr", "languages", [], "list 1 to 8"),
        ("fetch", "enabled", "no", ""),
        ("fetch", "enabled", "never", "true or false"),
        ("site", "title", 7, "in quotes"),
        ("site", "title", None, ""),
    ],
)
def test_what_is_accepted(section: str, key: str, value: Any, remedy: str) -> None:
    said = list(wrong(value, table()[section][key]))
    assert [remedy in each[1] for each in said] == ([True] if remedy else [])


def test_the_table_has_the_variables_that_are_written_as_they_are() -> None:
    assert table()["jobs"]["concurrency"]["variable"] == "app_jobs_at_once"
    assert "credentials" not in table()
