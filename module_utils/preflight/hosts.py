"""What the hosts say of themselves against what the inventory asks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.preflight import authority
from ansible.module_utils.preflight.model import Host, Inventory, Mistake
from ansible.module_utils.preflight.network import listening
from ansible.module_utils.preflight.search_tier import flat, number
from ansible.module_utils.preflight.sizes import parse_size, size

OLDEST_PYTHON = (3, 11)
ARCHITECTURES = ("x86_64", "aarch64")
MAP_COUNT = 262144
MIB = 2**20
FULL = 64 * MIB
# sshd holds its port itself, or systemd does on its behalf.
SSH = ("sshd", "systemd")


@dataclass(frozen=True)
class Answer:
    """What asking one host brought."""

    # As module_utils/preflight/gather.py returns it; empty where the host did not answer.
    facts: Mapping[str, Any] = field(default_factory=dict)
    # Why there are no facts ("unreachable", "python", "sudo" or "failed"), and what was said.
    problem: str = ""
    reason: str = ""
    # The controller's clock before and after.
    asked: float = 0.0
    answered: float = 0.0


@dataclass(frozen=True)
class Demands:
    """What the role preflight is told to insist on."""

    clock_skew: float = 2.0
    disk_free: int = 2048 * MIB
    systems: tuple[str, ...] = ("debian 12", "debian 13", "ubuntu 24.04")


@dataclass(frozen=True)
class Site:
    """The inventory, and the answers of those of its hosts that this run is about."""

    inventory: Inventory
    answers: Mapping[str, Answer]
    demands: Demands = Demands()

    def told(self) -> Iterator[tuple[Host, Mapping[str, Any]]]:
        """Return each host that answered, with its facts."""
        for name, answer in self.answers.items():
            if answer.facts:
                yield self.inventory.hosts[name], answer.facts


def reached(site: Site) -> Iterator[Mistake]:
    """Each host answers, and lets the administrator become root."""
    for name, answer in site.answers.items():
        if answer.problem == "unreachable":
            remedy = f"start it, or leave it out of this run with --limit 'all:!{name}'"
            yield Mistake(name, "connection", "", f"does not work ({answer.reason})", remedy)
        elif answer.problem == "python":
            interpreter = site.inventory.hosts[name].get("ansible_python_interpreter", "python3")
            problem = f"cannot be run ({answer.reason})"
            remedy = "install python3, or write where it is"
            yield Mistake(name, "ansible_python_interpreter", interpreter, problem, remedy)
        elif answer.problem == "sudo":
            user = site.inventory.hosts[name].get("ansible_user", "")
            remedy = "let the user become root by sudo without a password, or give the password"
            problem = f"cannot become root ({answer.reason})"
            yield Mistake(name, "ansible_user", str(user), problem, remedy)
        elif answer.problem:
            remedy = "see what ansible -m ping says of the host"
            yield Mistake(name, "module preflight_facts", "", f"fails ({answer.reason})", remedy)
    for host, facts in site.told():
        if not facts["root"]:
            remedy = "let ansible_user become root: set ansible_become or its password"
            yield Mistake(host.name, "ansible_become", "", "does not lead to root", remedy)


def systems(site: Site) -> Iterator[Mistake]:
    """The host runs what the roles are written and tested for."""
    for host, facts in site.told():
        system = facts["system"]
        found = f"{system.get('id', '')} {system.get('version_id', '')}".strip()
        if found not in site.demands.systems:
            known = ", ".join(site.demands.systems)
            yield Mistake(host.name, "system", found, "is not supported", f"install one of {known}")
        if facts["architecture"] not in ARCHITECTURES:
            remedy = f"use a machine of {' or '.join(ARCHITECTURES)}"
            yield Mistake(
                host.name, "architecture", facts["architecture"], "is not supported", remedy
            )
        if facts["init"] != "systemd":
            remedy = "boot it with systemd, which runs every service"
            yield Mistake(host.name, "process 1", facts["init"], "is not systemd", remedy)
        if tuple(facts["python"]) < OLDEST_PYTHON:
            found = ".".join(map(str, facts["python"]))
            remedy = "point ansible_python_interpreter to Python 3.11 or newer"
            yield Mistake(host.name, "Python", found, "is too old", remedy)


def own_address(site: Site) -> Iterator[Mistake]:
    """The address that peers are told is one of the host's."""
    for host, facts in site.told():
        if host.address not in facts["addresses"]:
            others = [each for each in facts["addresses"] if not each.startswith("127.")]
            yield Mistake(
                host.name,
                "base_address",
                host.address,
                "is on no interface of the host",
                f"write one of {', '.join(others)}",
            )


