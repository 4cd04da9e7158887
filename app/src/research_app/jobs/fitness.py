"""Which jobs may be asked for over the network."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import get_args

from research_app.jobs.record import UnfitJobError
from research_app.settings import Settings
from research_app.sources.document import Kind

KINDS = ("ingest",)
# What the ingest fetches by itself, with its own guards.
REMOTE = ("http://", "https://", "arxiv:")


def check(settings: Settings, kind: str, argument: str, options: dict[str, str]) -> None:
    """Refuse a job that no curator may ask for; a command on a host may ask for more."""
    if kind not in KINDS:
        raise UnfitJobError(f"there is no job {kind!r}")
    if unknown := set(options) - {"kind"}:
        raise UnfitJobError(f"there is no option {min(unknown)!r}")
    if options.get("kind", "paper") not in get_args(Kind):
        raise UnfitJobError(f"there is no kind {options['kind']!r} of documents")
    if not argument.startswith(REMOTE):
        _check_path(argument, [*settings.jobs.folders, str(settings.library.directory)])


def _check_path(argument: str, folders: list[str]) -> None:
    """Symbolic links are followed before it is decided: they may lead anywhere."""
    if "\0" in argument or not argument.startswith("/"):
        raise UnfitJobError("give a full path, or an address on the web")
    path = Path(os.path.realpath(argument))
    if not any(path.is_relative_to(os.path.realpath(folder)) for folder in folders):
        raise UnfitJobError(f"the path must be below one of: {', '.join(folders)}")
