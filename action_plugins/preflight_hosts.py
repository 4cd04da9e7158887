"""Judge what all hosts said of themselves, before the first is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if SHARED not in ansible.module_utils.__path__:
    # Modules find module_utils/ of their own accord; plugins do not.
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.preflight.hosts import Answer, Demands, Site, host_mistakes  # noqa: E402
from ansible.module_utils.preflight.reader import InventoryReader, verdict  # noqa: E402
from ansible.module_utils.preflight.report import hosts  # noqa: E402
from ansible.module_utils.preflight.sizes import parse_size  # noqa: E402


class ActionModule(ActionBase):
    """Tells the mistakes of all hosts of the play at once."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset({"answers", "clock_skew", "disk_free", "systems"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> Any:
        """Fail with every mistake of the hosts, or pass.

        :param task_vars: the variables of the host that the task runs for
        """
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        args = self._task.args
        inventory = InventoryReader(self, task_vars).inventory()
        names = [name for name in task_vars["ansible_play_hosts_all"] if name in inventory.hosts]
        answers = {name: answer(task_vars["hostvars"][name], args["answers"]) for name in names}
        demands = Demands(
            clock_skew=float(args["clock_skew"]),
            disk_free=parse_size(args["disk_free"]) or 0,
            systems=tuple(args["systems"]),
        )
        return verdict(
            inventory, host_mistakes(Site(inventory, answers, demands)), hosts(len(names))
        )


def answer(variables: Any, name: str) -> Answer:
    """Return what a host answered.

    :param name: the variable that C(preflight_facts) registered
    """
    found = variables.get(name) or {"problem": "failed", "reason": "it was not asked"}
    return Answer(
        facts=found.get("host", {}),
        problem=found.get("problem", ""),
        reason=found.get("reason", ""),
        asked=found.get("asked", 0.0),
        answered=found.get("answered", 0.0),
    )
