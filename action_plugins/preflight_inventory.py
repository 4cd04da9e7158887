"""Check the whole inventory without contacting a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if SHARED not in ansible.module_utils.__path__:
    # Modules find module_utils/ of their own accord; plugins do not.
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.preflight.checks import inventory_mistakes  # noqa: E402
from ansible.module_utils.preflight.hosts import (  # noqa: E402
    authority_path,
    service_addresses,
    service_paths,
)
from ansible.module_utils.preflight.reader import InventoryReader, compiled_once, verdict  # noqa: E402
from ansible.module_utils.preflight.report import hosts  # noqa: E402


class ActionModule(ActionBase):
    """Reads every host's variables over the roles' defaults and tells all mistakes at once."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS: frozenset[str] = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> Any:
        """Fail with every mistake of the inventory, or return what to ask each host.

        :param task_vars: the variables of the host that the task runs for; all hosts are checked
        """
        super().run(tmp, task_vars)
        with compiled_once():
            inventory = InventoryReader(self, task_vars or {}).inventory()
            about = f"the inventory of {hosts(len(inventory.hosts))}"
            result = verdict(inventory, inventory_mistakes(inventory), about)
        if result.get("failed"):
            return result
        questions = {
            host.name: {
                "paths": service_paths(inventory, host),
                "addresses": service_addresses(host),
                "authorities": authority_path(host),
            }
            for host in inventory.hosts.values()
        }
        return {**result, "questions": questions}
