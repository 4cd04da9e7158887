"""How the answers of a cache server and its Sentinel are judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.cache_node import (
    CacheError,
    File,
    Process,
    acl_fingerprint,
    knows_authorities,
    leaf_der,
    parse_info,
    reasons_no_standby,
    reasons_not_ready,
    reasons_to_restart,
    title_template,
    title_value,
    wait_for,
)

TITLE = "/usr/bin/valkey-server 192.0.2.1:6379  config=0123456789ab"
LOADED = {"loading": "0"}
REPLICA = {
    "role": "slave",
    "master_host": "cache1",
    "master_link_status": "up",
    "master_sync_in_progress": "0",
}


@pytest.mark.parametrize(
    ("title", "installed", "reasons"),
    [
        (TITLE, 50, []),
        (TITLE + "ff", 50, ["it runs with configuration 0123456789abff"]),
        (
            "/usr/bin/valkey-server 127.0.0.1:6379",
            50,
            ["it runs with configuration of the package"],
        ),
        ("", 50, ["it runs with configuration of the package"]),
        (TITLE, 101, ["its program was upgraded"]),
    ],
)
def test_what_runs_is_compared_with_what_should(
    title: str, installed: int, reasons: list[str]
) -> None:
    assert reasons_to_restart(Process(title, 100), "0123456789ab", installed) == reasons


@pytest.mark.parametrize(
    ("title", "modified", "known"),
    [
        (TITLE, 100, True),  # read at the start
        (TITLE, 101, False),  # written since
        (TITLE + " authorities=aaa", 101, True),  # read since
        (TITLE + " authorities=bbb", 50, False),
    ],
)
def test_authorities_are_read_at_the_start_or_on_demand(
    title: str, modified: int, known: bool
) -> None:
    assert knows_authorities(Process(title, 100), File("aaa", modified)) is known


def test_the_title_tells_what_was_put_into_it() -> None:
    title = title_template("abc", "def").replace("{title}", "/usr/bin/valkey-server")
    assert (title_value(title, "config="), title_value(title, "authorities=")) == ("abc", "def")


@pytest.mark.parametrize(
    ("users", "fingerprint"),
    [
        (["default", "acl-abc", "sentinel"], "abc"),
        (["default"], ""),
        (["acl-abc", "acl-def"], ""),  # nothing to rely on
    ],
)
def test_the_loaded_acl_is_known_by_its_mark(users: list[str], fingerprint: str) -> None:
    assert acl_fingerprint(users) == fingerprint


@pytest.mark.parametrize(
    ("replication", "persistence", "reasons"),
    [
        ({"role": "master"}, LOADED, []),
        (REPLICA, LOADED, []),
        ({"role": "master"}, {"loading": "1"}, ["the server loads its data"]),
        (REPLICA | {"master_link_status": "down"}, LOADED, ["its link to cache1 is down"]),
        (REPLICA | {"master_sync_in_progress": "1"}, LOADED, ["it copies the primary's data"]),
        ({}, LOADED, ["the server does not say what it is doing"]),  # unreadable is not ready
        ({"role": "master"}, {}, ["the server does not say what it is doing"]),
    ],
)
def test_ready_means_that_it_does_its_part(
    replication: dict[str, str], persistence: dict[str, str], reasons: list[str]
) -> None:
    assert reasons_not_ready(replication, persistence) == reasons


@pytest.mark.parametrize(
    ("replicas", "reasons"),
    [
        ([], ["it has no replica"]),
        (["ip=cache2,port=6379,state=online,offset=9,lag=0"], []),
        (
            ["ip=cache2,port=6379,state=online,offset=9,lag=9"],
            ["none of its replicas is up to date"],
        ),
        (
            ["ip=cache2,port=6379,state=wait_bgsave,offset=0,lag=0"],
            ["none of its replicas is up to date"],
        ),
        (["ip=cache2,state=wait_bgsave", "ip=cache3,state=online,lag=1"], []),
        (["nonsense"], ["none of its replicas is up to date"]),
    ],
)
def test_a_primary_needs_a_standby(replicas: list[str], reasons: list[str]) -> None:
    replication = {f"slave{number}": replica for number, replica in enumerate(replicas)}
    replication |= {"role": "master", "connected_slaves": str(len(replicas))}
    assert reasons_no_standby(replication) == reasons


@pytest.mark.parametrize(
    ("offset", "reasons"),
    [("90", []), ("89", ["its replicas have not everything yet"])],
)
def test_a_hand_over_waits_for_the_last_write(offset: str, reasons: list[str]) -> None:
    replication = {
        "role": "master",
        "master_repl_offset": "90",
        "slave0": "ip=cache2,port=6379,state=online,offset=90,lag=0",
        "slave1": f"ip=cache3,port=6379,state=online,offset={offset},lag=1",
    }
    assert reasons_no_standby(replication, exact=True) == reasons
    assert reasons_no_standby(replication) == []


def test_info_is_read_by_line() -> None:
    text = "# Replication\r\nrole:slave\r\nmaster_host:2001:db8::1\r\n\r\n"
    assert parse_info(text) == {"role": "slave", "master_host": "2001:db8::1"}


def test_the_leaf_is_the_first_certificate(tmp_path: Path) -> None:
    frame = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
    path = tmp_path / "host.pem"
    path.write_text(frame.format("AAAA") + frame.format("BBBB"))
    assert leaf_der(path) == b"\0\0\0"
    assert leaf_der(tmp_path / "none.pem") == b""


def test_waiting_ends_with_the_last_reasons() -> None:
    answers = iter([["first"], [], ["never asked"]])
    wait_for(lambda: next(answers), 5, pause=0)
    with pytest.raises(CacheError, match=r"after 0 s: still loading; no link"):
        wait_for(lambda: ["still loading", "no link"], 0, pause=0)

    def refuse() -> list[str]:
        raise CacheError("cache1:6379 does not answer")

    with pytest.raises(CacheError, match="does not answer"):
        wait_for(refuse, 0, pause=0)
