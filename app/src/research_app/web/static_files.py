"""Files under /static/: addressed by their content, so that they may be kept for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
PREFIX = "/static"
FOR_EVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=60"


def versions() -> dict[str, str]:
    """File → the first letters of its hash."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in sorted(FOLDER.iterdir())
        if path.is_file()
    }


class VersionedFiles(StaticFiles):
    """Lets caches keep a file for ever only where the address names this very content.

    During an upgrade a page of one version can ask a node of the other for its style sheet: what
    that node sends must not stay in a cache under that address.
    """

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)
        self._versions = versions()

    def address(self, name: str) -> str:
        """Where the current version of a file is."""
        return f"{PREFIX}/{name}?v={self._versions[name]}"

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve a file."""
        response = await super().get_response(path, scope)
        version = self._versions.get(path)
        asked = scope["query_string"].decode("latin-1")
        current = version is not None and asked == f"v={version}"
        response.headers["Cache-Control"] = FOR_EVER if current else BRIEFLY
        return response
