"""What every test finds: the checkout's folders, and the modules' shared code importable."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import ansible.module_utils
import pytest

PROJECT = Path(__file__).resolve().parent.parent

# What Ansible does when it runs a module: module_utils/ is part of its package.
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the root of the checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Return promtool, of Debian's package."""
    subprocess.run([PROJECT / "lab/promtool"], check=True, timeout=110)
    cache = os.environ.get("RESEARCH_CACHE", "/var/cache/research-stack")
    return Path(cache) / "promtool/promtool"
