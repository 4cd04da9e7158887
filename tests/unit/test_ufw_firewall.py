"""The state of ufw: what is wanted, what is refused, and in which order it is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ssh_session import Session
from ansible.module_utils.ufw_firewall import Ufw, Wanted, refuse_lockout, target_state
from ansible.module_utils.ufw_rules import UfwError, rule_block

RULES = "### RULES ###\n"
FRESH = "*filter\n" + RULES + "COMMIT\n"
COMPLETE = "*filter\n" + RULES + "\n### END RULES ###\nCOMMIT\n"
PARAMS: dict[str, Any] = {
    "rules": [
        {"name": "web", "proto": "tcp", "port": "443", "source": "any"},
        {"name": "ssh", "proto": "tcp", "port": "22", "source": "10.0.0.0/8"},
    ],
    "enabled": True,
    "incoming": "deny",
    "outgoing": "allow",
    "routed": "deny",
    "ipv6": True,
    "logging": "low",
    "purge_foreign": False,
    "ssh_port": 22,
    "admin_networks": ["10.0.0.0/24"],
}


def wanted(**params: Any) -> Wanted:
    return Wanted.from_params({**PARAMS, **params})


class Host:
    """A host whose ufw, iptables and systemctl do as little as the tests need."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[str] = []
        self.active = False
        self.at_boot = True
        self.loaded: dict[str, str] = {}
        self.refused = ""
        for path in ("etc/ufw", "etc/default", "run", "usr/sbin"):
            (root / path).mkdir(parents=True)
        (root / "usr/sbin/ufw").touch()
        self.write("etc/ufw/ufw.conf", "ENABLED=no\nLOGLEVEL=low\n")
        self.write("etc/ufw/user.rules", FRESH)
        self.write("etc/ufw/user6.rules", FRESH)
        self.write(
            "etc/default/ufw",
            'IPV6=yes\nDEFAULT_INPUT_POLICY="ACCEPT"\nDEFAULT_OUTPUT_POLICY="ACCEPT"\n'
            'DEFAULT_FORWARD_POLICY="DROP"\n',
        )

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def replace(self, path: str, old: str, new: str) -> None:
        self.write(path, self.read(path).replace(old, new))

    def load(self) -> None:
        self.active = True
        for table, path in (("iptables", "user.rules"), ("ip6tables", "user6.rules")):
            self.loaded[table] = self.read(f"etc/ufw/{path}")

    def __call__(self, command: list[str], data: str | None = None) -> tuple[int, str, str]:
        line = " ".join(command)
        if "-S" in command:
            return self._list(command[0], command[-1])
        if line == "systemctl is-enabled ufw.service":
            return 0, "enabled\n" if self.at_boot else "disabled\n", ""
        self.commands.append(line)
        if self.refused and self.refused in line:
            return 1, "", "no"
        self._do(line, data)
        return 0, "", ""

    def _list(self, table: str, chain: str) -> tuple[int, str, str]:
        if chain.isupper():
            path, name = "etc/default/ufw", f'DEFAULT_{chain}_POLICY="'
            policy = self.read(path).split(name)[1].split('"')[0] if self.active else "ACCEPT"
            return 0, f"-P {chain} {policy}\n", ""
        return (0, self.loaded[table], "") if self.active else (1, "", "no chain")

    def _do(self, line: str, data: str | None) -> None:
        if line.startswith("ufw logging "):
            self.replace(
                "etc/ufw/ufw.conf", "LOGLEVEL=low", f"LOGLEVEL={line.rsplit(maxsplit=1)[-1]}"
            )
            for path in ("etc/ufw/user.rules", "etc/ufw/user6.rules"):
                self.write(path, self.read(path).replace(FRESH, COMPLETE))
        elif line == "ufw default deny incoming":
            self.replace("etc/default/ufw", '_INPUT_POLICY="ACCEPT"', '_INPUT_POLICY="DROP"')
        elif line.endswith(" outgoing"):
            self.replace(
                "etc/default/ufw",
                *(
                    f'_OUTPUT_POLICY="{p}"'
                    for p in sorted(("ACCEPT", "DROP"), reverse="deny" not in line)
                ),
            )
        elif line == "ufw --force enable":
            self.replace("etc/ufw/ufw.conf", "ENABLED=no", "ENABLED=yes")
            self.load()
        elif line == "ufw reload":
            self.load()
        elif line in {"ufw disable", "ufw --force disable"}:
            self.replace("etc/ufw/ufw.conf", "ENABLED=yes", "ENABLED=no")
            self.active = False
        elif line == "systemctl enable ufw.service":
            self.at_boot = True
        elif "restore" in line and "--test" not in line:
            self.loaded[line.split("-restore", maxsplit=1)[0]] = data or ""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def ufw(host: Host) -> Ufw:
    return Ufw(run=host, root=host.root)


def test_a_fresh_package_is_completed_filled_and_only_then_switched_on(
    host: Host, ufw: Ufw
) -> None:
    assert target_state(ufw.read(), wanted()) != ufw.read()
    ufw.apply(wanted())
    assert host.commands == [
        "ufw logging low",
        "iptables-restore --wait 5 --noflush --test",
        "ip6tables-restore --wait 5 --noflush --test",
        "ufw default deny incoming",
        "ufw --force enable",
    ]
    assert target_state(ufw.read(), wanted()) == ufw.read()


def test_nothing_to_do_is_seen_without_a_command(host: Host, ufw: Ufw) -> None:
    ufw.apply(wanted())
    host.commands.clear()
    state = ufw.read()
    assert state == target_state(state, wanted())
    assert host.commands == []


