"""What a later run does to a firewall that is on."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Ruleset = Callable[..., dict[str, Any]]
Playbook = Callable[..., subprocess.CompletedProcess[str]]

SSH = {"name": "ssh", "port": "22", "source": "10.78.0.1"}

pytestmark = pytest.mark.usefixtures("restored")


def added(host: Any) -> str:
    """Return the rules as the commands that would make them."""
    rules: str = host.check_output("ufw show added")
    return rules


def kernel(host: Any) -> list[str]:
    """Return all rules of the kernel."""
    rules: str = host.check_output("iptables -S; ip6tables -S")
    return rules.splitlines()


def one_line(text: str) -> str:
    """Return output in which a sentence may have been broken over lines in one line."""
    return " ".join(text.split())


def test_a_rule_that_is_no_longer_wanted_disappears(changed: Any, playbook: Playbook) -> None:
    """From ufw and from the kernel, and check mode says so before."""
    rule = {"name": "ssh", "port": 22, "from": ["10.78.0.1"]}
    assert "port 6379" in added(changed)
    dry = playbook("--check", "--diff", firewall_rules=[rule])
    assert re.search(r"^-allow tcp 6379 .* # research:cache$", dry.stdout, re.MULTILINE)
    assert "changed=1 " in dry.stdout
    assert "port 6379" in added(changed)
    assert "changed=1 " in playbook(firewall_rules=[rule]).stdout
    assert "6379" not in added(changed)
    assert not [line for line in kernel(changed) if "6379" in line]


def test_rules_of_others_stay_unless_told_otherwise(changed: Any, ruleset: Ruleset) -> None:
    """Also when they are of kinds that this project never makes, and in their order."""
    for rule in (
        "prepend deny from 192.0.2.7",
        "allow in on eth0 to any port 53 comment 'site dns'",
        "limit log 2222/tcp",
        "route allow in on eth0",
        "allow OpenSSH",
        "reject out 25/tcp",
    ):
        changed.check_output(f"ufw {rule}")
    before, in_kernel = added(changed), kernel(changed)
    assert not ruleset()["changed"]
    assert ruleset(rules=[SSH])["changed"]
    kept = [line for line in before.splitlines() if "6379" not in line]
    assert added(changed).splitlines() == kept
    ruleset()
    assert sorted(kernel(changed)) == sorted(in_kernel)
    assert ruleset(purge_foreign=True)["changed"]
    rules = [line for line in added(changed).splitlines() if line.startswith("ufw ")]
    assert len(rules) == 2 and all("research:" in rule for rule in rules)


def test_a_rule_of_others_which_says_the_same_is_taken_over(changed: Any, ruleset: Ruleset) -> None:
    """For ufw two rules that differ in their comment are one."""
    metrics = {"name": "metrics", "port": "9100", "source": "10.78.0.9"}
    changed.check_output("ufw allow proto tcp from 10.78.0.9 to any port 9100 comment mine")
    assert ruleset(rules=[SSH, metrics])["changed"]
    assert [line for line in added(changed).splitlines() if "9100" in line] == [
        "ufw allow from 10.78.0.9 to any port 9100 proto tcp comment 'research:metrics'"
    ]


def test_ufw_can_rewrite_what_was_written(changed: Any, ruleset: Ruleset) -> None:
    """Its files are ufw's: after ufw wrote them itself nothing differs."""
    rules = added(changed)
    changed.check_output("ufw logging medium && ufw logging low && ufw reload")
    assert added(changed) == rules
    assert not ruleset()["changed"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("iptables -D ufw-user-input 1", id="a rule is missing in the kernel"),
        pytest.param("iptables -P INPUT ACCEPT", id="the default is open in the kernel"),
        pytest.param("/usr/lib/ufw/ufw-init force-stop", id="nothing is loaded"),
        pytest.param(
            "ufw --force disable && ufw default allow incoming && systemctl disable ufw",
            id="it is off, now and after the next boot, and would let everything in",
        ),
        pytest.param("sed -i s/IPV6=yes/IPV6=no/ /etc/default/ufw", id="IPv6 is not looked at"),
        pytest.param("ufw --force reset", id="it is as a new package has it"),
    ],
)
def test_any_half_way_state_is_repaired(changed: Any, ruleset: Ruleset, damage: str) -> None:
    """Where a run was killed, or somebody helped, the next one ends where it always does."""
    rules, loaded = added(changed), kernel(changed)
    changed.check_output(damage)
    assert ruleset(check_mode=True)["changed"]
    assert ruleset()["changed"]
    assert not ruleset()["changed"]
    assert added(changed) == rules
    assert sorted(set(kernel(changed))) == sorted(set(loaded))
    assert changed.service("ufw").is_enabled


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"admin_networks": []}, "firewall_admin_networks is empty"),
        (
            {"admin_networks": ["10.78.0.1", "192.0.2.0/24"]},
            "192.0.2.0/24 of firewall_admin_networks could open no new ssh session on port 22",
        ),
        ({"ssh_port": 2222}, "could open no new ssh session on port 2222"),
        ({"rules": []}, "could open no new ssh session on port 22"),
    ],
)
def test_what_would_lock_out_is_refused_before_anything_changes(
    changed: Any, ruleset: Ruleset, options: dict[str, Any], sentence: str
) -> None:
    """In one sentence, in check mode as well."""
    before = added(changed), kernel(changed)
    for check_mode in (True, False):
        assert sentence in ruleset(check_mode, refused=True, **options)["msg"]
    assert (added(changed), kernel(changed)) == before


