"""What scripts/activate puts on PATH is enough: nothing comes from what else is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FRESH_MACHINE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(Path.home())}
COMMANDS = (
    *("uv", "python", "pip", "pytest", "molecule", "pre-commit"),
    *("ansible-playbook", "ansible-inventory", "ansible-vault", "ansible-lint"),
    *("ruff", "mypy", "yamllint", "shellcheck"),
)


def activated(command: str) -> str:
    """Return what a shell with the folders of a fresh machine prints after scripts/activate."""
    return subprocess.run(
        ["/bin/bash", "-euc", f". scripts/activate >&2; {command}"],
        cwd=PROJECT,
        env=FRESH_MACHINE,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_scripts_comes_from_the_environment(command: str) -> None:
    assert activated(f"command -v {command} || true").strip() == str(
        PROJECT / ".venv" / "bin" / command
    )


def test_downloads_trust_the_authorities_of_the_machine() -> None:
    """An institution's proxy may sign for the registries."""
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if not bundle.exists():
        pytest.skip("this machine keeps its authorities elsewhere")
    assert activated("printenv SSL_CERT_FILE PIP_CERT").split() == [str(bundle)] * 2
