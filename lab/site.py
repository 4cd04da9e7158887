"""The lab as its inventory describes it, for the programs that scripts/lab runs."""

from __future__ import annotations

import argparse
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Host:
    """One host of the inventory."""

    name: str
    address: str
    groups: frozenset[str]


@dataclass(frozen=True)
class Site:
    """What the inventory of a profile says."""

    inventory: Path
    hosts: tuple[Host, ...]
    service_name: str
    vip: str

    @property
    def authority(self) -> Path:
        """The certificate of the CA that the readers' page is signed with."""
        return self.inventory / "pki" / "ca.pem"

    def group(self, name: str) -> list[Host]:
        """The hosts of a group, in the inventory's order."""
        return [host for host in self.hosts if name in host.groups]

    def ssh(self, host: Host, *command: str) -> list[str]:
        """The command line that runs a command on a host."""
        keys = self.inventory / ".ssh"
        options = [f"UserKnownHostsFile={keys / 'known_hosts'}", "StrictHostKeyChecking=yes"]
        options += ["BatchMode=yes", "ConnectTimeout=5", "LogLevel=ERROR"]
        flags = [part for option in options for part in ("-o", option)]
        target = f"deploy@{host.address}"
        return ["ssh", "-i", str(keys / "id_ed25519"), *flags, target, "--", *command]


def parsed(listing: str, inventory: Path) -> Site:
    """The site in the output of ansible-inventory --list."""
    groups = json.loads(listing)
    variables = groups["_meta"]["hostvars"]

    def members(name: str) -> set[str]:
        group = groups.get(name, {})
        below = (members(child) for child in group.get("children", []))
        return set(group.get("hosts", [])).union(*below)

    within = {name: members(name) for name in groups if name not in ("_meta", "all")}
    hosts = tuple(
        Host(
            name, own["ansible_host"], frozenset(g for g, names in within.items() if name in names)
        )
        for name, own in variables.items()
    )
    some = next(iter(variables.values()))
    return Site(inventory, hosts, some["edge_service_name"], some["edge_vip_address"].split("/")[0])


def read(profile: str) -> Site:
    """The site of a profile."""
    inventory = CHECKOUT / "inventories" / profile
    command = ["ansible-inventory", "-i", str(inventory), "--list"]
    return parsed(
        subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode(), inventory
    )


def options(description: str | None) -> argparse.ArgumentParser:
    """The arguments that all of these programs take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--profile", default="lab")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/research-lab"))
    return parser
