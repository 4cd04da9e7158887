"""A directory for a service is made or taken over only where nobody else has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.service_directory import DirectoryError, Found, decide, look


@pytest.mark.parametrize(
    ("found", "action"),
    [
        (Found(), "create"),
        (Found("directory", "opensearch", 0o750, usable=True), "nothing"),
        (Found("directory", "nobody", 0o777, empty=True, usable=True), "nothing"),
        (Found("directory", "root", 0o755, empty=True), "give"),
        (Found("directory", "root", 0o755), None),
        (Found("directory", "backup", 0o700, empty=True), None),
        (Found("other"), None),
    ],
)
def test_what_is_done(found: Found, action: str | None) -> None:
    if action is None:
        with pytest.raises(DirectoryError):
            decide("/srv/x", found, "opensearch")
    else:
        assert decide("/srv/x", found, "opensearch") == action


def test_the_refusal_says_whose_it_is() -> None:
    found = Found("directory", "uid 994", 0o750)
    with pytest.raises(DirectoryError, match="which is uid 994's with mode 0750: let opensearch"):
        decide("/srv/x", found, "opensearch")


def test_looking(tmp_path: Path) -> None:
    assert look(tmp_path / "absent", "root") == Found()
    (tmp_path / "file").write_text("")
    assert look(tmp_path / "file", "root").kind == "other"
    found = look(tmp_path, "no-such-user")
    assert (found.kind, found.empty, found.usable) == ("directory", False, True)
