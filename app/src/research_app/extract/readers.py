"""Who reads what: a function for each kind of request, which gives the answers one by one.

They run in processes that end with the document, and are imported by those alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from research_app.extract import pdf

Read = Callable[[BinaryIO, dict[str, Any]], Iterator[Any]]


def _pdf(file: BinaryIO, _: dict[str, Any]) -> Iterator[Any]:
    yield pdf.extract(file)


READERS: dict[str, Read] = {
    "pdf": _pdf,
}
