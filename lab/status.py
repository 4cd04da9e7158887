"""Shows the lab's hosts, services and cluster health. Run it as scripts/lab status."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from lab import site

# The units of each group; which of two a host has (haproxy or nginx) is up to its inventory.
UNITS: Mapping[str, tuple[str, ...]] = {
    "edge": ("haproxy", "nginx", "keepalived"),
    "app": ("research-app", "research-worker", "research-extract"),
    "opensearch": ("opensearch",),
    "cache": ("valkey-server", "valkey-sentinel", "redis-server", "redis-sentinel"),
    "ops": (
        "prometheus",
        "prometheus-alertmanager",
        "victoria-logs",
        "victoria-metrics",
        "research-ops-page",
    ),
}

# Run on a node of the cluster, with the certificate that only root can read there.
HEALTH = """
import json, ssl, urllib.request
pki = "/etc/research-pki/"
context = ssl.create_default_context(cafile=pki + "ca.pem")
context.load_cert_chain(pki + "opensearch-admin.pem", pki + "opensearch-admin.pem.key")
url = "https://%s:9200/_cluster/health"
print(urllib.request.urlopen(url, context=context, timeout=5).read().decode())
"""


@dataclass
class Seen:
    """What a host is like."""

    name: str
    address: str
    groups: list[str]
    running: bool = False
    system: str = ""
    units: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    vip: bool = False

    @property
    def well(self) -> bool:
        """Whether everything on it runs."""
        active = all(state == "active" for state in self.units.values())
        return self.running and active and not self.failed


def in_host(name: str, *command: str, stdin: str = "") -> str:
    """The output of a command inside a host, whatever its exit status."""
    line = ["podman", "exec", "--interactive", f"research-lab-{name}", *command]
    done = subprocess.run(line, input=stdin, capture_output=True, text=True, check=False)
    return done.stdout


def unit_states(shown: str) -> dict[str, str]:
    """Name and state of each unit that exists, from the output of systemctl show."""
    states = {}
    for block in shown.strip().split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if unit.get("LoadState") == "loaded":
            states[unit["Id"].removesuffix(".service")] = unit["ActiveState"]
    return states


def look(host: site.Host, vip: str, running: Iterable[str]) -> Seen:
    """Asks one host."""
    seen = Seen(host.name, host.address, sorted(host.groups & UNITS.keys()))
    seen.running = f"research-lab-{host.name}" in running
    if not seen.running:
        return seen
    units = [f"{unit}.service" for group in seen.groups for unit in UNITS[group]]
    seen.system = in_host(host.name, "systemctl", "is-system-running").strip()
    fields = "--property=Id,LoadState,ActiveState"
    seen.units = unit_states(in_host(host.name, "systemctl", "show", fields, *units))
    listed = in_host(host.name, "systemctl", "list-units", "--failed", "--plain", "--no-legend")
    seen.failed = [line.split()[0] for line in listed.splitlines() if line.strip()]
    seen.vip = f" {vip}/" in in_host(host.name, "ip", "-4", "-brief", "address")
    return seen


def cluster(seen: Iterable[Seen]) -> dict[str, Any]:
    """The health of the cluster, from the first node that answers."""
    for host in seen:
        if host.units.get("opensearch") == "active":
            answer = in_host(host.name, "python3", "-", stdin=HEALTH % host.name)
            if answer.startswith("{"):
                return dict(json.loads(answer))
    return {"status": "no answer"}


def table(hosts: Iterable[Seen], health: Mapping[str, Any]) -> str:
    """What people read."""
    lines = [f"{'host':9} {'address':12} {'systemd':9} services"]
    for host in hosts:
        units = ", ".join(f"{unit} {state}" for unit, state in sorted(host.units.items()))
        failed = f"; failed: {', '.join(host.failed)}" if host.failed else ""
        vip = " (VIP)" if host.vip else ""
        system = host.system if host.running else "stopped"
        lines.append(f"{host.name:9} {host.address:12} {system:9} {units}{vip}{failed}".rstrip())
    known = [f"{health.get('status')}"]
    if "number_of_nodes" in health:
        known.append(f"{health['number_of_nodes']} nodes")
        known.append(f"{health['active_shards']} shards started")
        known.append(f"{health['unassigned_shards']} unassigned")
    return "\n".join([*lines, f"cluster: {', '.join(known)}"])


def main() -> int:
    parser = site.options(__doc__)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    lab = site.read(given.profile)
    listing = ["podman", "ps", "--format", "{{.Names}}"]
    running = set(
        subprocess.run(listing, stdout=subprocess.PIPE, check=True).stdout.decode().split()
    )
    with ThreadPoolExecutor(4) as pool:
        hosts = list(pool.map(lambda host: look(host, lab.vip, running), lab.hosts))
    health = cluster(hosts)
    well = all(host.well for host in hosts) and health.get("status") == "green"
    if given.json:
        shown = [{**asdict(host), "well": host.well} for host in hosts]
        print(
            json.dumps({"profile": given.profile, "well": well, "hosts": shown, "cluster": health})
        )
    else:
        print(table(hosts, health))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
