"""How an audit judges what hosts and scanners answered, and shows it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from audit import checks, report, scanners, site
from audit.__main__ import main
from audit.findings import CHECKS, Finding, Verdict, judged, not_measurable, overall
from audit.relay import Relay, Tunnel
from audit.site import LOOK, LYNIS, PORTS, Host, Rule

SSH = {"connection": "ssh", "host": "10.0.0.1", "port": 22, "user": "", "key": "", "arguments": ""}
ANYBODY = Rule("edge-https", 443, "any")
ADMIN = Rule("ssh", 22, "10.0.9.0/24")


def host(name: str = "os1", address: str = "10.0.0.1", **more: Any) -> Host:
    return Host(name, address, more.pop("rules", ()), more.pop("ssh", SSH), **more)


@pytest.mark.parametrize(
    ("unit", "exposure", "verdict"),
    [
        ("research-app.service", 2.0, Verdict.OK),
        ("research-app.service", 2.1, Verdict.BELOW_GOAL),
        ("haproxy.service", 3.1, Verdict.BELOW_GOAL),
        ("keepalived.service", 3.0, Verdict.OK),
        ("keepalived.service", 6.5, Verdict.BELOW_GOAL),
        ("ssh.service", 9.6, Verdict.BELOW_GOAL),
        ("ssh.service", 8.0, Verdict.OK),
    ],
)
def test_each_service_has_its_goal(unit: str, exposure: float, verdict: Verdict) -> None:
    found = checks.part("exposure", host(seen={"exposure": {unit: exposure}}))
    assert found.verdict == verdict
    assert bool(found.details) == (verdict != Verdict.OK)


@pytest.mark.parametrize(
    ("check", "seen", "verdict", "measured"),
    [
        ("certificates", {"/a.pem": 15.0, "/b.pem": 300.0}, Verdict.OK, "15 days"),
        ("certificates", {"/a.pem": 14.0}, Verdict.BELOW_GOAL, "14 days"),
        ("secrets", [], Verdict.OK, "0"),
        ("secrets", ["vault_a in /etc/x"], Verdict.BELOW_GOAL, "1"),
        ("writable", ["/srv/x"], Verdict.BELOW_GOAL, "1"),
        ("updates", ["openssl", "bash"], Verdict.BELOW_GOAL, "2"),
    ],
)
def test_what_a_host_saw_is_compared_with_the_goal(
    check: str, seen: object, verdict: Verdict, measured: str
) -> None:
    found = checks.part(check, host(seen={check: seen}))
    assert (found.verdict, found.measured) == (verdict, measured)


def test_what_could_not_be_looked_at_is_said_with_the_reason() -> None:
    part = checks.part("updates", host(seen={}, problems={"updates": "no lists"}))
    assert (part.verdict, part.details) == (Verdict.NOT_MEASURABLE, ("no lists",))
    away = host(failures={LOOK: "the host cannot be reached: no route"})
    assert checks.part("secrets", away).details == ("the host cannot be reached: no route",)


LYNIS_REPORT = """\
lynis_version=3.1.4
warning[]=FIRE-4512|iptables module(s) loaded, but no rules active|-|-|
suggestion[]=AUTH-9328|Default umask could be more strict like 027|-|-|
hardening_index={index}
"""


@pytest.mark.parametrize(
    ("index", "details"),
    [
        (80, ()),
        (
            79,
            (
                "index 79",
                "FIRE-4512: iptables module(s) loaded, but no rules active",
                "AUTH-9328: Default umask could be more strict like 027",
            ),
        ),
    ],
)
def test_lynis_says_what_it_would_change_where_its_index_is_low(
    index: int, details: tuple[str, ...]
) -> None:
    assert checks.lynis(host(lynis=LYNIS_REPORT.format(index=index))).details == details


def test_a_lynis_that_was_ended_early_measured_nothing() -> None:
    found = checks.lynis(host(lynis="lynis_version=3.1.4\n"))
    assert found.verdict == Verdict.NOT_MEASURABLE


def two_hosts(state: Mapping[str, str], rules: tuple[Rule, ...]) -> Finding:
    listening = {"listening": [{"port": 12345, "process": "nc"}]}
    callee = host("os1", "10.0.0.1", rules=rules, seen=listening)
    caller = host("app1", "10.0.0.2", reached={"10.0.0.1": state})
    return checks.firewall([callee, caller])[0]


@pytest.mark.parametrize(
    ("state", "short"),
    [
        ({"443": "open", "22": "dropped"}, ()),
        ({"443": "dropped"}, ("port 443, which the inventory opens, is dropped from app1",)),
        ({"22": "open"}, ("port 22 is open though the inventory does not open it from app1",)),
        (
            {"22": "refused"},
            ("port 22 is refused though the inventory does not open it from app1",),
        ),
        (
            {"12345": "open"},
            ("port 12345 (nc) is open though the inventory does not open it from app1",),
        ),
    ],
)
def test_ports_are_open_to_whom_the_inventory_lets_in(
    state: dict[str, str], short: tuple[str, ...]
) -> None:
    assert two_hosts(state, (ANYBODY, ADMIN)).details == short


def test_a_single_host_has_nobody_who_could_try() -> None:
    assert checks.firewall([host()])[0].verdict == Verdict.OK


SSH_AUDIT = {
    "kex": [
        {"algorithm": "curve25519-sha256", "notes": {"warn": ["not post-quantum"]}},
        {"algorithm": "ecdh-sha2-nistp256", "notes": {"fail": ["suspected as being backdoored"]}},
    ],
    "key": [{"algorithm": "ssh-ed25519", "notes": {}}],
    "enc": [{"algorithm": "aes256-ctr"}],
    "mac": [],
}


def test_fails_of_ssh_audit_count_and_warnings_do_not() -> None:
    found = checks.ssh(host(), json.dumps(SSH_AUDIT))
    assert found.measured == "1 fails"
    assert found.details == ("ecdh-sha2-nistp256: suspected as being backdoored",)


def test_an_ssh_audit_that_could_not_connect_measured_nothing() -> None:
    found = checks.ssh(host(), "\x1b[0;31m[exception] cannot connect to os1 port 22\x1b[0m\n")
    assert found.verdict == Verdict.NOT_MEASURABLE
    assert found.details == ("[exception] cannot connect to os1 port 22",)


SSLYZE = """\
 COMPLIANCE AGAINST TLS CONFIGURATION
 ------------------------------------

    Checking results against Mozilla's "intermediate" configuration. See https://ssl-config.mozilla.org/ for more details.

    os1:9300: ERROR - Scan did not run successfully; review the scan logs above.
    os1:9200: FAILED - Not compliant.
        * ciphers: Cipher suites {'TLS_B', 'TLS_A'} are supported, but should be rejected.
        * tls_curves: TLS curves {'X448'} are supported, but should be rejected.

    edge1:443: OK - Compliant.
