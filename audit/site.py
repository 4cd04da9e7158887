"""Asks the hosts of an inventory, by playbooks/audit.yml, and reads what they answered."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from audit.playbook import PlaybookError, run_playbook

PLAN = "Say what the inventory asks for"
LOOK = "Look at the host"
PORTS = "Try every port that the inventory names or that a host listens on"
LYNIS = "Let lynis look at the host"


class AuditError(Exception):
    """The audit cannot be made; the message says what to put right."""


@dataclass(frozen=True)
class Rule:
    """Who may connect to a TCP port."""

    name: str
    port: int
    source: str

    def admits(self, address: str) -> bool:
        """Say whether an address may connect."""
        return self.source == "any" or ip_address(address) in ip_network(self.source)


@dataclass(frozen=True)
class Host:
    """A host as the inventory has it, and its answers; a missing one is None."""

    name: str
    address: str
    rules: tuple[Rule, ...]
    ssh: Mapping[str, Any]
    seen: Mapping[str, Any] | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
    reached: Mapping[str, Mapping[str, str]] | None = None
    lynis: str | None = None
    failures: Mapping[str, str] = field(default_factory=dict)

    def why_not(self, task: str, part: str = "") -> str:
        """Return why a task, or a part of it, brought nothing."""
        if part in self.problems:
            return self.problems[part]
        for failed, why in self.failures.items():
            if failed == task or "cannot be reached" in why:
                return why
        return "it was not asked"

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that the inventory opens, in order."""
        return tuple(sorted({rule.port for rule in self.rules}))

    def ssh_command(self, *command: str) -> list[str]:
        """Return the command line that runs a command on the host, as Ansible would reach it."""
        options = ["-p", str(self.ssh["port"]), "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
        options += ["-o", "LogLevel=ERROR", *shlex.split(self.ssh["arguments"])]
        if self.ssh["key"]:
            options += ["-i", self.ssh["key"]]
        user = [self.ssh["user"] + "@"] if self.ssh["user"] else [""]
        return ["ssh", *options, f"{user[0]}{self.ssh['host']}", "--", *command]


def tcp_rules(resolved: list[dict[str, str]]) -> tuple[Rule, ...]:
    """Return the rules about single TCP ports, from the filter firewall_rules."""
    return tuple(
        Rule(rule["name"], int(port), rule["source"])
        for rule in resolved
        if rule["proto"] == "tcp"
        for port in rule["port"].split(",")
        if port.isdigit()
    )


def failure(result: Mapping[str, Any]) -> str:
    """Return why a task failed on a host, in one line; nothing where it did not."""
    said = str(result.get("stderr") or result.get("msg") or "")
    line = next((line for line in reversed(said.splitlines()) if line.strip()), "")
    if result.get("unreachable"):
        return f"the host cannot be reached: {line}"
    return line or "it failed" if result.get("failed") else ""


def parsed(printed: str) -> tuple[Host, ...]:
    """Return the hosts and their answers.

    :param printed: what the callback ansible.posix.json prints
    :raises AuditError: where Ansible did not get as far as the hosts
    """
    try:
        plays = json.loads(printed)["plays"]
        results = {task["task"]["name"]: task["hosts"] for play in plays for task in play["tasks"]}
        plans = results[PLAN]
    except (ValueError, KeyError) as error:
        raise AuditError(f"Ansible gave no answer: {printed.strip()[-1000:]}") from error
    return tuple(_host(name, plan, results) for name, plan in plans.items())


def _host(name: str, plan: Mapping[str, Any], results: Mapping[str, Any]) -> Host:
    if failure(plan):
        raise AuditError(f"the inventory does not say what {name} needs: {failure(plan)}")
    said = plan["msg"]
    answers = {task: results.get(task, {}).get(name, {}) for task in (LOOK, PORTS, LYNIS)}
    failures = {task: why for task, answer in answers.items() if (why := failure(answer))}
    # Line by line: what ssh brings over a terminal has a carriage return at each end.
    lynis = "\n".join(answers[LYNIS].get("stdout_lines", []))
    return Host(
        name=name,
        address=said["address"],
        rules=tcp_rules(said["rules"]),
        ssh=said["ssh"],
        seen=answers[LOOK].get("seen"),
        problems=answers[LOOK].get("problems", {}),
        reached=answers[PORTS].get("reached"),
        lynis=lynis if lynis and LYNIS not in failures else None,
        failures=failures,
    )


def ask(inventory: Path, lynis_seconds: int, timeout: float) -> tuple[Host, ...]:
    """Ask every host.

    :param inventory: its folder or file
    :param lynis_seconds: what lynis may take on a host; 0 leaves it out
    :param timeout: seconds for all of it
    :raises AuditError: where there are no answers
    """
    variables = {"audit_lynis_seconds": lynis_seconds}
    try:
        return parsed(run_playbook("audit.yml", inventory, variables, timeout))
    except PlaybookError as error:
        raise AuditError(str(error)) from None
