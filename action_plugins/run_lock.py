"""Take the lock of a site on a host, and say there that the run lives until it has ended."""

from __future__ import annotations

import getpass
import os
import secrets
import signal
import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ansible.constants
import ansible.context
import ansible.module_utils
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

SHARED = str(Path(__file__).resolve().parent.parent / "module_utils")
if SHARED not in ansible.module_utils.__path__:
    # Modules find module_utils/ of their own accord; plugins do not.
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.run_lock import (  # noqa: E402
    Claim,
    Heart,
    Process,
    Run,
    beat_command,
    detached,
    lost,
    release_command,
)


class ActionModule(ActionBase):
    """Runs the module of the same name once for a run, and a heart for each host."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset({"path", "expiry", "hosts"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> Any:
        """Take the lock on the task's host, unless the run has it on enough hosts.

        :param task_vars: the variables of the host
        """
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        if self._task.check_mode:
            return answer(enough=True, taken=True)
        run, wanted = Run(ansible.constants.DEFAULT_LOCAL_TMP), int(self._task.args["hosts"])
        host = str(self._task.delegate_to or task_vars["inventory_hostname"])
        if run.taken_over():
            return {"failed": True, "msg": lost(run.taken_over())}
        if len(run.hosts("kept")) >= wanted or host in run.hosts("asked"):
            kept = run.hosts("kept")
            return answer(enough=len(kept) >= wanted, taken=bool(kept))
        claim = run.claim(lambda: claimed(float(self._task.args["expiry"])))
        try:
            result = self.take(claim, task_vars)
        except AnsibleConnectionFailure as failure:
            result = {"msg": str(failure)}
        if "refused" in result:
            return {"failed": True, "msg": result["msg"]}
        run.note("asked", host)
        if not result.get("taken"):
            reason = str(result.get("module_stderr") or result.get("msg", "")).strip()
            return answer(enough=False, taken=False, reason=f"{host}: {reason}")
        run.note("kept", host)
        main = Process.of(os.getppid())
        detached(lambda: self.watch(run, host, main, claim, task_vars))
        return answer(enough=len(run.hosts("kept")) >= wanted, taken=True)

    def take(self, claim: Claim, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Ask the host for the lock."""
        arguments = {"path": self._task.args["path"], "claim": asdict(claim)}
        return dict(self._execute_module(module_args=arguments, task_vars=task_vars))

    def watch(
        self, run: Run, host: str, main: Process, claim: Claim, task_vars: dict[str, Any]
    ) -> None:
        """Say that the run lives until it has ended, then give the lock back."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        path = str(self._task.args["path"])

        def beat() -> None:
            if self.done(beat_command(path, claim.token)):
                return
            # The host was started anew, or the lock was forgotten and maybe taken by another run.
            result = self.take(claim, task_vars)
            if "refused" in result:
                run.note("lost", host, result["refused"])
            elif result.get("taken"):
                run.forget("lost", host)

        Heart(claim.expiry, main.lives, beat, time.monotonic, time.sleep).run()
        # Of a run that was killed something may still go on: its lock is forgotten, not given back.
        if run.ended_well():
            self.done(release_command(path, claim.token))

    def done(self, command: str) -> bool:
        """Run a command on the host."""
        return bool(self._low_level_execute_command(command)["rc"] == 0)


def answer(*, enough: bool, taken: bool, **more: str) -> dict[str, Any]:
    """Return the result for a host that does not refuse.

    :param enough: whether no more hosts need to be asked
    :param taken: whether the run has the lock on a host
    """
    return {"changed": False, "enough": enough, "taken": taken, **more}


def claimed(expiry: float) -> Claim:
    """Describe this run."""
    playbooks = [Path(str(name)).name for name in ansible.context.CLIARGS.get("args", ())]
    return Claim(
        token=secrets.token_hex(8),
        owner=f"{getpass.getuser()}@{socket.gethostname()}",
        process=os.getppid(),
        playbook=", ".join(playbooks) or "a playbook",
        since=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        expiry=expiry,
    )
