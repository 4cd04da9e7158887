"""Who is let in, and who is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]

USERS = ("replica", "sentinel", "monitoring", "research_app")
ALL = ("cache-1", "cache-2", "cache-3", "cache-single")
OTHER_CA = "/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt"


@pytest.mark.parametrize("port", [6379, 26379])
@pytest.mark.parametrize("name", ALL)
def test_tls_is_verified(hosts: dict[str, Any], name: str, port: int) -> None:
    """The chain leads to the internal authority and to no other; the name is the host's."""
    command = (
        f"openssl s_client -connect {name}:{port} -verify_return_error -verify_hostname {name}"
    )
    assert hosts[name].run(f"{command} -CAfile /etc/research-pki/ca.pem </dev/null").rc == 0
    assert hosts[name].run(f"{command} -no-CApath -CAfile {OTHER_CA} </dev/null").rc != 0
    old = hosts[name].run(f"{command} -CAfile /etc/research-pki/ca.pem -tls1_1 </dev/null")
    assert old.rc != 0


@pytest.mark.parametrize("port", [6379, 26379])
@pytest.mark.parametrize(
    ("ciphers", "accepted"),
    [("ECDHE+AESGCM", True), ("ECDHE+AES+SHA1", False), ("ECDHE+AES+SHA256:@SECLEVEL=0", False)],
)
def test_old_ciphers_are_refused(
    hosts: dict[str, Any], port: int, ciphers: str, accepted: bool
) -> None:
    """Of TLS 1.2 the suites of the edge alone: none with CBC."""
    done = hosts["cache-1"].run(
        f"openssl s_client -connect cache-1:{port} -tls1_2 -cipher '{ciphers}' </dev/null"
    )
    assert ("Cipher is ECDHE" in done.stdout) is accepted


@pytest.mark.parametrize("port", [6379, 26379])
@pytest.mark.parametrize(
    ("group", "accepted"), [("X25519", True), ("P-256", True), ("X448", False), ("P-521", False)]
)
def test_unusual_curves_are_refused(
    hosts: dict[str, Any], port: int, group: str, accepted: bool
) -> None:
    """Those of Mozilla's intermediate guideline alone."""
    done = hosts["cache-1"].run(
        f"openssl s_client -connect cache-1:{port} -groups {group} </dev/null"
    )
    assert ("Cipher is (NONE)" not in done.stdout) is accepted


@pytest.mark.parametrize("port", [6379, 26379])
def test_plain_text_is_refused(hosts: dict[str, Any], port: int) -> None:
    """No command is read from a connection without TLS."""
    answer = hosts["cache-1"].run(
        f"exec 3<>/dev/tcp/cache-1/{port}; printf 'PING\\r\\n' >&3; timeout 2 head -c 100 <&3"
    )
    assert "PONG" not in answer.stdout
    assert "NOAUTH" not in answer.stdout


@pytest.mark.parametrize("port", [6379, 26379])
def test_only_users_with_their_password(ask: Ask, port: int) -> None:
    """Not the default user, not a wrong password, nobody without one."""
    for user, password in (
        ("default", "x" * 24),
        ("research_app", "x" * 24),
        ("acl-", "x" * 24),
    ):
        answer = ask("cache-1", "PING", user=user, password=password, port=port)
        assert "WRONGPASS" in answer["error"]
    assert ask("cache-1", "PING", port=port) == "PONG"


@pytest.mark.parametrize("unit", ["valkey-server", "valkey-sentinel", "research-watchdog"])
def test_units_can_do_little(hosts: dict[str, Any], unit: str) -> None:
    """What systemd says of the unit's exposure, from 0 to 10."""
    analysed = hosts["cache-1"].check_output(f"systemd-analyze security --no-pager {unit}")
    level = float(analysed.rpartition("exposure level for")[2].split()[1])
    assert level <= 2.0, analysed


def test_each_user_does_its_own_only(ask: Ask) -> None:
    """Least privilege, asked for command by command."""
    refused = [
        ("research_app", "CONFIG GET masterauth"),
        ("research_app", "ACL LIST"),
        ("research_app", "FLUSHALL"),
        ("research_app", "REPLICAOF no one"),
        ("research_app", "GET elsewhere"),
        ("monitoring", "GET research:x"),
        ("monitoring", "CONFIG GET requirepass"),
        ("replica", "GET research:x"),
        ("replica", "INFO"),
        ("sentinel", "GET research:x"),
        ("sentinel", "CONFIG GET masterauth"),
    ]
    for user, command in refused:
        assert "NOPERM" in ask("cache-1", command, user=user)["error"], (user, command)
    assert "used_memory" in ask("cache-1", "INFO memory", user="monitoring")
    assert ask("cache-1", "LLEN research:none", user="monitoring") == 0
    failover = ask("cache-1", "SENTINEL failover research", port=26379)
    assert "NOPERM" in failover["error"]


@pytest.mark.parametrize("name", ALL)
def test_no_secret_lies_open(
    hosts: dict[str, Any], name: str, secret: Callable[[str], str]
) -> None:
    """Not in a file that others read, an argument, an environment or the journal."""
    host = hosts[name]
    for user in USERS:
        value = secret(user)
        readable = host.run(
            f"find /etc /run /var/lib /var/log -type f -perm /o+r -print0 "
            f"2>/dev/null | xargs -0 grep -lsF {value}"
        )
        assert readable.stdout == ""
        assert host.run(f"cat /proc/[0-9]*/environ | grep -aF {value}").stdout == ""
        assert value not in host.check_output("systemctl show valkey-server valkey-sentinel")
        assert host.run(f"journalctl --no-pager | grep -F {value}").stdout == ""
    titles = host.check_output("ps axo args | grep -F 'config=' | grep -v grep")
    assert titles.count("valkey-") == 2
    for path, mode in (
        ("/etc/research-cache/server.conf", 0o640),
        ("/etc/research-cache/users.acl", 0o640),
        ("/etc/research-cache/tls.pem.key", 0o600),
        ("/var/lib/valkey/server.conf", 0o600),
        ("/var/lib/valkey/sentinel.conf", 0o600),
    ):
        assert host.file(path).mode == mode, path


def test_the_service_is_confined(hosts: dict[str, Any]) -> None:
    """It can neither write to the system nor gain privileges, and its memory is limited."""
    shown = hosts["cache-1"].check_output(
        "systemctl show -p ProtectSystem,NoNewPrivileges,CapabilityBoundingSet,MemoryMax,User "
        "valkey-server"
    )
    assert set(shown.splitlines()) == {
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        f"MemoryMax={768 * 1024 * 1024}",
        "User=valkey",
    }
