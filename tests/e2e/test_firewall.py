"""Who may connect to what: every host to every host on every port that any of them serves."""

from __future__ import annotations

import json
import shlex
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import ROOT, Host, Lab

PORTS = (22, 80, 443, 6379, 7860, 8404, 9100, 9114, 9200, 9300, 26379)

# port: (groups that serve it, groups that may call it; None: everybody)
ALLOWED: dict[int, tuple[str, set[str] | None]] = {
    22: ("all", set()),
    80: ("edge", None),
    443: ("edge", None),
    6379: ("cache", {"app", "cache", "ops"}),
    7860: ("app", {"edge", "ops"}),
    8404: ("edge", {"ops"}),
    9100: ("all", {"ops"}),
    9114: ("opensearch", {"ops"}),
    9200: ("opensearch", {"app", "opensearch", "ops"}),
    9300: ("opensearch", {"opensearch"}),
    26379: ("cache", {"app", "cache", "ops"}),
}

# Run on a host: what scripts/audit tries the ports with.
PROBE = (
    (ROOT / "module_utils" / "port_probe.py").read_text()
    + """
import json, sys
print(json.dumps(probe(*json.load(sys.stdin), timeout=2)))
"""
)


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
        others = [host for host in hosts if host != caller]
        asked = json.dumps([[host.address for host in others], PORTS])
        command = f"echo {shlex.quote(asked)} | python3 -c {shlex.quote(PROBE)}"
        met = json.loads(caller.check(command, timeout=120))
        return {
            (caller.name, host.name, port): met[host.address][str(port)]
            for host in others
            for port in PORTS
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
