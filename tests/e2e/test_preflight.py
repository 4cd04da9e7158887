"""The refusals on real hosts: each is told before anything is changed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import INVENTORY, ROOT, Lab

PORT = 8499
MISTAKE = re.compile(r"^ +\d+\. ", re.MULTILINE)


def preflight(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the playbook against the lab."""
    command = ["ansible-playbook", "-i", str(INVENTORY), *arguments, "playbooks/preflight.yml"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def mistakes(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the sentences of a refusal, of a run that changed nothing."""
    assert done.returncode != 0, done.stdout
    assert not re.search(r"changed=[1-9]", done.stdout)
    return [line.strip() for line in done.stdout.splitlines() if MISTAKE.match(line)]


@pytest.fixture
def stranger(lab: Lab) -> Iterator[str]:
    """Let somebody else listen on a port of edge2."""
    lab["edge2"].check(f"systemd-run --collect --unit=stranger python3 -m http.server {PORT}")
    lab["edge2"].check(
        f"timeout 10 sh -c 'until grep -q :{PORT:04X} /proc/net/tcp; do sleep 0.2; done'"
    )
    yield "stranger.service"
    lab["edge2"].run("systemctl stop stranger")


def test_the_lab_is_accepted_and_left_as_it_is(lab: Lab) -> None:
    done = preflight()
    assert done.returncode == 0, done.stdout + done.stderr
    recap = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)
    assert dict(recap) == dict.fromkeys(lab.hosts, "0")


def test_a_port_held_by_a_stranger(stranger: str) -> None:
    (line,) = mistakes(preflight("-e", f"{{edge_stats_port: {PORT}}}"))
    assert f"edge2: edge_stats_port = {PORT} is taken by {stranger} (0.0.0.0)" in line


def test_a_heap_that_the_hosts_cannot_give() -> None:
    (line,) = mistakes(preflight("-e", "opensearch_heap=30g", "--limit", "opensearch"))
    assert "group opensearch: opensearch_heap = 30g is more than half of the host's memory" in line


def test_an_address_that_somebody_has() -> None:
    """The lab machine itself holds the network's first address."""
    lines = mistakes(preflight("-e", "edge_vip_address=10.77.0.1/24"))
    assert any("edge_vip_address = 10.77.0.1 is answered by a stranger" in line for line in lines)


def test_a_host_that_does_not_answer(tmp_path: Path) -> None:
    more = tmp_path / "more.yml"
    more.write_text(
        "all: {children: {storage: {hosts: {storage9: {ansible_host: 10.77.0.199}}}}}\n"
    )
    (line,) = mistakes(preflight("-i", str(more), "-e", "ansible_timeout=3"))
    assert "storage9: connection does not work" in line
    assert "leave it out of this run with --limit 'all:!storage9'" in line
