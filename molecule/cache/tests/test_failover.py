"""What happens when a node goes, and what a run does afterwards. The tests build on one another."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)

NODES = ("cache-1", "cache-2", "cache-3")

Ask = Callable[..., Any]
Playbook = Callable[..., dict[str, int]]
Command = Callable[..., list[str]]
StartWriter = Callable[[str], Any]
Primary = Callable[..., str]


def replication(ask: Ask, node: str) -> dict[str, str]:
    """Return what a server says of its replication."""
    text = ask(node, "INFO replication", user="monitoring")
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def main_pids(hosts: dict[str, Any], unit: str = "valkey-server") -> dict[str, str]:
    """Return the main process of a unit by host."""
    return {
        name: host.check_output(f"systemctl show -P MainPID {unit}") for name, host in hosts.items()
    }


def wait_until_whole(ask: Ask, primary: Primary) -> None:
    """Wait until the primary has both replicas."""
    for _ in range(60):
        if replication(ask, primary())["connected_slaves"] == "2":
            return
        time.sleep(0.5)
    raise AssertionError(f"replicas are missing: {replication(ask, primary())}")


def test_replication_works(ask: Ask, primary: Primary) -> None:
    """The first node of the inventory is primary, and what it is told the others know."""
    assert primary() == "cache-1"
    assert ask("cache-1", "SET research:known yes EX 600") == "OK"
    wait_until_whole(ask, primary)
    assert ask("cache-3", "GET research:known") == "yes"
    assert "READONLY" in ask("cache-3", "SET research:known no")["error"]


def test_one_node_alone_works(ask: Ask) -> None:
    """Without peers the node serves, and its Sentinel names it."""
    assert ask("cache-single", "SET research:alone yes EX 600") == "OK"
    answer = ask("cache-single", "SENTINEL get-master-addr-by-name research", port=26379)
    assert answer == ["cache-single", "6379"]


def test_lost_primary_is_replaced_and_returns_as_replica(
    ask: Ask, primary: Primary, writer: StartWriter
) -> None:
    """The primary's host hangs; writing goes on elsewhere within seconds."""
    old = primary()
    others = [name for name in NODES if name != old]
    running = writer(others[0])
    time.sleep(2)
    subprocess.run(["podman", "pause", old], check=True)
    try:
        for _ in range(60):
            if primary(*others) != old:
                break
            time.sleep(0.5)
        time.sleep(3)
    finally:
        subprocess.run(["podman", "unpause", old], check=True)
    tally = running.stop()
    new = primary()
    assert new != old
    assert tally["longest_gap"] < 15
    assert tally["lost"] <= 20  # one second's, which the lost primary had not passed on
    wait_until_whole(ask, primary)
    assert replication(ask, old)["role"] == "slave"
    assert ask(new, "GET research:known") == "yes"


def test_a_run_after_the_failover_changes_nothing(
    hosts: dict[str, Any], playbook: Playbook, primary: Primary
) -> None:
    """It neither moves the primary back nor restarts anything."""
    before, pids = primary(), main_pids(hosts)
    assert before != "cache-1"
    assert set(playbook().values()) == {0}
    assert (primary(), main_pids(hosts)) == (before, pids)


@pytest.mark.long
def test_users_change_without_a_restart(
    ask: Ask, hosts: dict[str, Any], playbook: Playbook
) -> None:
    """A new password holds at once, the old one no longer, and nothing was restarted."""
    pids = main_pids(hosts)
    playbook(app_password="n" * 24)
    assert "WRONGPASS" in ask("cache-2", "PING")["error"]
    assert ask("cache-2", "PING", password="n" * 24) == "PONG"
    assert ask("cache-2", "PING", password="n" * 24, port=26379) == "PONG"
    assert main_pids(hosts) == pids


