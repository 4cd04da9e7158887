"""One host: what it says of itself, what it is allowed, what it does not give away, how it ends."""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

NAMES = ["app-1", "app-2"]
Get = Callable[..., tuple[int, Any]]


def seen_by_the_service(name: str) -> Path:
    """Return the file system as the service of a host has it, by way of this machine's /proc."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            served = b"/research-app\0serve\0" in (process / "cmdline").read_bytes()
            if served and (process / "root/etc/hostname").read_text().strip() == name:
                return process / "root"
        except OSError:  # it has ended
            continue
    raise AssertionError(f"{name} runs no research-app serve")


@pytest.mark.parametrize("name", NAMES)
def test_it_lives_and_says_which_part_is_down(get: Get, name: str) -> None:
    assert get(name, "/live")[0] == 200
    assert get(name, "/ready")[0] == 503
    status, health = get(name, "/health")
    assert status == 503
    parts = health.get("checks", health)
    assert {part: parts[part]["ok"] for part in ("opensearch", "cache", "disk", "memory")} == {
        "opensearch": False,
        "cache": False,
        "disk": True,
        "memory": True,
    }


def test_a_reader_who_trusts_another_authority_is_not_fooled() -> None:
    connection = HTTPSConnection("10.78.0.77", 7860, context=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/live")


@pytest.mark.parametrize("name", NAMES)
def test_the_sandbox_holds(
    hosts: dict[str, Any], main_pid: Callable[[str], str], name: str
) -> None:
    host, pid = hosts[name], main_pid(name)
    status = host.check_output(f"cat /proc/{pid}/status")
    assert re.search(r"CapEff:\s+0+\n", status) and re.search(r"CapBnd:\s+0+\n", status)
    assert re.search(r"NoNewPrivs:\s+1\n", status) and re.search(r"Seccomp:\s+2\n", status)
    uid = host.check_output("id --user research-app")
    assert re.search(rf"Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}\n", status)
    inside = seen_by_the_service(name)
    for path in ("etc/x", "opt/research-app/x", "usr/x"):
        with pytest.raises(OSError, match="Read-only file system"):
            (inside / path).touch()
    assert list((inside / "root").iterdir()) == []
    host.run_test("touch /tmp/outside")
    assert not (inside / "tmp" / "outside").exists()
    exposure = host.check_output("systemd-analyze security research-app --no-pager")
    level = re.search(r"exposure level for research-app.service: ([\d.]+)", exposure)
    assert level and float(level[1]) < 2


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_is_to_be_seen(hosts: dict[str, Any], ephemeral: Path, name: str) -> None:
    host = hosts[name]
    secrets = [
        (ephemeral / file).read_text().strip()
        for file in ("opensearch", "worker", "accounts", "cache", "sentinel", "signing")
    ]
    key = host.check_output("sed -n 2p /etc/research-pki/host.pem.key")
    looked_for = "\\n".join([*secrets, key])
    host.run_test(f"umask 077; printf '{looked_for}\\n' >/run/looked-for")
    places = {
        "credentials, where they belong": "cat /etc/research-app/current/credentials/*",
        "argv and environment": "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null",
        "unit": "systemctl show research-app; systemctl cat research-app",
        "journal": "journalctl --no-pager --output=export",
        "world-readable files": "find /etc /opt/research-app /run /tmp /usr/local /var /root"
        " -xdev -type f -perm /o+r -not -name '*.pyc' -print0 2>/dev/null | xargs -0 cat",
    }
    for place, look in places.items():
        count = "grep --count --text --fixed-strings --file=/run/looked-for"
        shown = host.run(f"{{ {look}; }} | tr '\\0' '\\n' | {count}")
        expected = str(len(secrets)) if place.startswith("credentials") else "0"
        assert shown.stdout.strip() == expected, f"a secret is in the {place}"
    files = host.check_output(
        "stat --format='%U %a' /etc/research-app/current/credentials/*"
    ).splitlines()
    assert set(files) == {"root 600"} and len(files) == len(secrets)
    assert host.file("/etc/research-app/current/settings.toml").contains("title_boost = 4.0")


def test_it_needs_no_package_of_the_system(hosts: dict[str, Any]) -> None:
    host = hosts["app-1"]
    assert not host.package("python3-venv").is_installed
    assert not host.package("python3-pip").is_installed
    python = "/opt/research-app/current/bin/python"
    assert host.check_output(f"{python} -c 'import gradio, research_app; print(1)'") == "1"
    assert host.run("ls /opt/research-app/incoming").failed


def test_it_drains_before_it_ends(hosts: dict[str, Any], get: Get) -> None:
    host, seen = hosts["app-2"], []
    stopping = threading.Thread(target=host.run, args=("systemctl stop research-app",))
    start = time.monotonic()
    stopping.start()
    while stopping.is_alive():
        try:
            seen.append((time.monotonic() - start, get("app-2", "/live", timeout=2)[0]))
        except OSError:
            break
        time.sleep(0.1)
    stopping.join()
    host.run_test("systemctl start research-app")
    print(f"served {len(seen)} requests in {seen[-1][0]:.1f} s after SIGTERM")
    assert seen[-1][0] >= 1.5 and {status for _, status in seen} == {200}
    last = "systemctl show research-app --property=ExecMainStatus,Result"
    journal = host.check_output("journalctl --unit=research-app --no-pager --output=cat | tail -40")
    assert "Failed with result" not in journal
    assert host.check_output(last).splitlines()[0] == "Result=success"
    assert get("app-2", "/live")[0] == 200


@pytest.mark.parametrize("name", NAMES)
def test_the_worker_is_there_and_off_where_there_are_no_jobs(
    hosts: dict[str, Any], name: str
) -> None:
    host = hosts[name]
    state = host.check_output("systemctl show research-worker --property=ActiveState,UnitFileState")
    assert sorted(state.splitlines()) == ["ActiveState=inactive", "UnitFileState=linked"]
    host.run_test("systemd-analyze verify /etc/systemd/system/research-worker.service")
    exposure = host.check_output("systemd-analyze security research-worker --no-pager")
    level = re.search(r"exposure level for research-worker.service: ([\d.]+)", exposure)
    assert level and float(level[1]) < 2
    refused = host.run("research-app jobs list")
    assert refused.rc == 3 and "the queue does not answer" in refused.stderr


def test_a_command_reads_its_input(hosts: dict[str, Any]) -> None:
    """A password that is handed over is taken, so that only OpenSearch is missing."""
    given = hosts["app-1"].run("echo correct horse battery | research-app user passwd anybody")
    assert given.rc == 3, given.stderr
    assert "OpenSearch: " in given.stderr


@pytest.mark.parametrize("shown", ["", "app-2", "edge-of-the-tests.evil"])
@pytest.mark.parametrize("path", ["/live", "/ready", "/metrics", "/"])
def test_who_is_no_edge_and_no_client_is_cut_off(get: Get, shown: str, path: str) -> None:
    """Its certificate may be of the same authority: hosts are told apart by name."""
    with pytest.raises(OSError, match=r"(?i)certificate|reset|closed|EOF"):
        get("app-1", path, shown=shown)


@pytest.mark.parametrize("path", ["/", "/login", "/api/search?q=parsing"])
def test_a_client_that_is_no_edge_asks_for_no_page(get: Get, path: str) -> None:
    assert get("app-1", path)[0] == 403
    assert get("app-1", path, shown="edge-of-the-tests")[0] != 403


@pytest.mark.parametrize(
    ("shown", "status"), [("edge-of-the-tests", 200), ("ops-of-the-tests", 403)]
)
def test_an_edge_alone_says_for_whom_it_asks(get: Get, shown: str, status: int) -> None:
    """Metrics are for the host itself here: that is who an edge says, and nobody else may."""
    forwarded = {"X-Forwarded-For": "127.0.0.1"}
    assert get("app-1", "/metrics", shown=shown, headers=forwarded)[0] == status


def test_metrics_are_for_the_monitoring_hosts(hosts: dict[str, Any], get: Get) -> None:
    assert get("app-1", "/metrics")[0] == 403
    shown = "--cert /etc/research-pki/host.pem --key /etc/research-pki/host.pem.key"
    asked = hosts["app-1"].check_output(
        f"curl --silent --insecure {shown} --resolve app-1:7860:127.0.0.1 https://app-1:7860/metrics"
    )
    assert "search_requests_total" in asked


@pytest.mark.parametrize(
    ("unit", "given"),
    [
        ("research-app", {"opensearch_password", "opensearch_accounts_password"}),
        ("research-worker", {"opensearch_worker_password"}),
    ],
)
def test_who_a_unit_is_in_opensearch(hosts: dict[str, Any], unit: str, given: set[str]) -> None:
    text = hosts[NAMES[0]].check_output(f"systemctl cat {unit}")
    assert set(re.findall(r"^LoadCredential=(opensearch_\w+):", text, re.MULTILINE)) == given


def test_the_worker_holds_what_it_uses(hosts: dict[str, Any]) -> None:
    text = hosts[NAMES[0]].check_output("systemctl cat research-worker")
    assert set(re.findall(r"^LoadCredential=(\w+):", text, re.MULTILINE)) == {
        "opensearch_worker_password",
        "cache_password",
        "cache_sentinel_password",
    }
