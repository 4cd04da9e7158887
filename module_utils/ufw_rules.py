"""The rule files of ufw: read, compare with what is wanted, and write.

ufw keeps its rules in ``/etc/ufw/user.rules`` (IPv4) and ``user6.rules`` (IPv6), each rule as a
comment line (the tuple, which ufw itself reads) and the iptables lines that follow from it (which
the kernel gets). Everything here works on the text of these files and on the output of
``iptables -S``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

Network = IPv4Network | IPv6Network

# What the comment of a rule begins with, by which a run recognises the rules of an earlier one.
TAG = "research:"
START = "### RULES ###"
END = "### END RULES ###"
TUPLE = "### tuple ### "
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
# iptables prints protocols that /etc/protocols may not name by number.
PROTOCOL_NUMBERS = {"vrrp": "112"}
PROTOCOLS = ("tcp", "udp", "vrrp")
# Direction of a rule -> the ending of its chain, and the option of iptables for the peer.
CHAINS = {"in": ("user-input", "-s"), "out": ("user-output", "-d")}
PORT = re.compile(r"\d{1,5}(:\d{1,5})?")


class UfwError(Exception):
    """The firewall cannot be brought to the wanted state; the message says why."""


@dataclass(frozen=True)
class Rule:
    """Allow ``proto`` to ``port``: of this host from a peer, or of a peer from this host."""

    name: str
    proto: str
    port: str
    peer: str
    direction: str = "in"

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Rule:
        """Build from one item of the module's option ``rules``.

        :param params: name, proto, port, and source or destination
        :raises UfwError: where a value cannot be right
        """
        name, proto = str(params["name"]), str(params["proto"])
        port = str(params.get("port") or "any")
        if proto not in PROTOCOLS:
            raise UfwError(f"rule {name}: proto {proto!r} is none of {', '.join(PROTOCOLS)}")
        if (port == "any") != (proto == "vrrp"):
            need = "vrrp has no ports" if proto == "vrrp" else f"{proto} needs a port"
            raise UfwError(f"rule {name}: {need}")
        for part in port.split(",") if port != "any" else []:
            if not PORT.fullmatch(part) or not all(0 < int(n) < 65536 for n in part.split(":")):
                raise UfwError(f"rule {name}: {part!r} is no port, write 443 or 6000:6010")
        direction = "out" if params.get("destination") else "in"
        peer = params["destination"] if direction == "out" else params["source"]
        return cls(name, proto, port, _normal_peer(name, peer), direction)

    def versions(self) -> tuple[int, ...]:
        """Return the IP versions that the rule is about."""
        return (4, 6) if self.peer == "any" else (ip_network(self.peer).version,)


@dataclass(frozen=True)
class Block:
    """One rule as it stands in a rule file: the tuple, and its lines for iptables."""

    text: str
    lines: tuple[str, ...]

    @property
    def key(self) -> str:
        """The tuple without its comment: for ufw, rules with one key are one rule."""
        return re.sub(r" comment=\S*$", "", self.text)

    @property
    def comment(self) -> str:
        """The comment in clear."""
        found = re.search(r" comment=([0-9a-f]*)$", self.text)
        return bytes.fromhex(found.group(1)).decode(errors="replace") if found else ""

    @property
    def is_ours(self) -> bool:
        """Whether a run of this project made it."""
        return self.comment.startswith(TAG)

    def describe(self) -> str:
        """Return the rule for a diff."""
        return f"{self.key}  # {self.comment}" if self.comment else self.key


@dataclass(frozen=True)
class RuleFile:
    """A rule file: what stands around the rules, kept as it is, and the rules."""

    version: int
    head: str = field(compare=False)
    blocks: tuple[Block, ...] = field(default=())
    tail: str = field(default="", compare=False)

    @property
    def is_complete(self) -> bool:
        """False for the file of a fresh package, which ufw completes at its first write."""
        return bool(self.tail)

    def render(self) -> str:
        """Return the text of the file."""
        blocks = "".join("\n".join((TUPLE + b.text, *b.lines)) + "\n\n" for b in self.blocks)
        return f"{self.head}\n{blocks}{self.tail}"


def parse_rule_file(text: str, version: int, path: str) -> RuleFile:
    """Read a rule file.

    :param text: its content
    :param version: 4 or 6
    :param path: its path, for messages
    :raises UfwError: where the file is not one that this code understands
    """
    head, start, rest = text.partition(START + "\n")
    if not start:
        raise UfwError(f"{path} has no line {START!r}: repair it with 'ufw reset'")
    body, end, tail = rest.partition(END + "\n")
    if not end:
        if TUPLE in rest:
            raise UfwError(f"{path} has no line {END!r}: repair it with 'ufw reset'")
        return RuleFile(version, text)
    return RuleFile(version, head + start, tuple(_blocks(body, path)), end + tail)


def _blocks(body: str, path: str) -> Iterable[Block]:
    current: list[str] = []
    for line in [*body.splitlines(), TUPLE]:
        if line.startswith(TUPLE):
            if current:
                yield Block(current[0].removeprefix(TUPLE), tuple(current[1:]))
            current = [line]
        elif line.strip():
            if not current or not line.startswith("-A "):
                raise UfwError(f"{path}: do not know what to make of the line {line!r}")
            current.append(line)


def rule_block(rule: Rule, version: int) -> Block:
    """Return a rule in ufw's own notation.

    :param rule: the rule
    :param version: 4 or 6, one that the rule is about
    """
    anywhere = ANYWHERE[version]
    peer = anywhere if rule.peer == "any" else rule.peer
    ending, option = CHAINS[rule.direction]
    parts = [f"-A {user_chain(version, ending)} -p {rule.proto}"]
    where = [] if peer == anywhere else [f"{option} {peer}"]
    if rule.port == "any":
        parts += where
    elif "," in rule.port or ":" in rule.port:
        parts += [f"-m multiport --dports {rule.port}", *where]
    elif rule.direction == "in":
        parts += [f"--dport {rule.port}", *where]
    else:  # ufw names the destination before its one port
        parts += [*where, f"--dport {rule.port}"]
    parts.append("-j ACCEPT")
    comment = f"{TAG}{rule.name}".encode().hex()
    ends = (anywhere, peer) if rule.direction == "in" else (peer, anywhere)
    key = f"allow {rule.proto} {rule.port} {ends[0]} any {ends[1]} {rule.direction}"
    return Block(f"{key} comment={comment}", (" ".join(parts),))


def user_chain(version: int, ending: str) -> str:
    """Return the name of one of ufw's chains.

    :param version: 4 or 6
    :param ending: what it ends with, for instance user-input
    """
    return f"{'ufw' if version == 4 else 'ufw6'}-{ending}"


def merge(file: RuleFile, rules: Sequence[Rule], purge_foreign: bool) -> RuleFile:
    """Return the file with exactly the wanted rules of ours in it.

    Rules that others made keep their place, unless they are to be purged or say the very same as
    one of ours, which then takes over. Ours stand together where the first of them stood, else at
    the end.

    :param file: the file as it is
    :param rules: the wanted rules
    :param purge_foreign: whether rules that others made go as well
    """
    ours: dict[str, Block] = {}
    for rule in rules:
        if file.version in rule.versions():
            block = rule_block(rule, file.version)
            ours.setdefault(block.key, block)
    blocks: list[Block] = []
    place = None
    for block in file.blocks:
        if block.is_ours and place is None:
            place = len(blocks)
        if not (block.is_ours or purge_foreign or block.key in ours):
            blocks.append(block)
    place = len(blocks) if place is None else place
    return replace(file, blocks=(*blocks[:place], *ours.values(), *blocks[place:]))


@dataclass(frozen=True)
class Verdict:
    """Whether new connections are let in, and by or despite which rule."""

    accepted: bool
    reason: str


def may_connect(file: RuleFile, incoming: str, source: Network, port: int) -> Verdict:
    """Say whether a new TCP connection from all of a network would be accepted.

    A rule about one interface or destination address never counts as an acceptance, since it may
    not be the one that the connection takes, but does count as a refusal.

    :param file: the rules in their order
    :param incoming: default policy: allow, deny or reject
    :param source: the network
    :param port: the port on this host
    """
    for block in file.blocks:
        fields = block.key.split()
        action, proto, ports, target, _, origin = fields[:6]
        direction = fields[-1]
        if action.startswith("route:") or direction.startswith("out"):
            continue
        if proto not in ("tcp", "any") or not _holds(ports, port) or not _covers(origin, source):
            continue
        if not action.startswith(("allow", "limit")):
            return Verdict(False, f"rule '{block.describe()}' refuses it")
        if direction == "in" and target == ANYWHERE[file.version]:
            return Verdict(True, f"rule '{block.describe()}'")
    return Verdict(incoming == "allow", f"no rule lets it in and the default is {incoming}")


def _covers(network: str, inner: Network) -> bool:
    outer = ip_network(network)
    if isinstance(outer, IPv4Network):
        return isinstance(inner, IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and inner.subnet_of(outer)


def _holds(ports: str, port: int) -> bool:
    if ports == "any":
        return True
    for part in ports.split(","):
        low, _, high = part.partition(":")
        if int(low) <= port <= int(high or low):
            return True
    return False


def as_loaded(lines: Iterable[str], chain: str) -> list[str]:
    """Return the rules of a chain in a form in which file and kernel can be compared.

    iptables prints what it was given in another order and notation. Rules that are more than
    protocol, ports and peer are replaced by a placeholder: that they are there is compared, not
    what they say.

    :param lines: lines of a rule file, or the output of ``iptables -S``
    :param chain: name of the chain
    """
    return [_canonical(line) for line in lines if line.startswith(f"-A {chain} ")]


def _canonical(line: str) -> str:
    words = line.split()[2:]
    values: dict[str, str] = {}
    for option, value in zip(words[::2], words[1::2], strict=False):
        if option == "-m" and value in ("tcp", "udp", "multiport"):
            continue
        values[option] = value
    known = {"-p", "-s", "-d", "-j", "--dport", "--dports"}
    if set(values) - known or {"-s", "-d"} <= set(values):
        return "other"
    proto = values.get("-p", "all")
    ports = values.get("--dport") or values.get("--dports") or "any"
    peer = values.get("-s") or values.get("-d") or ""
    peer = str(ip_network(peer)) if peer else "anywhere"
    target = values.get("-j", "")
    return f"{PROTOCOL_NUMBERS.get(proto, proto)} {ports} {peer} {target}"


def _normal_peer(name: str, peer: object) -> str:
    """Return an address or network the way ufw writes it: a single address without its length."""
    text = str(peer)
    if text == "any":
        return text
    try:
        network = ip_network(text)
    except ValueError as error:
        raise UfwError(f"rule {name}: address {text!r}: {error}") from None
    if network.prefixlen == 0:
        return "any"
    return str(network.network_address if network.num_addresses == 1 else network)
