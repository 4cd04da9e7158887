"""Lookup of the version under which a Python release is installed."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = r"""
name: python_release_version
short_description: Name a release after what it is made of
description:
  - The version of the project, or C(locked) where there is none, with a hash of the lock files and
    of the project's sources. Changed code or changed dependencies are thereby another release, and
    an unchanged tree is always the same one.
options:
  _terms:
    description: Lock files.
    required: true
  project:
    description: Folder of a project with a C(pyproject.toml); empty for none.
    type: str
    default: ""
"""

EXAMPLES = r"""
app_release: "{{ lookup('python_release_version', 'app/requirements.txt', project='app') }}"
"""

RETURN = r"""
_list:
  description: One version, for instance C(0.1.0-3f2a90bb12).
  type: list
"""

# What a checkout holds beside the sources, and does not go into the wheel.
NOT_SOURCE = {"__pycache__", "build", "dist", "tests", "uv.lock"}


class LookupModule(LookupBase):
    """Hashes lock files and the sources of a project."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:
        """Return the version.

        :param terms: lock files
        :param variables: the variables of the task
        :raises AnsibleLookupError: where a file cannot be read
        """
        self.set_options(var_options=variables, direct=kwargs)
        project = self.get_option("project")
        folder = Path(project) if project else None
        try:
            return [release_version([Path(term) for term in terms], folder)]
        except (OSError, KeyError, ValueError) as error:
            raise AnsibleLookupError(f"python_release_version: {error}") from error


def release_version(requirements: list[Path], project: Path | None) -> str:
    """Compose the version of a release.

    :param requirements: lock files
    :param project: folder of the project, if there is one
    """
    digest = hashlib.sha256()
    for path in requirements:
        digest.update(path.read_bytes())
    base = "locked"
    if project:
        with (project / "pyproject.toml").open("rb") as stream:
            base = tomllib.load(stream)["project"]["version"]
        for path in sorted(source_files(project)):
            digest.update(f"\0{path.relative_to(project)}\0".encode())
            digest.update(path.read_bytes())
    return f"{base}-{digest.hexdigest()[:10]}"


def source_files(folder: Path) -> Iterator[Path]:
    """Yield the files that a wheel can be made of.

    :param folder: where to look
    """
    for path in folder.iterdir():
        if path.name in NOT_SOURCE or path.name.startswith(".") or path.suffix == ".egg-info":
            continue
        if path.is_dir():
            yield from source_files(path)
        else:
            yield path
