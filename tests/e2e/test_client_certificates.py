"""An application host answers who proves to be an edge or one of its clients, and nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.e2e.conftest import (
    AS_THIS_HOST,
    SERVICE_NAME,
    VIP,
    Host,
    Lab,
    SearchTraffic,
    ready,
    run_site,
)
from tests.waiting import wait_until

TRUSTING = "--cacert /etc/research-pki/ca.pem"
SPOOFED = "-H 'X-Forwarded-For: 127.0.0.1'"
SETTINGS = "/etc/research-app/current/settings.toml"


def ask(caller: Host, node: Host, path: str, options: str) -> str:
    """Return the status that a host gets from a node past the edges; 000 where it gets none."""
    url = f"'https://{node.name}:7860{path}'"
    return caller.run(f"curl -s -o /dev/null -m 10 -w '%{{http_code}}' {options} {url}").out


@pytest.mark.parametrize("path", ["/live", "/ready", "/metrics", "/api/search?q=parsing"])
def test_without_a_certificate_nobody_is_answered(lab: Lab, path: str) -> None:
    node = lab.group("app")[0]
    for caller in (*lab.group("edge"), node):
        assert ask(caller, node, path, TRUSTING) == "000", caller.name
        assert ask(caller, node, path, f"{TRUSTING} {SPOOFED}") == "000", caller.name


def test_a_certificate_of_a_neighbour_is_not_enough(lab: Lab) -> None:
    """It is of the same authority, but its name is neither an edge nor a client of the node."""
    neighbour, node = lab.group("app")[:2]
    copied = "/run/neighbour.pem"
    pair = neighbour.check("cat /etc/research-pki/host.pem.key /etc/research-pki/host.pem")
    node.write(copied, pair)
    try:
        assert ask(node, node, "/live", f"{TRUSTING} --cert {copied}") == "000"
    finally:
        node.check(f"rm -f {copied}")
    journal = node.check("journalctl -u research-app --since -1min -o cat")
    assert "refused a connection" in journal and neighbour.name in journal


def test_forwarded_addresses_count_from_an_edge_alone(lab: Lab) -> None:
    """A node tells its metrics to itself; an edge that says it asks for the node is believed."""
    edge, node = lab.group("edge")[0], lab.group("app")[0]
    foreign = "-H 'X-Forwarded-For: 192.0.2.7'"
    at_its_address = f"{AS_THIS_HOST} --resolve {node.name}:7860:{node.address}"
    found = {
        "edge for the node": ask(edge, node, "/metrics", f"{AS_THIS_HOST} {SPOOFED}"),
        "edge for a reader": ask(edge, node, "/metrics", f"{AS_THIS_HOST} {foreign}"),
        "client that claims": ask(node, node, "/metrics", f"{at_its_address} {SPOOFED}"),
    }
    assert found == {
        "edge for the node": "200",
        "edge for a reader": "403",
        "client that claims": "403",
    }


def test_a_client_that_is_no_edge_asks_how_the_node_is_and_nothing_else(lab: Lab) -> None:
    edge, node = lab.group("edge")[0], lab.group("app")[0]
    for path in ("/live", "/ready", "/health", "/metrics"):
        at_home = f"{AS_THIS_HOST} --resolve {node.name}:7860:127.0.0.1"
        assert ask(node, node, path, at_home) == "200", path
    for path in ("/", "/api/search?q=parsing", "/static/site.css"):
        assert ask(node, node, path, AS_THIS_HOST) == "403", path
        assert ask(edge, node, path, AS_THIS_HOST) == "200", path


def test_limits_count_the_reader_behind_the_edge(lab: Lab) -> None:
    """Who guesses passwords is slowed down, whoever it says it is; another reader is not."""
    guesser, other = lab.group("cache")[:2]
    once = (
        "curl -s -o /dev/null -w '%{http_code} ' -X POST -H \"X-Forwarded-For: 192.0.2.$n\" "
        f"{TRUSTING} --resolve {SERVICE_NAME}:443:{VIP} https://{SERVICE_NAME}/api/token"
    )

    def statuses(reader: Host, times: int) -> Counter[str]:
        return Counter(reader.check(f"for n in $(seq {times}); do {once}; done", 120).split())

    guessed = statuses(guesser, 70)
    assert guessed["429"] >= 5, guessed
    assert statuses(other, 3)["429"] == 0


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("everything_up")
def test_a_site_that_asked_for_no_certificate_is_changed_without_a_failed_search(
    lab: Lab, searching: Callable[[], SearchTraffic], record: Callable[[str], None]
) -> None:
    """Hosts as an earlier release left them: nodes ask nobody, edges show nothing."""
    edges, nodes = lab.group("edge"), lab.group("app")
    addresses = ", ".join(f'"{edge.address}"' for edge in edges)
    by_address = (
        r"/^\[server\]/,/^\[s[^e]/{/^tls_ca = /d; /^edges = /d; /^clients = /d; "
        rf"s/^port = .*/&\ntrusted_proxies = [{addresses}]/}}"
    )
    for node in nodes:
        node.check(f"sed -i '{by_address}' {SETTINGS} && systemctl restart research-app", 90)
        wait_until(lambda node=node: ready(node), 60, f"{node.name} ready")  # type: ignore[misc]
    for edge in edges:
        edge.check("sed -i 's/ssl crt [^ ]* verify/ssl verify/' /etc/haproxy/haproxy.cfg")
        assert "reloaded" in edge.check("research-edge apply", timeout=90)
    assert ask(edges[0], nodes[0], "/live", TRUSTING) == "200"
    with searching() as traffic:
        done = run_site()
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    record(traffic.summary("application hosts begin to ask for certificates"))
    assert traffic.failures == []
    assert {ask(edges[0], node, "/live", TRUSTING) for node in nodes} == {"000"}
    assert {ask(edges[0], node, "/live", AS_THIS_HOST) for node in nodes} == {"200"}