def test_new_rules_reach_the_kernel_at_once_and_without_a_restart(host: Host, ufw: Ufw) -> None:
    ufw.apply(wanted())
    host.commands.clear()
    ufw.apply(wanted(rules=PARAMS["rules"][1:]))
    assert [command for command in host.commands if "--test" not in command] == [
        "iptables-restore --wait 5 --noflush",
        "ip6tables-restore --wait 5 --noflush",
    ]
    assert "443" not in host.loaded["iptables"] + host.loaded["ip6tables"]


def test_rules_that_the_kernel_refuses_are_never_written(host: Host, ufw: Ufw) -> None:
    ufw.apply(wanted())
    before = host.read("etc/ufw/user.rules")
    host.refused = "--test"
    with pytest.raises(UfwError, match=r"'iptables-restore .*' failed with exit status 1: no"):
        ufw.apply(wanted(rules=PARAMS["rules"][1:]))
    assert host.read("etc/ufw/user.rules") == before


@pytest.mark.parametrize(
    "killed_at", ["logging", "--test", "default", "--force enable"], ids=lambda verb: verb
)
def test_a_run_that_was_killed_is_made_up_for(host: Host, ufw: Ufw, killed_at: str) -> None:
    host.refused = killed_at
    with pytest.raises(UfwError):
        ufw.apply(wanted())
    host.refused = ""
    assert ufw.read() != target_state(ufw.read(), wanted())
    ufw.apply(wanted())
    assert ufw.read() == target_state(ufw.read(), wanted())


def test_a_kernel_that_lost_a_rule_is_noticed(host: Host, ufw: Ufw) -> None:
    ufw.apply(wanted())
    host.loaded["iptables"] = ""
    assert not ufw.read().loaded
    ufw.apply(wanted())
    assert ufw.read().loaded


def test_a_unit_that_is_off_at_boot_is_switched_on(host: Host, ufw: Ufw) -> None:
    ufw.apply(wanted())
    host.at_boot = False
    ufw.apply(wanted())
    assert "systemctl enable ufw.service" in host.commands and host.at_boot


def test_off_means_off_and_keeps_the_rules(host: Host, ufw: Ufw) -> None:
    ufw.apply(wanted())
    ufw.apply(wanted(enabled=False))
    assert not host.active
    assert len(ufw.read().files[4].blocks) == 2


OUT = {"name": "dns", "proto": "udp", "port": "53", "destination": "any"}


def test_what_goes_out_is_closed_after_its_exceptions_and_opened_before_they_go(
    host: Host, ufw: Ufw
) -> None:
    ufw.apply(wanted())
    host.commands.clear()
    ufw.apply(wanted(outgoing="deny", rules=[*PARAMS["rules"], OUT]))
    assert host.commands[-1] == "ufw default deny outgoing"
    host.commands.clear()
    ufw.apply(wanted())
    assert host.commands[0] == "ufw default allow outgoing"


def test_a_firewall_that_lets_no_answer_out_is_refused(host: Host, ufw: Ufw) -> None:
    closed = wanted(outgoing="deny")
    assert not ufw.answers_pass()
    with pytest.raises(UfwError, match=r"before.rules lacks the distribution's rule"):
        refuse_lockout(target_state(None, closed), closed, None, ufw.answers_pass())
    host.write(
        "etc/ufw/before.rules",
        "-A ufw-before-output -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n",
    )
    refuse_lockout(target_state(None, closed), closed, None, ufw.answers_pass())


def test_ssh_is_the_first_rule() -> None:
    assert [rule.name for rule in wanted().rules] == ["ssh", "web"]


def test_the_state_without_ufw_can_be_shown_but_has_no_rules_of_others() -> None:
    target = target_state(None, wanted())
    assert target.files[4].blocks == tuple(rule_block(rule, 4) for rule in wanted().rules)
    assert "allow tcp 22 0.0.0.0/0 any 10.0.0.0/8 in  # research:ssh" in target.describe()


def session(client: str, port: int = 22) -> Session:
    return Session("deploy", client, port)


@pytest.mark.parametrize(
    ("params", "connected", "sentence"),
    [
        ({}, None, None),
        ({}, session("10.0.0.7"), None),
        ({}, session("::ffff:10.0.0.7"), None),
        ({"enabled": False, "admin_networks": []}, None, None),
        ({"incoming": "allow", "rules": []}, session("192.0.2.1"), None),
        ({"admin_networks": []}, None, "firewall_admin_networks is empty"),
        ({"admin_networks": ["10.0.0.0/24", "192.0.2.0/24"]}, None, "192.0.2.0/24 of"),
        ({"admin_networks": ["2001:db8::/32"]}, None, "2001:db8::/32 of"),
        ({"admin_networks": ["somewhere"]}, None, "firewall_admin_networks: 'somewhere'"),
        ({"ssh_port": 2222}, None, "could open no new ssh session on port 2222"),
        ({}, session("10.0.0.7", 2222), "10.0.0.7, from where this run is connected, could open"),
        ({}, session("192.0.2.9"), "192.0.2.9, from where this run is connected, could open no"),
        ({"rules": []}, None, "no rule lets it in and the default is deny"),
        ({"rules": [], "incoming": "reject"}, None, "the default is reject"),
    ],
)
def test_lockout(params: dict[str, Any], connected: Session | None, sentence: str | None) -> None:
    if sentence is None:
        refuse_lockout(target_state(None, wanted(**params)), wanted(**params), connected)
        return
    with pytest.raises(UfwError) as refused:
        refuse_lockout(target_state(None, wanted(**params)), wanted(**params), connected)
    assert sentence in str(refused.value)