def test_a_refusing_rule_of_others_before_ours_is_noticed(changed: Any, ruleset: Ruleset) -> None:
    """The first rule counts, so ours would never be asked."""
    changed.check_output("ufw --force disable && ufw prepend deny from 10.78.0.0/24 to any port 22")
    message = ruleset(refused=True)["msg"]
    assert "rule 'deny any 22 0.0.0.0/0 any 10.78.0.0/24 in' refuses it" in message
    assert "Status: inactive" in changed.check_output("ufw status")
    changed.check_output("ufw delete deny from 10.78.0.0/24 to any port 22")


def test_an_unknown_group_is_named(playbook: Playbook) -> None:
    """With the groups that there are."""
    rule = {"name": "x", "port": 1, "from": ["appp"]}
    result = playbook("--check", firewall_rules=[rule])
    assert result.returncode != 0
    assert "firewall rule x: 'appp' in 'from' is neither a group of the inventory (app, cache" in (
        one_line(result.stdout)
    )


def test_the_address_that_this_run_comes_from_must_be_let_in(
    playbook: Playbook, by_ssh: dict[str, Any]
) -> None:
    """Even where the administrators' networks are right and do not name it (a jump host)."""
    rule = {"name": "ssh", "port": 22, "from": ["192.0.2.0/24"]}
    variables = {"firewall_rules": [rule], "firewall_admin_networks": ["192.0.2.0/24"]}
    result = playbook(**variables, **by_ssh)
    assert result.returncode != 0
    assert "10.78.0.1, from where this run is connected, could open no new ssh session" in (
        one_line(result.stdout)
    )


def test_an_ssh_session_outlives_the_switch(
    changed: Any, playbook: Playbook, by_ssh: dict[str, Any], login: list[str]
) -> None:
    """One opened before the firewall was switched on goes on, and a new one can be opened."""
    changed.check_output("ufw --force disable")
    echo = "echo ready; while read line; do echo got $line; done"
    with subprocess.Popen(
        [*login, echo], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdin and session.stdout
        assert session.stdout.readline() == "ready\n"
        result = playbook(**by_ssh)
        assert "changed=1 " in result.stdout, result.stdout
        assert "Status: active" in changed.check_output("ufw status")
        session.stdin.write("still here\n")
        session.stdin.flush()
        assert session.stdout.readline() == "got still here\n"
        session.stdin.close()
        assert session.wait(timeout=10) == 0
    new = subprocess.run([*login, "echo hello"], capture_output=True, text=True, check=False)
    assert new.stdout == "hello\n"
