"""ufw on a host: its state, the wanted state, and the way from one to the other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Address, ip_network
from pathlib import Path
from typing import Any, Protocol

from ansible.module_utils.ssh_session import Session
from ansible.module_utils.ufw_rules import (
    CHAINS,
    Network,
    Rule,
    RuleFile,
    UfwError,
    as_loaded,
    may_connect,
    merge,
    parse_rule_file,
    user_chain,
)

DIRECTIONS = {"incoming": "INPUT", "outgoing": "OUTPUT", "routed": "FORWARD"}
POLICIES = {"ACCEPT": "allow", "DROP": "deny", "REJECT": "reject"}
KERNEL_POLICIES = {"allow": "ACCEPT", "deny": "DROP", "reject": "DROP"}
SETTING = r"(?mi)^\s*{name}\s*=\s*\"?(\w+)\"?\s*$"


class Run(Protocol):
    """Run a command, with text for its standard input: (exit status, output, errors)."""

    def __call__(self, command: list[str], data: str | None = None) -> tuple[int, str, str]:
        """Run it."""


@dataclass(frozen=True)
class Wanted:
    """What the playbook asks for."""

    rules: tuple[Rule, ...]
    enabled: bool
    policies: Mapping[str, str]
    ipv6: bool
    logging: str
    purge_foreign: bool
    ssh_port: int
    admin_networks: tuple[Network, ...]

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Wanted:
        """Build from the module's options.

        :param params: the options
        :raises UfwError: where a rule or a network cannot be right
        """
        rules = [Rule.from_params(item) for item in params["rules"]]
        ssh_port = int(params["ssh_port"])
        # First the rule that lets the administrators in, so that it is first in the kernel as well.
        rules.sort(
            key=lambda rule: rule.direction == "out" or str(ssh_port) not in rule.port.split(",")
        )
        return cls(
            rules=tuple(rules),
            enabled=params["enabled"],
            policies={direction: params[direction] for direction in DIRECTIONS},
            ipv6=params["ipv6"],
            logging=params["logging"],
            purge_foreign=params["purge_foreign"],
            ssh_port=ssh_port,
            admin_networks=tuple(_network(item) for item in params["admin_networks"]),
        )


@dataclass(frozen=True)
class State:
    """The firewall as it is, or as it is to be."""

    enabled: bool
    at_boot: bool
    policies: Mapping[str, str]
    ipv6: bool
    logging: str
    files: Mapping[int, RuleFile]
    # Whether the kernel has what the files say (nothing, where the firewall is off).
    loaded: bool

    def describe(self) -> str:
        """Return the state as text for a diff."""
        yes = {True: "yes", False: "no"}
        lines = [
            f"enabled: {yes[self.enabled]}",
            f"at boot: {yes[self.at_boot]}",
            *(f"default {name}: {policy}" for name, policy in self.policies.items()),
            f"ipv6: {yes[self.ipv6]}",
            f"logging: {self.logging}",
            f"kernel agrees: {yes[self.loaded]}",
            *(block.describe() for file in self.files.values() for block in file.blocks),
        ]
        return "\n".join(lines) + "\n"


def target_state(state: State | None, wanted: Wanted) -> State:
    """Return what the state is to become.

    :param state: the state as it is, None where ufw is not installed
    :param wanted: what is asked for
    """
    present = state.files if state else {version: RuleFile(version, "") for version in (4, 6)}
    files = {
        version: merge(file, wanted.rules, wanted.purge_foreign)
        for version, file in present.items()
    }
    return State(wanted.enabled, True, wanted.policies, wanted.ipv6, wanted.logging, files, True)


def refuse_lockout(
    target: State, wanted: Wanted, session: Session | None, answers: bool = True
) -> None:
    """Refuse a state in which no new ssh session could be opened.

    :param target: the state that would be set
    :param wanted: what is asked for
    :param session: the ssh connection that this run uses, if any
    :param answers: whether what is answered on a connection that was let in passes by itself
    :raises UfwError: with the reason
    """
    if not target.enabled:
        return
    if target.policies["outgoing"] != "allow" and not answers:
        raise UfwError(
            "the firewall was left as it is: /etc/ufw/before.rules lacks the distribution's rule "
            "that lets out what belongs to an open connection (ufw-before-output, "
            "RELATED,ESTABLISHED), so no ssh session would get an answer once firewall_outgoing is "
            "not allow; restore it"
        )
    if not wanted.admin_networks:
        raise UfwError(
            "firewall_admin_networks is empty: nobody could open an ssh session any more; "
            "name the networks that administrators come from"
        )
    for network in wanted.admin_networks:
        _demand(target, network, wanted.ssh_port, f"{network} of firewall_admin_networks")
    if session is not None:
        who = f"{session.client}, from where this run is connected,"
        _demand(target, _network(session.client), session.port, who)


def _demand(target: State, source: Network, port: int, who: str) -> None:
    verdict = may_connect(target.files[source.version], target.policies["incoming"], source, port)
    if not verdict.accepted:
        raise UfwError(
            f"the firewall was left as it is: {who} could open no new ssh session on port {port}, "
            f"{verdict.reason}; add it to the rule that allows ssh"
        )


class Ufw:
    """Reads and changes ufw on this host."""

    def __init__(self, run: Run, root: Path = Path("/")) -> None:
        self._run = run
        self._root = root
        self._rule_paths = {4: root / "etc/ufw/user.rules", 6: root / "etc/ufw/user6.rules"}

    def is_installed(self) -> bool:
        """Return whether there is a ufw to ask."""
        return (self._root / "etc/ufw/ufw.conf").exists() and any(
            (self._root / place / "ufw").exists() for place in ("usr/sbin", "sbin")
        )

    def answers_pass(self) -> bool:
        """Return whether what belongs to an open connection is let out by ufw's own rules."""
        path = self._root / "etc/ufw/before.rules"
        lines = path.read_text().splitlines() if path.exists() else []
        return any(
            line.startswith("-A ufw-before-output ") and "ESTABLISHED" in line and "ACCEPT" in line
            for line in lines
        )

    def read(self) -> State:
        """Return the state as it is."""
        defaults = (self._root / "etc/default/ufw").read_text()
        config = (self._root / "etc/ufw/ufw.conf").read_text()
        policies = {
            name: POLICIES.get(_setting(defaults, f"DEFAULT_{chain}_POLICY").upper(), "unknown")
            for name, chain in DIRECTIONS.items()
        }
        state = State(
            enabled=_setting(config, "ENABLED").lower() == "yes",
            at_boot=self._run(["systemctl", "is-enabled", "ufw.service"])[1].strip() == "enabled",
            policies=policies,
            ipv6=_setting(defaults, "IPV6").lower() == "yes",
            logging=_setting(config, "LOGLEVEL").lower(),
            files={
                version: parse_rule_file(path.read_text(), version, str(path))
                for version, path in self._rule_paths.items()
            },
            loaded=False,
        )
        return replace(state, loaded=self._kernel_agrees(state))

    def apply(self, wanted: Wanted) -> None:
        """Bring the firewall to the wanted state.

        The order makes every moment safe to be interrupted in: first the rules, with the one for
        ssh among them, then the policies, last the switch.

        :param wanted: the state
        :raises UfwError: where ufw or the kernel refuses
        """
        state = self.read()
        if state.logging != wanted.logging or not all(f.is_complete for f in state.files.values()):
            self._command("ufw", "logging", wanted.logging)
            state = self.read()
        target = target_state(state, wanted)
        # What becomes open does so before its exceptions go, what is closed after they are there.
        self._set_policies(state, target, opening=True)
        self._write_rules(state, target)
        if state.ipv6 != target.ipv6:
            self._write_ipv6(target.ipv6)
        self._set_policies(state, target, opening=False)
        if not state.at_boot:
            self._command("systemctl", "enable", "ufw.service")
        self._switch(target)
        found = self.read()
        if found != target:
            raise UfwError(
                "ufw did not take the new state. Wanted:\n"
                f"{target.describe()}Found:\n{found.describe()}"
            )

    def _set_policies(self, state: State, target: State, opening: bool) -> None:
        for name in DIRECTIONS:
            policy = target.policies[name]
            if state.policies[name] != policy and (policy == "allow") is opening:
                self._command("ufw", "default", policy, name)

    def _switch(self, target: State) -> None:
        state = self.read()
        if state.enabled != target.enabled:
            self._command("ufw", "--force", "enable" if target.enabled else "disable")
        elif not state.loaded:
            self._command("ufw", "reload" if target.enabled else "disable")

    def _write_rules(self, state: State, target: State) -> None:
        active = state.enabled and self._chains(4) is not None
        for version, file in target.files.items():
            if file == state.files[version] and state.loaded:
                continue
            tables = "iptables-restore" if version == 4 else "ip6tables-restore"
            # The kernel is asked first: a file that it refuses never replaces one that it took.
            if self._chains(version, "INPUT") is not None:
                self._command(tables, "--wait", "5", "--noflush", "--test", data=file.render())
            with self._lock():
                _replace_text(self._rule_paths[version], file.render())
            # One transaction: the file declares its chains, which empties and refills them at once.
            if active and self._chains(version) is not None:
                self._command(tables, "--wait", "5", "--noflush", data=file.render())

    def _write_ipv6(self, ipv6: bool) -> None:
        path = self._root / "etc/default/ufw"
        line = f"IPV6={'yes' if ipv6 else 'no'}"
        text, found = re.subn(r"(?m)^\s*IPV6\s*=.*$", line, path.read_text())
        _replace_text(path, text if found else f"{text}{line}\n")

    def _kernel_agrees(self, state: State) -> bool:
        chains = self._chains(4)
        if not state.enabled:
            return chains is None
        if chains is None:
            return False
        for version, file in state.files.items():
            if version == 6 and (not state.ipv6 or self._chains(6, "INPUT") is None):
                continue
            written = [line for block in file.blocks for line in block.lines]
            for ending, _ in CHAINS.values():
                chain = user_chain(version, ending)
                loaded = self._chains(version, chain) or []
                if as_loaded(loaded, chain) != as_loaded(written, chain):
                    return False
            for name, chain in DIRECTIONS.items():
                policy = KERNEL_POLICIES.get(state.policies[name])
                if f"-P {chain} {policy}" not in (self._chains(version, chain) or []):
                    return False
        return True

    def _chains(self, version: int, chain: str | None = None) -> list[str] | None:
        """Return what the kernel has in a chain, None where there is no such chain."""
        chain = chain or user_chain(version, "user-input")
        tables = "iptables" if version == 4 else "ip6tables"
        code, out, _ = self._run([tables, "--wait", "5", "-S", chain])
        return out.splitlines() if code == 0 else None

    def _command(self, *command: str, data: str | None = None) -> None:
        code, out, err = self._run(list(command), data=data)
        if code != 0:
            said = err.strip() or out.strip()
            raise UfwError(f"'{' '.join(command)}' failed with exit status {code}: {said}")

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the lock that ufw itself takes, so that no one's ufw command writes meanwhile."""
        with (self._root / "run/ufw.lock").open("w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            yield


def _replace_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.touch(mode=0o600)
    status = path.stat()
    temporary.write_text(text)
    os.chown(temporary, status.st_uid, status.st_gid)
    temporary.chmod(status.st_mode & 0o7777)
    temporary.replace(path)


def _setting(text: str, name: str) -> str:
    found: Sequence[str] = re.findall(SETTING.format(name=name), text)
    return found[-1] if found else ""


def _network(text: str) -> Network:
    try:
        network = ip_network(text.partition("%")[0])
    except ValueError as error:
        raise UfwError(f"firewall_admin_networks: {text!r}: {error}") from None
    # An IPv4 client of a socket that serves both versions.
    address = network.network_address
    if network.num_addresses == 1 and isinstance(address, IPv6Address) and address.ipv4_mapped:
        return IPv4Network(address.ipv4_mapped)
    return network
