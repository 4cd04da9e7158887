"""Wait for the health gate and say meanwhile what is waited for."""

from __future__ import annotations

import re
import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# So long a question waits on the host before its reasons are shown.
SHOWN_EVERY_SECONDS = 15
ELAPSED = re.compile(r"^(\d+) s ")

display = Display()


class ActionModule(ActionBase):
    """Runs the module of the same name again and again, a part of the whole wait each time."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> Any:
        """Return what the module returned last.

        :param task_vars: the variables of the task
        """
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        whole = int(arguments.get("timeout") or 0)
        started, history = time.monotonic(), list[str]()
        while True:
            spent = round(time.monotonic() - started)
            part = min(max(whole - spent, 0), SHOWN_EVERY_SECONDS)
            result = dict(
                self._execute_module(
                    module_name="opensearch_health",
                    module_args={**arguments, "timeout": part},
                    task_vars=task_vars,
                )
            )
            if "history" not in result:
                return result
            history += [later(line, spent) for line in result["history"]]
            elapsed = round(time.monotonic() - started)
            if settled(result) or elapsed >= whole:
                return {**result, "history": history}
            host = (task_vars or {}).get("inventory_hostname", "")
            display.display(f"{host}: {elapsed} of {whole} s: {reasons(result)}", color="yellow")


def settled(result: dict[str, Any]) -> bool:
    """Say whether waiting is over: it is a yes, or the unit does not start."""
    codes = {reason.get("code") for reason in result.get("reasons", [])}
    return bool(result["ok"]) or "unit_failed" in codes


def reasons(result: dict[str, Any]) -> str:
    """Return why it is a no, the first few reasons of it."""
    texts = [str(reason["text"]) for reason in result["reasons"]]
    more = f" (and {len(texts) - 3} more)" if len(texts) > 3 else ""
    return "; ".join(texts[:3]) + more


def later(line: str, seconds: int) -> str:
    """Return a line of the history as counted from the beginning of the whole wait."""
    return ELAPSED.sub(lambda found: f"{int(found[1]) + seconds} s ", line)
