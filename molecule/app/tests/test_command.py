"""The command research-app of a host: the service's rights, its own exit status, and an end."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def host(hosts: dict[str, Any]) -> Any:
    """Return one host."""
    return hosts["app-1"]


def test_output_and_status_are_passed_on(host: Any) -> None:
    assert host.check_output("research-app version")
    wrong = host.run("research-app nonsense")
    assert wrong.rc == 2 and "No such command" in wrong.stderr
    check = host.run("research-app check")
    assert check.rc == 1 and "no node answers" in check.stdout


def test_it_says_what_it_cannot_read(host: Any) -> None:
    host.run_test("install -m 0600 /dev/null /srv/papers.jsonl")
    refused = host.run("research-app ingest /srv/papers.jsonl")
    assert refused.rc == 66 and "cannot read /srv/papers.jsonl" in refused.stderr


def test_it_is_for_root_only(host: Any) -> None:
    refused = host.run("runuser -u research-app -- research-app check")
    assert refused.rc == 77 and "sudo" in refused.stderr


def test_an_interrupt_ends_it(host: Any) -> None:
    ended = host.run("timeout --preserve-status --signal=INT 1 research-app check")
    assert ended.rc == 130
    assert "research-app-command" not in host.check_output("systemctl list-units --all")


def test_an_ingest_without_opensearch_says_so(host: Any) -> None:
    host.run_test("echo '{}' >/srv/papers.jsonl; chmod 0644 /srv/papers.jsonl")
    failed = host.run("research-app ingest /srv/papers.jsonl")
    assert failed.rc == 3 and "OpenSearch" in failed.stderr
