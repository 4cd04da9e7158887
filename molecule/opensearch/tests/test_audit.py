"""Who failed to sign in, who asked for what he may not, what changed: in a log of its own."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

EPHEMERAL = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
LOG = "/var/log/opensearch/research_audit.json"
API = "/_plugins/_security/api"
Shell = Callable[[str], str]
Event = dict[str, Any]


def events(shell: Shell, matches: Callable[[Event], bool]) -> list[Event]:
    """Return the events that match, as soon as there are some, or none after half a minute."""
    deadline = time.monotonic() + 30
    while True:
        found = [json.loads(line) for line in shell(f"cat {LOG}").splitlines()]
        wanted = [event for event in found if matches(event)]
        if wanted or time.monotonic() > deadline:
            return wanted
        time.sleep(1)


def test_a_sign_in_that_fails_is_logged(ask: Any, shell: Shell) -> None:
    secret = uuid.uuid4().hex
    assert ask("GET", "/", "research_web", password=secret).status == 401
    found = events(shell, lambda e: e["audit_category"] == "FAILED_LOGIN")
    assert found[-1]["audit_request_effective_user"] == "research_web"
    assert "audit_rest_request_body" not in found[-1]
    assert secret not in shell(f"cat {LOG}")


def test_a_request_for_what_one_may_not_is_logged(ask: Any, shell: Shell) -> None:
    assert ask("DELETE", "/research_assistant", "web").status == 403
    found = events(shell, lambda e: e["audit_category"] == "MISSING_PRIVILEGES")
    assert "research_web" in {event["audit_request_effective_user"] for event in found}


def test_a_change_of_a_role_is_logged_without_its_content(ask: Any, shell: Shell) -> None:
    def changes(event: Event) -> bool:
        return event["audit_category"] == "COMPLIANCE_INTERNAL_CONFIG_WRITE"

    before = len(events(shell, changes))
    mark = f"probe-{uuid.uuid4().hex[:8]}"
    role = {"cluster_permissions": ["cluster_monitor"], "description": mark}
    assert ask("PUT", f"{API}/roles/audited", "admin", role).status in (200, 201)
    assert ask("DELETE", f"{API}/roles/audited", "admin").status == 200
    found = events(shell, changes)
    assert len(found) > before
    assert "roles" in {event.get("audit_trace_doc_id") for event in found[before:]}
    assert mark not in shell(f"cat {LOG}")


def test_a_search_is_not_in_it(ask: Any, shell: Shell) -> None:
    words = f"secret-{uuid.uuid4().hex}"
    body = {"query": {"match": {"title": words}}}
    assert ask("POST", "/research_assistant/_search", "web", body).status == 200
    assert ask("POST", "/payroll/_search", "web", body).status == 403
    assert events(shell, lambda e: e["audit_category"] == "MISSING_PRIVILEGES")
    assert words not in shell(f"cat {LOG}")


def test_nobody_else_reads_it(shell: Shell) -> None:
    assert shell(f"stat -c '%U %a' {LOG}") == "opensearch 640"


def sign_in(source: str, password: str) -> str:
    """Sign in on the host, from one of its addresses; the status that comes back."""
    options = {
        "url": "https://localhost:9200/",
        "interface": source,
        "cacert": "/etc/research-pki/ca.pem",
        "user": f"research_monitoring:{password}",
        "output": "/dev/null",
        "write-out": "%{http_code}",
    }
    config = "silent\n" + "".join(f'{name} = "{value}"\n' for name, value in options.items())
    command = ["podman", "exec", "--interactive", "opensearch-1", "curl", "--config", "-"]
    done = subprocess.run(command, input=config, capture_output=True, text=True, check=False)
    return done.stdout


def test_who_guesses_passwords_is_refused_for_a_while_and_nobody_else() -> None:
    """By address: nobody can lock out a user whose name he knows."""
    right, stranger, host_of_the_site = (
        (EPHEMERAL / "monitoring").read_text().strip(),
        "127.0.0.2",
        "127.0.0.1",
    )
    for source in (stranger, host_of_the_site):
        assert [sign_in(source, uuid.uuid4().hex) for _ in range(3)] == ["401"] * 3
    assert sign_in(stranger, right) == "401"
    assert sign_in(host_of_the_site, right) == "200"
    deadline = time.monotonic() + 120
    while sign_in(stranger, right) == "401" and time.monotonic() < deadline:
        time.sleep(5)
    assert sign_in(stranger, right) == "200"