"""  # noqa: E501


def test_the_issues_of_each_port_are_read_from_sslyze() -> None:
    assert checks.tls_issues(SSLYZE) == {
        "os1:9300": ["it speaks no TLS"],
        "os1:9200": [
            "Cipher suites 'TLS_A', 'TLS_B' are supported, but should be rejected.",
            "TLS curves 'X448' are supported, but should be rejected.",
        ],
        "edge1:443": [],
    }


def test_a_port_of_which_sslyze_says_nothing_is_not_measurable() -> None:
    found = checks.tls(host(), [9200, 9999], checks.tls_issues(SSLYZE))
    assert found.verdict == Verdict.NOT_MEASURABLE
    assert found.details == ("sslyze said nothing of os1:9999",)


def test_what_is_plain_on_purpose_is_not_asked_for_tls() -> None:
    rules = (ADMIN, Rule("edge-http", 80, "any"), ANYBODY, Rule("x", 8404, "any"))
    assert scanners.tls_ports(host(rules=rules)) == [443, 8404]


def answered(tasks: Mapping[str, Any]) -> str:
    plan = {"msg": {"address": "10.0.0.1", "ssh": SSH, "rules": [
        {"name": "cache", "proto": "tcp", "port": "6379,26379", "source": "10.0.0.2"},
        {"name": "edge-vrrp", "proto": "vrrp", "port": "", "source": "10.0.0.3"},
    ]}}  # fmt: skip
    given = {site.PLAN: plan, **tasks}
    plays = [
        {"tasks": [{"task": {"name": n}, "hosts": {"os1": result}} for n, result in given.items()]}
    ]
    return json.dumps({"plays": plays})


def test_the_answers_of_a_host_are_read() -> None:
    printed = answered({
        LOOK: {"seen": {"secrets": []}, "problems": {"updates": "none"}},
        PORTS: {"reached": {"10.0.0.2": {"22": "dropped"}}},
        LYNIS: {"stdout_lines": ["a", "hardening_index=81"], "stdout": "a\r\n…"},
    })  # fmt: skip
    (found,) = site.parsed(printed)
    assert found.ports == (6379, 26379)
    assert found.rules[0].admits("10.0.0.2") and not found.rules[0].admits("10.0.0.3")
    assert (found.seen, found.problems) == ({"secrets": []}, {"updates": "none"})
    assert (found.lynis, found.failures) == ("a\nhardening_index=81", {})


def test_a_host_that_is_away_is_named_for_every_check() -> None:
    away = {"unreachable": True, "msg": "Failed to connect via ssh:\nNo route to host"}
    (found,) = site.parsed(answered({LOOK: away}))
    assert found.why_not(LOOK, "secrets") == "the host cannot be reached: No route to host"
    assert found.why_not(LYNIS) == "the host cannot be reached: No route to host"


def test_an_ansible_that_did_not_start_is_an_error() -> None:
    with pytest.raises(site.AuditError, match="no such file"):
        site.parsed("no such file")


def test_the_worst_verdict_is_the_verdict() -> None:
    good, short = judged("tls", "a", "1", []), judged("tls", "b", "0", ["no"])
    unknown = not_measurable("tls", "c", "away")
    assert overall([good]) == Verdict.OK
    assert overall([good, unknown]) == Verdict.NOT_MEASURABLE
    assert overall([good, unknown, short]) == Verdict.BELOW_GOAL


FINDINGS = [
    judged("secrets", "os1", "0", []),
    judged("exposure", "os1", "3.1", ["haproxy 3.1 (goal 2.3)"]),
    judged("exposure", "os2", "1.2", ["haproxy 3.1 (goal 2.3)"]),
    not_measurable("updates", "os2", "no lists"),
]


def test_people_read_a_row_for_each_check_and_what_falls_short_once() -> None:
    lines = report.table(FINDINGS).splitlines()
    assert [line.split("  ")[0] for line in lines[2:5]] == [
        CHECKS[name].title for name in ("exposure", "secrets", "updates")
    ]
    assert "1.2 to 3.1" in lines[2] and "0 of 2" in lines[2] and lines[2].endswith("below goal")
    assert lines[-2:] == [
        "  exposure: every host: haproxy 3.1 (goal 2.3)",
        "  updates: os2: not measurable: no lists",
    ]


def test_programs_read_every_finding() -> None:
    read = json.loads(report.document("inventories/lab", FINDINGS))
    assert read["met"] is False
    assert {item["check"]: item["verdict"] for item in read["checks"]} == {
        "exposure": "below goal",
        "secrets": "ok",
        "updates": "not measurable",
    }
    assert read["checks"][0]["findings"][0] == {
        "host": "os1",
        "verdict": "below goal",
        "measured": "3.1",
        "details": ["haproxy 3.1 (goal 2.3)"],
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inventories/none"], "there is no inventory inventories/none"),
        (["inventories/lab", "--only", "tsl"], "there is no check 'tsl'; there are tls, ssh"),
    ],
)
def test_bad_input_ends_with_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err and len(shown.err.splitlines()) == 1 and not shown.out


def test_ssh_goes_where_ansible_would_go() -> None:
    own = {**SSH, "port": 2222, "user": "deploy", "key": "/k", "arguments": "-J 'a b' "}
    command = host(ssh=own).ssh_command("true")
    assert command[-3:] == ["deploy@10.0.0.1", "--", "true"]
    assert command[command.index("-J") + 1] == "a b"
    assert command[command.index("-i") + 1] == "/k"
    assert command[command.index("-p") + 1] == "2222"


@pytest.fixture
def echo() -> Any:
    """Yield the port of a server on loopback that answers each connection with what it got."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"got " + connection.recv(1000))

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@pytest.fixture
def relay() -> Any:
    """Yield a relay whose other end is this machine."""
    made = Relay(["sh", "-c"])
    yield made
    made.close()