def clocks(site: Site) -> Iterator[Mistake]:
    """Clocks agree: certificates, elections and logs depend on it."""
    limit = site.demands.clock_skew
    for host, facts in site.told():
        answer = site.answers[host.name]
        ahead = facts["time"] - answer.answered
        behind = answer.asked - facts["time"]
        off = max(ahead, behind)
        if off > limit:
            way = "ahead of" if ahead > 0 else "behind"
            yield Mistake(
                host.name,
                "clock",
                f"{off:.0f} s {way} this machine",
                f"is off by more than preflight_clock_skew ({limit:g} s)",
                "set both clocks, such as with timedatectl set-ntp true",
            )


def memory(site: Site) -> Iterator[Mistake]:
    """Heap and limits fit the memory that is there."""
    for host, facts in site.told():
        total = facts["memory"]
        heap = parse_size(host.get("opensearch_heap", ""))
        if "opensearch" in host.groups and heap and heap * 2 > total:
            yield Mistake(
                host.name,
                "opensearch_heap",
                str(host.get("opensearch_heap")),
                f"is more than half of the host's memory ({size(total)})",
                f"write {size(total / 2)} or less, or leave it empty",
            )
        for role in site.inventory.roles.values():
            if not role.runs_on(host):
                continue
            for name in role.options:
                limit = host.get(name) if name.endswith(("_memory_limit", "_memory_max")) else None
                wanted = parse_size(limit) if isinstance(limit, str) and limit else None
                if wanted and wanted > total:
                    problem = f"is more than the host has ({size(total)})"
                    remedy = f"write less than {size(total)}"
                    yield Mistake(host.name, name, str(limit), problem, remedy)


def search_pools(site: Site) -> Iterator[Mistake]:
    """OpenSearch refuses a write pool of more threads than processors and one."""
    for host, facts in site.told():
        if "opensearch" not in host.groups:
            continue
        for key, value in flat(host.get("opensearch_settings", {})):
            if key == "thread_pool.write.size" and number(value) > facts["cpus"] + 1:
                yield Mistake(
                    host.name,
                    f"opensearch_settings.{key}",
                    str(value),
                    f"is more than a node with {facts['cpus']} processors accepts",
                    f"write {facts['cpus'] + 1} or less, or remove it",
                )


def map_counts(site: Site) -> Iterator[Mistake]:
    """OpenSearch maps its files into memory and does not start with few maps."""
    for host, facts in site.told():
        low = facts["max_map_count"] < MAP_COUNT and not facts["sysctl_writable"]
        if "opensearch" in host.groups and low:
            yield Mistake(
                host.name,
                "vm.max_map_count",
                str(facts["max_map_count"]),
                "is too low for OpenSearch, and this host may not change it",
                f"set it to {MAP_COUNT} on the machine that runs the host",
            )


def disks(site: Site) -> Iterator[Mistake]:
    """There is room where services put their files, on a disk that may be written."""
    for host, facts in site.told():
        for path, disk in facts["paths"].items():
            if "ro" in disk["options"]:
                remedy = f"mount {disk['mount']} read-write, or choose another path"
                yield Mistake(host.name, path, "", "is on a read-only file system", remedy)
            # Once the path exists, its own service's watermarks watch over the room.
            wanted = FULL if disk["exists"] else site.demands.disk_free
            if disk["free"] < wanted:
                yield Mistake(
                    host.name,
                    path,
                    f"{disk['free'] // MIB} MB free",
                    "leaves no room to write a configuration"
                    if disk["exists"]
                    else f"is less than preflight_disk_free ({wanted // MIB} MB)",
                    f"make room on {disk['mount']}, or choose another path",
                )
            if "noexec" in disk["options"] and path.startswith("/opt"):
                remedy = f"mount {disk['mount']} with exec"
                yield Mistake(host.name, path, "", "is on a file system without exec", remedy)


