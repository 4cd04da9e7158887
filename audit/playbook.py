"""Runs a playbook that reads, and returns what Ansible prints of its hosts, for programs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent


class PlaybookError(Exception):
    """There are no answers; the message says why."""


def run_playbook(name: str, inventory: Path, variables: Mapping[str, Any], timeout: float) -> str:
    """Run a playbook of the project.

    :param name: its file in playbooks/
    :param inventory: the inventory's folder or file
    :param variables: given to it before all others
    :param timeout: seconds for all of it
    :return: what the callback ansible.posix.json prints
    :raises PlaybookError: where it prints nothing of hosts in that time
    """
    command = ["ansible-playbook", "-i", str(inventory), str(CHECKOUT / "playbooks" / name)]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.json",  # and no timings between
    }
    try:
        done = subprocess.run(
            [*command, "-e", json.dumps(variables)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PlaybookError(f"the hosts had not answered after {timeout:.0f} s") from None
    start = done.stdout.find("{")
    if start < 0:
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise PlaybookError(f"Ansible gave no answer: {said}")
    return done.stdout[start:]
