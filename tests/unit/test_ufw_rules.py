"""ufw's rule files: read, merged with what is wanted, compared with the kernel."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from ansible.module_utils.ufw_rules import (
    Rule,
    RuleFile,
    UfwError,
    as_loaded,
    may_connect,
    merge,
    parse_rule_file,
    rule_block,
)

HEAD = "*filter\n:ufw-user-input - [0:0]\n### RULES ###\n"
TAIL = "### END RULES ###\n\n### LOGGING ###\nCOMMIT\n"
# As ufw 0.36.2 writes them.
SSH = """
### tuple ### allow tcp 22 0.0.0.0/0 any 10.0.0.0/8 in comment=72657365617263683a737368
-A ufw-user-input -p tcp --dport 22 -s 10.0.0.0/8 -j ACCEPT
"""
VRRP = """
### tuple ### allow vrrp any 0.0.0.0/0 any 10.1.1.1 in comment=72657365617263683a76727270
-A ufw-user-input -p vrrp -s 10.1.1.1 -j ACCEPT
"""
WEB = """
### tuple ### allow tcp 80,443 0.0.0.0/0 any 0.0.0.0/0 in comment=72657365617263683a776562
-A ufw-user-input -p tcp -m multiport --dports 80,443 -j ACCEPT
"""
DENY = """
### tuple ### deny any any 0.0.0.0/0 any 192.0.2.7 in
-A ufw-user-input -s 192.0.2.7 -j DROP
"""
BY_HAND = """
### tuple ### allow tcp 22 0.0.0.0/0 any 10.0.0.0/8 in
-A ufw-user-input -p tcp --dport 22 -s 10.0.0.0/8 -j ACCEPT
"""
DNS = """
### tuple ### allow any 53 0.0.0.0/0 any 0.0.0.0/0 in_eth0
-A ufw-user-input -i eth0 -p tcp --dport 53 -j ACCEPT
-A ufw-user-input -i eth0 -p udp --dport 53 -j ACCEPT
"""
OPENSSH = """
### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in
-A ufw-user-input -p tcp --dport 22 -j ACCEPT -m comment --comment 'dapp_OpenSSH'
"""
ROUTE = """
### tuple ### route:allow any any 0.0.0.0/0 any 0.0.0.0/0 in_eth0
-A ufw-user-forward -i eth0 -j ACCEPT
"""
OUT = """
### tuple ### reject tcp 22 0.0.0.0/0 any 0.0.0.0/0 out
-A ufw-user-output -p tcp --dport 22 -j REJECT --reject-with tcp-reset
"""


CHAIN = "ufw-user-input"


def text(*blocks: str) -> str:
    return HEAD + "".join(blocks) + "\n" + TAIL


def file(*blocks: str) -> RuleFile:
    return parse_rule_file(text(*blocks), 4, "user.rules")


def rule(name: str = "ssh", port: Any = 22, source: str = "10.0.0.0/8", **more: Any) -> Rule:
    return Rule.from_params({"name": name, "proto": "tcp", "port": port, "source": source, **more})


SSH_RULE = rule()
VRRP_RULE = rule("vrrp", None, "10.1.1.1", proto="vrrp")
WEB_RULE = rule("web", "80,443", "any")


OUTGOING = """
### tuple ### allow tcp 80,443 10.1.1.0/24 any 0.0.0.0/0 out comment=72657365617263683a706b
-A ufw-user-output -p tcp -m multiport --dports 80,443 -d 10.1.1.0/24 -j ACCEPT
"""
OUTGOING_RULE = rule("pk", "80,443", destination="10.1.1.0/24")
OUTGOING_PORT = """
### tuple ### allow tcp 7903 10.1.1.0/24 any 0.0.0.0/0 out comment=72657365617263683a706b
-A ufw-user-output -p tcp -d 10.1.1.0/24 --dport 7903 -j ACCEPT
"""
OUTGOING_PORT_RULE = rule("pk", 7903, destination="10.1.1.0/24")


@pytest.mark.parametrize(
    "blocks", [(), (SSH,), (SSH, VRRP, WEB, DENY, DNS, OPENSSH, ROUTE, OUT)], ids=len
)
def test_what_ufw_wrote_is_written_back_unchanged(blocks: tuple[str, ...]) -> None:
    assert file(*blocks).render() == text(*blocks)


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        (SSH_RULE, SSH),
        (VRRP_RULE, VRRP),
        (WEB_RULE, WEB),
        (OUTGOING_RULE, OUTGOING),
        (OUTGOING_PORT_RULE, OUTGOING_PORT),
    ],
)
def test_rules_are_written_as_ufw_writes_them(wanted: Rule, written: str) -> None:
    assert file(written).blocks == (rule_block(wanted, 4),)


def test_a_rule_for_everyone_is_for_both_versions() -> None:
    assert WEB_RULE.versions() == (4, 6)
    assert rule_block(WEB_RULE, 6).text.startswith("allow tcp 80,443 ::/0 any ::/0 in comment=")
    assert rule_block(WEB_RULE, 6).lines[0].startswith("-A ufw6-user-input ")
    assert rule(source="2001:db8::/32").versions() == (6,)


@pytest.mark.parametrize(
    ("before", "rules", "purge", "after"),
    [
        pytest.param((), (SSH_RULE,), False, (SSH,), id="added"),
        pytest.param((SSH,), (SSH_RULE,), False, (SSH,), id="nothing to do"),
        pytest.param((SSH, WEB), (SSH_RULE,), False, (SSH,), id="ours that is not wanted goes"),
        pytest.param((DENY, SSH), (), False, (DENY,), id="foreign stays"),
        pytest.param((DENY, SSH, DNS), (SSH_RULE,), True, (SSH,), id="foreign purged"),
        pytest.param((DENY,), (SSH_RULE,), False, (DENY, SSH), id="new ones come last"),
        pytest.param(
            (DENY, WEB, DNS, SSH),
            (SSH_RULE, WEB_RULE),
            False,
            (DENY, SSH, WEB, DNS),
            id="ours stand where the first stood, in our order",
        ),
        pytest.param((BY_HAND, DNS), (SSH_RULE,), False, (DNS, SSH), id="the same is taken over"),
        pytest.param((), (SSH_RULE, rule("again")), False, (SSH,), id="twice is once"),
        pytest.param((), (rule(source="::1"),), False, (), id="of the other version"),
    ],
)
def test_merge(
    before: tuple[str, ...], rules: tuple[Rule, ...], purge: bool, after: tuple[str, ...]
) -> None:
    assert merge(file(*before), rules, purge).render() == text(*after)


@pytest.mark.parametrize(
    ("blocks", "incoming", "source", "accepted"),
    [
        ((SSH,), "deny", "10.1.0.0/16", True),
        ((SSH,), "deny", "10.0.0.0/8", True),
        ((SSH,), "deny", "0.0.0.0/0", False),
        ((SSH,), "deny", "192.0.2.7", False),
        ((), "deny", "10.0.0.1", False),
        ((), "reject", "10.0.0.1", False),
        ((), "allow", "10.0.0.1", True),
        ((OPENSSH,), "deny", "192.0.2.7", True),
        ((DENY, OPENSSH), "deny", "192.0.2.7", False),
        ((OPENSSH, DENY), "deny", "192.0.2.7", True),
        ((DENY, OPENSSH), "deny", "192.0.2.0/24", True),
        ((WEB, VRRP, DNS, ROUTE, OUT), "deny", "10.1.1.1", False),
        ((DENY,), "allow", "192.0.2.7", False),
        ((DNS.replace(" 53 ", " any "),), "deny", "10.0.0.1", False),
    ],
)
def test_who_may_connect_to_ssh(
    blocks: tuple[str, ...], incoming: str, source: str, accepted: bool
) -> None:
    assert may_connect(file(*blocks), incoming, ip_network(source), 22).accepted is accepted


def test_ranges_and_lists_of_ports_are_understood() -> None:
    block = rule_block(rule(port="20:23,80"), 4)
    ports = RuleFile(4, "", (block,), "x")
    answers = {p: may_connect(ports, "deny", ip_network("10.0.0.1"), p) for p in (19, 20, 23, 80)}
    assert [answers[p].accepted for p in (19, 20, 23, 80)] == [False, True, True, True]
    assert "the default is deny" in answers[19].reason


def test_the_kernels_notation_is_the_same_as_the_files() -> None:
    kernel = """-N ufw-user-input
