"""Settings in /etc/login.defs: each once, and nothing else touched."""

from __future__ import annotations

import pytest
from ansible.module_utils.line_settings import with_settings


@pytest.mark.parametrize(
    ("text", "result"),
    [
        pytest.param("A 1\nUMASK\t\t022\nB 2\n", "A 1\nUMASK\t027\nB 2\n", id="replaced"),
        pytest.param("UMASK   027\n", "UMASK   027\n", id="as wanted, in its own spacing"),
        pytest.param("UMASK 022\nUMASK 077\n", "UMASK\t027\n", id="twice becomes once"),
        pytest.param("#UMASK 022\nB 2\n", "#UMASK 022\nUMASK\t027\nB 2\n", id="below its comment"),
        pytest.param("B 2", "B 2\nUMASK\t027\n", id="at the end"),
        pytest.param("UMASK_X 1\n", "UMASK_X 1\nUMASK\t027\n", id="not another of like name"),
        pytest.param("", "UMASK\t027\n", id="empty"),
    ],
)
def test_a_setting_is_there_once(text: str, result: str) -> None:
    assert with_settings(text, {"UMASK": "027"}) == result
    assert with_settings(result, {"UMASK": "027"}) == result