def asked(tunnel: Tunnel, target: str, content: bytes) -> bytes:
    """Return what a client reads through the tunnel."""
    with socket.create_connection(("127.0.0.1", tunnel.server_address[1]), timeout=10) as client:
        client.sendall(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        answer = client.recv(1000)
        if b"200 OK" not in answer:
            return answer
        client.sendall(content)
        return client.recv(1000)


def test_the_relay_carries_many_connections(relay: Relay, echo: int) -> None:
    with Tunnel({"os1:9200": (relay, f"127.0.0.1:{echo}")}) as tunnel:
        for number in range(5):
            said = asked(tunnel, "os1:9200", f"hello {number}".encode())
            assert said == f"got hello {number}".encode()


@pytest.mark.parametrize("target", ["os1:22", "os1:9300"])
def test_the_relay_refuses_what_was_not_asked_for_or_does_not_listen(
    relay: Relay, target: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    with Tunnel({"os1:9300": (relay, f"127.0.0.1:{closed}")}) as tunnel:
        assert asked(tunnel, target, b"").startswith(b"HTTP/1.1 502 ")


def test_the_inventory_says_what_the_audit_needs_to_know() -> None:
    """The play that no host is contacted for, on the inventory of the lab."""
    project = Path(__file__).resolve().parents[2]
    play = ["ansible-playbook", "playbooks/audit.yml", "--tags", "plan"]
    done = subprocess.run(
        [*play, "-i", "inventories/lab/hosts.yml"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"port\W+443\b", done.stdout), done.stdout
