"""What hosts may say of themselves that a run must not begin with."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import yaml
from ansible.module_utils.preflight.hosts import Answer, Site, host_mistakes
from ansible.module_utils.preflight.model import Inventory
from ansible.module_utils.preflight.report import sentences

from tests.unit.preflight_site import build

GIB = 2**30
RULES = {
    "edge": [{"name": "https", "port": 443, "from": ["any"]}],
    "opensearch": [{"name": "opensearch-http", "port": 9200, "from": ["app"]}],
}


def facts(address: str, **other: Any) -> dict[str, Any]:
    """Return what a host says that is as it should be."""
    return {
        "time": 1000.0,
        "root": True,
        "init": "systemd",
        "python": [3, 13],
        "architecture": "x86_64",
        "system": {"id": "debian", "version_id": "13"},
        "memory": 16 * GIB,
        "cpus": 4,
        "max_map_count": 65530,
        "sysctl_writable": True,
        "addresses": ["127.0.0.1", address],
        "paths": {
            "/var/lib/opensearch": {
                "exists": False,
                "mount": "/var",
                "options": ["rw"],
                "free": 50 * GIB,
            }
        },
        "listeners": [{"port": 22, "address": "0.0.0.0", "process": "sshd", "unit": "ssh.service"}],
        "units": ["haproxy.service", "ssh.service"],
        "answered": {},
        **other,
    }


def site(change: str = "", inventory: str = "") -> Site:
    """Return a site whose hosts answered well, but for a change.

    :param change: YAML, host -> facts
    :param inventory: YAML laid over the good inventory
    """
    built = with_units(build(inventory, RULES))
    changes: dict[str, Any] = yaml.safe_load(change) or {}
    answers = {
        name: Answer(
            facts=copy.deepcopy(facts(host.address, **changes.get(name, {}))),
            asked=999.5,
            answered=1000.5,
        )
        for name, host in built.hosts.items()
    }
    return Site(built, answers)


def with_units(inventory: Inventory) -> Inventory:
    """Return the inventory with the units of its services."""
    units = {"edge": ["haproxy.service"], "opensearch": ["opensearch.service"]}
    hosts = {name: replace(host, units=units) for name, host in inventory.hosts.items()}
    return replace(inventory, hosts=hosts)


MISTAKES = {
    "unsupported system": (
        "os1: {system: {id: rocky, version_id: '9.4'}}",
        ["os1: system = rocky 9.4", "install one of debian 12, debian 13, ubuntu 24.04"],
    ),
    "unsupported architecture": (
        "os1: {architecture: armv7l}",
        ["os1: architecture = armv7l", "x86_64 or aarch64"],
    ),
    "no systemd": ("os1: {init: runit}", ["process 1 = runit", "boot it with systemd"]),
    "old Python": ("os1: {python: [3, 9]}", ["Python = 3.9", "Python 3.11 or newer"]),
    "no root": ("os1: {root: false}", ["os1: ansible_become", "become root"]),
    "address that is elsewhere": (
        "os1: {addresses: [127.0.0.1, 10.0.0.99]}",
        ["base_address = 10.0.0.14", "is on no interface", "write one of 10.0.0.99"],
    ),
    "clock ahead": (
        "os1: {time: 1010.5}",
        ["clock = 10 s ahead of this machine", "preflight_clock_skew (2 s)", "timedatectl"],
    ),
    "clock behind": ("os1: {time: 900}", ["clock = 100 s behind this machine", "timedatectl"]),
    "maps that cannot be raised": (
        "os1: {sysctl_writable: false}",
        ["vm.max_map_count = 65530", "set it to 262144 on the machine"],
    ),
    "disk too small": (
        "os1: {paths: {/var/lib/opensearch: {exists: false, mount: /var, options: [rw], "
        "free: 1048576000}}}",
        ["/var/lib/opensearch = 1000 MB free", "preflight_disk_free (2048 MB)", "room on /var"],
    ),
    "disk full": (
        "os1: {paths: {/var/lib/opensearch: {exists: true, mount: /var, options: [rw], free: 9}}}",
        ["/var/lib/opensearch = 0 MB free", "no room to write", "make room on /var"],
    ),
    "disk that is read-only": (
        "os1: {paths: {/opt: {exists: true, mount: /, options: [ro], free: 99999999999}}}",
        ["os1: /opt is on a read-only file system", "mount / read-write"],
    ),
    "disk without exec": (
        "os1: {paths: {/opt: {exists: true, mount: /opt, options: [rw, noexec], "
        "free: 99999999999}}}",
        ["os1: /opt is on a file system without exec", "mount /opt with exec"],
    ),
    "port taken": (
        "edge1: {listeners: [{port: 443, address: 0.0.0.0, process: apache2, "
        "unit: apache2.service}]}",
        ["edge_https_port = 443", "taken by apache2.service (0.0.0.0)", "stop apache2.service"],
    ),
    "port taken by nobody known": (
        "os1: {listeners: [{port: 9200, address: '::', process: '', unit: ''}]}",
        ["opensearch_http_port = 9200", "an unknown process", "write another port"],
    ),
    "virtual address of a stranger": (
        "edge1: {answered: {10.0.0.100: '02:42:ac:11:00:02'}}",
        ["edge_vip_address = 10.0.0.100", "stranger (02:42:ac:11:00:02)", "that nobody has"],
    ),
}


@pytest.mark.parametrize(("change", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_once_with_its_remedy(change: str, said: list[str]) -> None:
    asked = site(change)
    lines = sentences(host_mistakes(asked), asked.inventory.groups)
    assert len(lines) == 1, "\n".join(lines)
    for part in said:
        assert part in lines[0]


def test_hosts_that_are_as_they_should_be_pass() -> None:
    assert host_mistakes(site()) == []


def test_too_little_memory() -> None:
    asked = site("os1: {memory: 6442450944}")
    lines = sentences(host_mistakes(asked), asked.inventory.groups)
    assert lines == [
        "os1: opensearch_heap = 4g is more than half of the host's memory (6g); "
        "write 3g or less, or leave it empty.",
        "os1: opensearch_memory_max = 8g is more than the host has (6g); write less than 6g.",
    ]


def test_a_write_pool_over_the_processors() -> None:
    asked = site(inventory="os1: {opensearch_settings: {thread_pool.write.size: 9}}")
    lines = sentences(host_mistakes(asked), asked.inventory.groups)
    assert len(lines) == 1
    assert "opensearch_settings.thread_pool.write.size = 9" in lines[0]
    assert "write 5 or less" in lines[0]


def test_our_own_services_may_hold_their_ports() -> None:
    own = "{port: 443, address: 0.0.0.0, process: haproxy, unit: haproxy.service}"
    assert host_mistakes(site(f"edge1: {{listeners: [{own}]}}")) == []


def test_a_service_vouches_for_a_socket_whose_owner_a_container_hides() -> None:
    listener = "{port: 443, address: 0.0.0.0, process: '', unit: ''}"
    assert host_mistakes(site(f"edge1: {{listeners: [{listener}]}}")) == []
    (mistake,) = host_mistakes(site(f"edge1: {{listeners: [{listener}], units: [ssh.service]}}"))
    assert mistake.problem == "is taken by an unknown process (0.0.0.0)"


def test_the_virtual_address_may_be_held_by_the_other_edge() -> None:
    change = """
    edge1: {answered: {10.0.0.100: '02:42:ac:11:00:02'}}
    edge2: {addresses: [10.0.0.11, 10.0.0.100]}
    """
    assert host_mistakes(site(change)) == []


def test_the_virtual_address_is_not_judged_while_an_edge_was_not_asked() -> None:
    asked = site("edge1: {answered: {10.0.0.100: '02:42:ac:11:00:02'}}")
    limited = {name: answer for name, answer in asked.answers.items() if name != "edge2"}
    assert host_mistakes(replace(asked, answers=limited)) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer(problem="unreachable", reason="Connection refused"),
            "os1: connection does not work (Connection refused); start it, or leave it out",
        ),
        (
            Answer(problem="sudo", reason="sudo: a password is required"),
            "os1: ansible_user = deploy cannot become root (sudo: a password is required); let",
        ),
        (
            Answer(problem="python", reason="it was not found"),
            "os1: ansible_python_interpreter = /usr/bin/python3.9 cannot be run (it was not found)",
        ),
        (
            Answer(problem="failed", reason="No space left on device"),
            "os1: module preflight_facts fails (No space left on device); see what ansible -m ping",
        ),
    ],
)
def test_a_host_that_did_not_answer(answer: Answer, said: str) -> None:
    asked = site(
        inventory="os1: {ansible_user: deploy, ansible_python_interpreter: /usr/bin/python3.9}"
    )
    answers = {**asked.answers, "os1": answer}
    (line,) = sentences(host_mistakes(replace(asked, answers=answers)), asked.inventory.groups)
    assert line.startswith(said)
