"""A run restarts what must restart, once, and nothing else; the first cluster is formed once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

HOST = "opensearch-1"
Process = Callable[[], str]
Shell = Callable[[str], str]

pytestmark = pytest.mark.timeout(600)  # they run playbooks


def test_the_request_for_a_cluster_is_gone(shell: Shell) -> None:
    assert shell("ls /run/opensearch.bootstrap 2>/dev/null") == ""
    assert "initial_cluster_manager_nodes" not in shell("cat /etc/opensearch/opensearch.yml")


def test_a_second_run_restarts_nothing(playbook: Any, process: Process) -> None:
    before = process()
    assert playbook() == {HOST: 0}
    assert process() == before


@pytest.mark.long
def test_another_heap_is_one_restart(
    playbook: Any, process: Process, shell: Shell, ask: Any
) -> None:
    uuid = ask("GET", "/", "admin").body["cluster_uuid"]
    before = process()
    playbook(opensearch_heap="560m")
    after = process()
    assert after != before
    assert "NRestarts=0" in after
    assert "Xmx560m" in shell("tr '\\0' ' ' < /proc/$(pgrep -o java)/cmdline")
    assert playbook(opensearch_heap="560m") == {HOST: 0}
    assert process() == after
    assert ask("GET", "/", "admin").body["cluster_uuid"] == uuid


@pytest.mark.long
def test_a_killed_node_is_started_without_the_rolling_path(
    playbook: Any, process: Process, shell: Shell
) -> None:
    shell("systemctl kill --signal=SIGKILL opensearch; systemctl stop opensearch")
    assert shell("systemctl is-active opensearch") in ("failed", "inactive")
    # The heap of the inventory again: the start takes it over, so nothing is left to roll.
    playbook()
    started = process()
    assert playbook() == {HOST: 0}
    assert process() == started


@pytest.mark.long
def test_a_renewed_certificate_is_taken_over_without_a_restart(
    playbook: Any, process: Process, shell: Shell
) -> None:
    before = process()
    serial = "openssl x509 -noout -serial"
    old = shell(f"{serial} -in /etc/opensearch/certs/host.pem")
    shell("rm /etc/research-pki/host.pem")
    playbook()
    new = shell(f"{serial} -in /etc/opensearch/certs/host.pem")
    assert new != old
    served = f"openssl s_client -connect localhost:9200 </dev/null 2>/dev/null | {serial}"
    deadline = time.monotonic() + 30
    while shell(served) != new and time.monotonic() < deadline:
        time.sleep(1)
    assert shell(served) == new
    assert process() == before