@pytest.mark.long
def test_a_renewed_certificate_is_shown_without_a_restart(
    ask: Ask, hosts: dict[str, Any], playbook: Playbook
) -> None:
    """The server takes it up while it runs; the password of before holds again, too."""
    show = "openssl s_client -connect {0}:6379 </dev/null 2>/dev/null | openssl x509 -noout -serial"
    before = {name: host.check_output(show.format(name)) for name, host in hosts.items()}
    pids = main_pids(hosts)
    playbook(pki_renew_before="3000d")
    after = {name: host.check_output(show.format(name)) for name, host in hosts.items()}
    assert not set(before.values()) & set(after.values())
    assert main_pids(hosts) == pids
    assert ask("cache-2", "PING") == "PONG"


def test_a_changed_setting_restarts_one_node_after_another(
    ask: Ask, hosts: dict[str, Any], playbook: Playbook, primary: Primary, writer: StartWriter
) -> None:
    """The primary last, after a hand-over, so that writing pauses for a moment only."""
    wait_until_whole(ask, primary)
    before, pids = primary(), main_pids(hosts)
    running = writer(before)
    playbook(cache_maxmemory="300mb")
    tally = running.stop()
    assert all(pid != pids[name] for name, pid in main_pids(hosts).items())
    assert primary() != before
    assert tally["longest_gap"] < 10
    assert tally["lost"] == 0
    for name in NODES:
        assert "maxmemory:314572800" in ask(name, "INFO memory", user="monitoring")


@pytest.mark.long
def test_an_interrupted_run_is_made_up_for(
    ask: Ask, playbook: Playbook, playbook_command: Command, primary: Primary
) -> None:
    """Killed after the files were written, before anything was restarted."""
    wait_until_whole(ask, primary)
    process = subprocess.Popen(
        playbook_command(), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    for line in process.stdout:
        if "Service | Restart one node" in line:
            break
    subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=True)
    process.wait()
    assert max(playbook().values()) > 0
    for name in (*NODES, "cache-single"):
        assert "maxmemory:268435456" in ask(name, "INFO memory", user="monitoring")
    assert set(playbook().values()) == {0}


@pytest.mark.long
def test_a_primary_without_a_standby_is_not_stopped(
    hosts: dict[str, Any], playbook: Playbook, playbook_command: Command, primary: Primary
) -> None:
    """Where no replica can take over, a run fails before it touches the primary."""
    name = primary()
    pid = main_pids(hosts)[name]
    replicas = [hosts[other] for other in NODES if other != name]
    for replica in replicas:
        replica.check_output("systemctl stop valkey-server")
    try:
        done = subprocess.run(
            playbook_command(f"--limit={name}", cache_maxmemory="320mb"),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for replica in replicas:
            replica.check_output("systemctl start valkey-server")
    assert done.returncode != 0
    assert f"{name} must stay primary" in done.stdout
    assert main_pids(hosts)[name] == pid
    playbook()


@pytest.mark.long
@pytest.mark.parametrize("unit", ["valkey-server", "valkey-sentinel"])
def test_a_primary_and_a_sentinel_that_hang_are_replaced(
    ask: Ask, primary: Primary, writer: StartWriter, hosts: dict[str, Any], unit: str
) -> None:
    """Whether or not Sentinel may choose another primary by then, nothing written is lost."""
    wait_until_whole(ask, primary)
    old = primary()
    others = [name for name in NODES if name != old]
    before = main_pids(hosts, unit)[old]
    running = writer(others[0])
    hosts[old].check_output(f"systemctl kill -s STOP {unit}")
    started = time.monotonic()
    while main_pids(hosts, unit)[old] in {before, "0"}:
        assert time.monotonic() - started < 60, f"{unit} on {old} still hangs"
        time.sleep(0.5)
    print(f"\n{unit} was replaced after {time.monotonic() - started:.1f} s")
    tally = running.stop()
    assert tally["lost"] == 0
    said = hosts[old].check_output("journalctl -o cat -u research-watchdog")
    assert f"{unit}.service hangs: it accepts a connection on port" in said
    wait_until_whole(ask, primary)