-A ufw-user-input -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT
-A ufw-user-input -s 10.1.1.1/32 -p 112 -j ACCEPT
-A ufw-user-input -p tcp -m multiport --dports 80,443 -j ACCEPT
-A ufw-user-input -s 192.0.2.7/32 -j DROP
-A ufw-user-input -i eth0 -p tcp -m tcp --dport 53 -j ACCEPT
-A ufw-user-input -i eth0 -p udp -m udp --dport 53 -j ACCEPT
"""
    blocks = file(SSH, VRRP, WEB, DENY, DNS, OUT, ROUTE).blocks
    written = [line for block in blocks for line in block.lines]
    assert as_loaded(kernel.splitlines(), CHAIN) == as_loaded(written, CHAIN)
    fewer = kernel.splitlines()[:-1]
    assert as_loaded(fewer, CHAIN) != as_loaded(written, CHAIN)
    other = kernel.replace("10.1.1.1", "10.1.1.2").splitlines()
    assert as_loaded(other, CHAIN) != as_loaded(written, CHAIN)


def test_the_kernel_s_rules_for_what_goes_out_are_compared_as_well() -> None:
    chain = "ufw-user-output"
    kernel = [f"-A {chain} -d 10.1.1.0/24 -p tcp -m multiport --dports 80,443 -j ACCEPT"]
    written = file(SSH, OUTGOING).blocks[1].lines
    assert as_loaded(kernel, chain) == as_loaded(written, chain)
    assert as_loaded(written, CHAIN) == []


def test_a_way_out_is_no_way_in() -> None:
    letting_out = file(OUTGOING.replace("80,443", "22").replace("10.1.1.0/24", "0.0.0.0/0"))
    assert not may_connect(letting_out, "deny", ip_network("10.1.1.1"), 22).accepted


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"proto": "icmp"}, "rule ssh: proto 'icmp' is none of tcp, udp, vrrp"),
        ({"port": None}, "rule ssh: tcp needs a port"),
        ({"proto": "vrrp"}, "rule ssh: vrrp has no ports"),
        ({"port": "https"}, "'https' is no port, write 443 or 6000:6010"),
        ({"port": "70000"}, "'70000' is no port"),
        ({"port": "0"}, "'0' is no port"),
        ({"source": "app1"}, "address 'app1'"),
        ({"source": "10.0.0.1/8"}, "has host bits set"),
    ],
)
def test_what_cannot_be_right_is_refused(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UfwError, match=r"^rule ssh: ") as refused:
        rule(**params)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("source", "normal"),
    [
        ("10.0.0.1/32", "10.0.0.1"),
        ("0.0.0.0/0", "any"),
        ("2001:DB8::1", "2001:db8::1"),
        ("any", "any"),
    ],
)
def test_sources_are_written_as_ufw_writes_them(source: str, normal: str) -> None:
    assert rule(source=source).peer == normal


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("*filter\nCOMMIT\n", "has no line '### RULES ###'"),
        (HEAD + SSH, "has no line '### END RULES ###'"),
        (text("\n-A ufw-user-input -j ACCEPT\n"), "do not know what to make of the line"),
        (text(SSH + "iptables -F\n"), "do not know what to make of the line 'iptables -F'"),
    ],
)
def test_a_file_that_is_not_understood_is_left_alone(content: str, sentence: str) -> None:
    with pytest.raises(UfwError) as refused:
        parse_rule_file(content, 4, "/etc/ufw/user.rules")
    assert str(refused.value).startswith("/etc/ufw/user.rules")
    assert sentence in str(refused.value)


def test_the_file_of_a_new_package_is_known_to_be_incomplete() -> None:
    fresh = parse_rule_file(HEAD + "-A ufw-user-limit -j REJECT\nCOMMIT\n", 4, "user.rules")
    assert not fresh.is_complete and fresh.blocks == ()
    assert file().is_complete
