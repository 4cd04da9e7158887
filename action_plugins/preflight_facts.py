"""Ask a host about itself; a host that cannot answer is an answer too."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

NOT_FOUND = 127  # a shell's answer
NO_RESULT = "deserialization failed"
PREAMBLE = re.compile(r".* can be reached over ssh: ")


class ActionModule(ActionBase):
    """Runs the module of the same name between two looks at this machine's clock."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> Any:
        """Return the host's facts, or why there are none; C(preflight_hosts) judges all together.

        :param task_vars: the variables of the host
        """
        super().run(tmp, task_vars)
        asked = time.time()
        try:
            result = dict(self._execute_module(task_vars=task_vars))
        except AnsibleConnectionFailure as failure:
            return {"changed": False, "problem": "unreachable", "reason": first_line(failure)}
        if "host" not in result:
            return {"changed": False, **trouble(result)}
        return {**result, "asked": asked, "answered": time.time()}


def trouble(result: Mapping[str, Any]) -> dict[str, str]:
    """Tell why a module did not run: mostly there is no Python, or no way to become root."""
    if result.get("rc") == NOT_FOUND:
        return {"problem": "python", "reason": "it was not found"}
    said = first_line(result.get("module_stderr") or result.get("msg", ""))
    if NO_RESULT in said:
        return {"problem": "sudo", "reason": "the module did not start"}
    return {"problem": "sudo" if "sudo" in said else "failed", "reason": said}


def first_line(text: object) -> str:
    """Return the beginning of a message."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return PREAMBLE.sub("", lines[0]).rstrip(".")[:200] if lines else "no reason given"