def taken_ports(site: Site) -> Iterator[Mistake]:
    """Nobody else listens on a port that one of our services needs."""
    for host, facts in site.told():
        for port in listening(site.inventory, host):
            for listener in facts["listeners"]:
                if listener["port"] == port.number and stranger(host, port.role, listener, facts):
                    owner = listener["unit"] or listener["process"] or "an unknown process"
                    yield Mistake(
                        host.name,
                        port.variable,
                        str(port.number),
                        f"is taken by {owner} ({listener['address']})",
                        f"stop {owner} on the host, or write another port",
                    )
                    break


def stranger(host: Host, role: str, listener: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Tell whether a port is held by something else than the role's own service."""
    own = set(host.units.get(role, ()))
    if listener["unit"] in own or listener["process"] in SSH:
        return False
    # A container does not see the owner of another user's socket: then its service vouches for it.
    hidden = not listener["process"]
    return not (hidden and own & set(facts["units"]))


def free_addresses(site: Site) -> Iterator[Mistake]:
    """A virtual address is held by an edge host or by nobody."""
    edges = site.inventory.group("edge")
    if any(not site.answers.get(edge.name, Answer()).facts for edge in edges):
        return  # one that was not asked may hold it
    ours = {
        address for _, facts in site.told() for address in facts["addresses"]
    }  # fmt: skip
    for host, facts in site.told():
        for address, hardware in facts["answered"].items():
            if hardware and address not in ours:
                yield Mistake(
                    host.name,
                    "edge_vip_address",
                    address,
                    f"is answered by a stranger ({hardware})",
                    "write an address of the network that nobody has",
                )


def authorities(site: Site) -> Iterator[Mistake]:
    """A run does not replace the authority that hosts carry by another one.

    One that is rotated, as the role pki says, is among those that the controller trusts.
    """
    for host, facts in site.told():
        here = authority.folder(host)
        theirs = authority.carried(facts.get("authorities", "")) - authority.provided(host)
        ours = authority.signing(host)
        if here is None or not theirs or theirs & (ours | authority.trusted(host)):
            continue
        bundle = authority_path(host)
        if ours:
            problem = f"is another authority than the one that {bundle} on the host is from"
            remedy = (
                "copy the folder from the controller that set the host up; where the change is"
                f" meant, put the host's {bundle} into {here}/trusted/ for it, or remove it there"
            )
            yield Mistake(host.name, "pki_ca_dir", str(here), problem, remedy)
        else:
            problem = f"holds no authority, and {bundle} on the host is from one"
            remedy = (
                "copy the whole folder from the controller that set the host up, or from its"
                f" backup; for a new authority remove {bundle} on the host"
            )
            yield Mistake(host.name, "pki_ca_dir", str(here), problem, remedy)


def authority_path(host: Host) -> str:
    """Return where a host keeps the authorities that it trusts."""
    return f"{host.get('pki_dir', '/etc/research-pki')}/ca.pem"


HOST_CHECKS: tuple[Callable[[Site], Iterable[Mistake]], ...] = (
    reached,
    systems,
    own_address,
    clocks,
    memory,
    search_pools,
    map_counts,
    disks,
    taken_ports,
    free_addresses,
    authorities,
)


def host_mistakes(site: Site) -> list[Mistake]:
    """Return every mistake of the hosts."""
    return [mistake for check in HOST_CHECKS for mistake in check(site)]


def service_paths(inventory: Inventory, host: Host) -> list[str]:
    """Return where a host's services will put their files."""
    found = []
    for role in inventory.roles.values():
        if role.runs_on(host):
            for name in role.options:
                value = host.get(name) if name.endswith(("_data_dir", "_log_dir", "_root")) else ""
                if isinstance(value, str) and value.startswith("/"):
                    found.append(value)
    return list(dict.fromkeys(["/", "/opt", *found]))


def service_addresses(host: Host) -> list[str]:
    """Return the addresses that a host will take beside its own."""
    address = str(host.get("edge_vip_address", "")) if "edge" in host.groups else ""
    return [address.partition("/")[0]] if address else []
