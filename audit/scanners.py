"""Runs the scanners of this machine, sslyze and ssh-audit, against the hosts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from audit import checks
from audit.findings import Finding, not_measurable
from audit.relay import Relay, Tunnel
from audit.site import LOOK, Host

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# What the roles open on purpose without TLS, by the names of their firewall rules.
PLAIN = {"ssh", "edge-http"}
SSH_SECONDS = 60


def tls_ports(host: Host) -> list[int]:
    """Return the ports of a host that speak TLS by the inventory."""
    return sorted({rule.port for rule in host.rules if rule.name not in PLAIN})


def tls(hosts: Sequence[Host], timeout: float) -> list[Finding]:
    """Compare the TLS of every port with Mozilla's intermediate profile; two hosts at once.

    :param timeout: seconds for all of it
    """
    deadline = time.monotonic() + timeout
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda host: _tls(host, deadline), filter(tls_ports, hosts)))


def _tls(host: Host, deadline: float) -> Finding:
    left = deadline - time.monotonic()
    if host.seen is None or left <= 0:
        why = host.why_not(LOOK) if host.seen is None else "the time was over before its turn"
        return not_measurable("tls", host.name, why)
    relay = Relay(host.ssh_command())
    targets = {f"{host.name}:{port}": (relay, f"{host.address}:{port}") for port in tls_ports(host)}
    try:
        with Tunnel(targets) as tunnel:
            printed = sslyze(targets, tunnel.url, str(host.seen.get("authority", "")), left)
    except subprocess.TimeoutExpired:
        return not_measurable("tls", host.name, f"sslyze had not ended after {left:.0f} s")
    finally:
        relay.close()
    return checks.tls(host, tls_ports(host), checks.tls_issues(printed))


def sslyze(targets: Iterable[str], tunnel: str, authorities: str, timeout: float) -> str:
    """Return what sslyze prints of the targets.

    :param tunnel: URL of the proxy that reaches them
    :param authorities: certificates in PEM that sign theirs
    :param timeout: seconds
    """
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as trusted:
        trusted.write(authorities)
        trusted.flush()
        command = [sys.executable, "-m", "audit.tls_scan", "--mozilla_config=intermediate"]
        command += [f"--certinfo_ca_file={trusted.name}"] if authorities else []
        command += [f"--https_tunnel={tunnel}", *targets]
        done = subprocess.run(
            command, cwd=PROJECT, capture_output=True, text=True, timeout=timeout, check=False
        )
    return done.stdout


def ssh(hosts: Sequence[Host]) -> list[Finding]:
    """Let ssh-audit look at the ssh of every host; a few at once."""

    def one(host: Host) -> Finding:
        # Without the test of how many connections a second it bears: that is an attack.
        command = [str(BIN / "ssh-audit"), "--json", "--skip-rate-test"]
        command += ["--port", str(host.ssh["port"]), str(host.ssh["host"])]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SSH_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return not_measurable("ssh", host.name, f"ssh-audit took longer than {SSH_SECONDS} s")
        return checks.ssh(host, done.stdout)

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, hosts))
