"""Reading /proc as a bare host has it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ansible.module_utils.preflight import gather

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 0B004D0A:0016 01004D0A:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:23F0 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4713 1
"""  # noqa: E501
FIB = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.77.0.0
        /24 link UNICAST
     |-- 10.77.0.11
        /32 host LOCAL
     |-- 10.77.0.255
        /32 link BROADCAST
"""
ARP = """\
IP address       HW type     Flags       HW address            Mask     Device
10.77.0.10       0x1         0x2         02:42:ac:11:00:02     *        eth0
10.77.0.12       0x1         0x0         00:00:00:00:00:00     *        eth0
"""
MOUNTS = """\
overlay / overlay rw,relatime 0 0
/dev/sdb /var/lib ext4 rw,noexec 0 0
/dev/sdc /var/lib/open\\040search ext4 ro 0 0
"""


def test_listening_sockets() -> None:
    assert list(gather.parse_sockets(TCP)) == [("0.0.0.0", 443, "4711")]
    assert list(gather.parse_sockets(TCP6)) == [("::1", 9200, "4713")]


def test_own_addresses() -> None:
    assert gather.LOCAL_ADDRESS.findall(FIB) == ["10.77.0.11"]


def test_neighbours_that_answered() -> None:
    assert gather.parse_neighbours(ARP) == {"10.77.0.10": "02:42:ac:11:00:02"}


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/etc", ("/", ["rw", "relatime"])),
        ("/var/lib/opensearch", ("/var/lib", ["rw", "noexec"])),
        ("/var/library", ("/", ["rw", "relatime"])),
        ("/var/lib/open search/data", ("/var/lib/open search", ["ro"])),
    ],
)
def test_the_mount_of_a_path(path: str, mount: tuple[str, list[str]]) -> None:
    assert gather.mount_of(path, MOUNTS) == mount


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/haproxy.service\n", "haproxy.service"),
        ("1:name=systemd:/machine.slice/x.scope/system.slice/ssh.service\n0::/x\n", "ssh.service"),
        ("0::/system.slice/opensearch.service/sub\n", "opensearch.service"),
        ("0::/init.scope\n", ""),
    ],
)
def test_the_unit_behind_a_socket(tmp_path: Path, cgroup: str, unit: str) -> None:
    process = tmp_path / "42"
    (process / "fd").mkdir(parents=True)
    (process / "fd/7").symlink_to("socket:[4711]")
    (process / "cgroup").write_text(cgroup)
    (process / "comm").write_text("server\n")
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(TCP)
    assert list(gather.listeners(tmp_path)) == [
        {"port": 443, "address": "0.0.0.0", "process": "server", "unit": unit}
    ]


def test_this_machine_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        told = gather.gather([str(tmp_path / "not/yet")], ["127.0.0.1"])
    assert port in [listener["port"] for listener in told["listeners"]]
    assert told["paths"][str(tmp_path / "not/yet")]["exists"] is False
    assert told["memory"] > 2**28
    assert "127.0.0.1" in told["addresses"]
    assert told["answered"] == {"127.0.0.1": ""}
    assert told["system"]["id"]
