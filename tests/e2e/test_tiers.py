"""Each process has the rights in OpenSearch that it needs, and no other process's."""

from __future__ import annotations

import json
import re
import uuid

import pytest

from tests.e2e.conftest import AS_ADMINISTRATOR, Lab

OURS = {"research_web", "research_worker", "research_accounts"}


def test_the_users_are_those_of_this_release(lab: Lab) -> None:
    node = lab.group("opensearch")[0]
    api = f"https://{node.name}:9200/_plugins/_security/api/internalusers"
    found = set(json.loads(node.check(f"{AS_ADMINISTRATOR} --fail {api}")))
    others = {"research_admin", "research_monitoring", "research_backup", "research_logwriter"}
    assert found == OURS | others


@pytest.mark.parametrize(
    ("unit", "given"),
    [
        ("research-app", {"opensearch_password", "opensearch_accounts_password"}),
        ("research-worker", {"opensearch_worker_password"}),
    ],
)
def test_a_unit_holds_the_passwords_of_its_own_users(lab: Lab, unit: str, given: set[str]) -> None:
    for host in lab.group("app"):
        held = host.check(f"ls /run/credentials/{unit}.service").split()
        assert {name for name in held if name.startswith("opensearch_")} == given, host.name


def test_commands_do_with_the_rights_that_they_have(lab: Lab) -> None:
    app, word = lab.group("app")[0], f"numbat{uuid.uuid4().hex[:8]}"
    folder = f"/srv/research-library/{word}"
    paper = json.dumps({"id": word, "title": f"A study of the {word}", "year": 2020})
    app.check(f"mkdir -p {folder} && printf '%s\\n' '{paper}' >{folder}/papers.jsonl")
    app.check(f"touch {folder}/empty.pdf && chmod -R a+rX {folder}")
    try:
        shown = app.check(f"research-app ingest {folder} 2>&1", timeout=180)
        assert "1 new" in shown
        assert word in app.check("research-app quarantine 2>&1")
        assert "1 dismissed" in app.check(f"research-app quarantine --dismiss {folder}/empty.pdf")
        assert "items unused" in app.check("research-app retention --days 3650 2>&1")
        assert "admin" in app.check("research-app user list 2>&1")
        assert "FAILED" not in app.check("research-app check 2>&1")
    finally:
        app.check(f"rm -r {folder}")


def test_nothing_that_the_application_asked_for_was_refused(lab: Lab) -> None:
    """Whatever the tests before this one made it do: a missing right stands in the audit log."""
    refused = []
    for node in lab.group("opensearch"):
        for line in node.check("cat /var/log/opensearch/*_audit.json").splitlines():
            event = json.loads(line)
            user = event.get("audit_request_effective_user")
            action = event.get("audit_request_privilege", "")
            # The part of a request that goes to a shard (action[phase]) is refused by a node that
            # has just started and not read the roles yet; a missing right stops the whole request.
            whole = "[" not in action
            if event["audit_category"] == "MISSING_PRIVILEGES" and user in OURS and whole:
                refused.append(f"{node.name}: {user}: {action}, {event.get('audit_trace_indices')}")
    assert not refused, "\n".join(refused)


def test_no_journal_speaks_of_a_refusal(lab: Lab) -> None:
    for host in lab.group("app"):
        journal = host.check("journalctl --no-pager -o cat -u research-app -u research-worker")
        assert not re.findall(r".*\b403 security_exception.*", journal), host.name
