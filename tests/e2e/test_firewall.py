"""Who may connect to what: every host to every host on every port that any of them serves."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import Host, Lab

PORTS = (22, 80, 443, 6379, 7860, 8404, 9200, 9300, 26379)

# port: (groups that serve it, groups that may call it; None: everybody)
ALLOWED: dict[int, tuple[str, set[str] | None]] = {
    22: ("all", set()),
    80: ("edge", None),
    443: ("edge", None),
    6379: ("cache", {"app", "cache", "ops"}),
    7860: ("app", {"edge", "ops"}),
    8404: ("edge", {"ops"}),
    9200: ("opensearch", {"app", "opensearch", "ops"}),
    9300: ("opensearch", {"opensearch"}),
    26379: ("cache", {"app", "cache", "ops"}),
}

# Tries all ports of all hosts at once; prints those that took the connection or refused it (RST
# passes the firewall too), leaving out those that were silently dropped.
PROBE = """
import concurrent.futures, json, socket, sys
def reached(target):
    address, port = target
    try:
        socket.create_connection((address, port), timeout=2).close()
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "dropped"
targets = json.load(sys.stdin)
with concurrent.futures.ThreadPoolExecutor(128) as pool:
    print(json.dumps(list(pool.map(reached, targets))))
"""


def expected(caller: Host, callee: Host, port: int) -> bool:
    served, callers = ALLOWED[port]
    if served not in callee.groups and served != "all":
        return False
    return callers is None or bool(callers & caller.groups)


@pytest.fixture(scope="module")
def found(lab: Lab) -> dict[tuple[str, str, int], str]:
    """Return what each host met with: (caller, callee, port) -> open, refused or dropped."""
    hosts = list(lab.hosts.values())

    def probe(caller: Host) -> dict[tuple[str, str, int], str]:
        targets = [(host, port) for host in hosts if host != caller for port in PORTS]
        asked = json.dumps([(host.address, port) for host, port in targets])
        out = caller.check(f"echo '{asked}' | python3 -c '{PROBE}'", timeout=120)
        return {
            (caller.name, host.name, port): result
            for (host, port), result in zip(targets, json.loads(out), strict=True)
        }

    matrix: dict[tuple[str, str, int], str] = {}
    with ThreadPoolExecutor(4) as pool:
        for part in pool.map(probe, hosts):
            matrix |= part
    return matrix


def test_the_matrix_is_as_the_inventory_asks(
    lab: Lab, found: dict[tuple[str, str, int], str]
) -> None:
    wrong = [
        f"{caller} -> {callee}:{port} is {result}"
        for (caller, callee, port), result in found.items()
        if (result == "open") != expected(lab[caller], lab[callee], port)
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_not_allowed_is_dropped_silently(
    lab: Lab, found: dict[tuple[str, str, int], str]
) -> None:
    told = [key for key, result in found.items() if result == "refused"]
    assert not told, f"a refused connection tells a scanner that the host is there: {told[:5]}"


def test_only_the_admin_network_reaches_ssh_and_statistics(lab: Lab) -> None:
    """The lab machine is the admin network; the matrix shows that no host is."""
    import socket

    for host in lab.hosts.values():
        socket.create_connection((host.address, 22), timeout=3).close()
    for edge in lab.group("edge"):
        socket.create_connection((edge.address, 8404), timeout=3).close()


def test_a_rule_that_nobody_asks_for_disappears(lab: Lab) -> None:
    from tests.e2e.conftest import run_site

    host = lab["app3"]
    host.check("ufw allow 12345/tcp comment 'research:left-behind'")
    done = run_site("--limit", "app3,localhost", "--tags", "firewall")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "12345" not in host.check("ufw status")
