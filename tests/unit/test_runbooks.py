"""The runbook of the health gate lists every code that the code can say, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RUNBOOK = "docs/runbooks/health-gate.md"
GATE = (
    "library/opensearch_health.py",
    "module_utils/opensearch_gate.py",
    "module_utils/opensearch_removal.py",
    "module_utils/opensearch_verdict.py",
)
SAID = re.compile(r'\.(no|note)\(\s*"([a-z_]+)"|code = "([a-z_]+)"')
# The state of a copy is its own code.
STATES = {"relocating", "initializing"}


def said(project: Path) -> set[str]:
    """Return the codes in the sources of the gate."""
    sources = [project / path for path in GATE]
    found = [match for path in sources for match in SAID.findall(path.read_text())]
    return {noted or assigned for _, noted, assigned in found} | STATES


def listed(project: Path, title: str) -> set[str]:
    """Return the codes in a table of the runbook."""
    section = (project / RUNBOOK).read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))


def test_every_code_is_explained_and_every_explained_code_exists(project: Path) -> None:
    assert listed(project, "Reasons") | listed(project, "Notes") == said(project)


def test_every_question_is_explained(project: Path) -> None:
    text = (project / RUNBOOK).read_text().split("## Reasons")[0]
    named = re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)
    module = (project / "library/opensearch_health.py").read_text()
    choices = module.split("    choices:\n")[1].split("  node:\n")[0]
    assert named == re.findall(r"- ([a-z_]+)", choices)


@pytest.mark.parametrize("runbook", ["health-gate", "add-and-remove-nodes"])
def test_what_a_runbook_names_exists(project: Path, runbook: str) -> None:
    text = (project / f"docs/runbooks/{runbook}.md").read_text()
    for path in re.findall(r"playbooks/\w+\.yml", text):
        assert (project / path).is_file(), path
    for link in re.findall(r"\]\(([\w-]+\.md)\)", text):
        assert (project / "docs/runbooks" / link).is_file(), link


def test_the_page_looks_for_a_request_as_the_runbook_says(project: Path) -> None:
    """In the message alone, which is where words are looked for, the application has no id."""
    query = 'request_id:="ID" or "ID"'
    assert f"`{query}`" in (project / "docs/runbooks/logs.md").read_text()
    page = "roles/ops_page/templates/config/etc/research-ops-page/page/page.js"
    assert f"`{query.replace('ID', '${id}')}`" in (project / page).read_text()
