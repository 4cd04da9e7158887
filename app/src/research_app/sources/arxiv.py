"""arXiv: papers by their number or by a query, as its Atom interface describes them.

arxiv:1911.12281           one paper (also arxiv:hep-th/9901001v2, several with commas)
arxiv:little disks operad  the papers that have these words
arxiv:ti:operad AND cat:math.QA   a query in arXiv's own language
https://arxiv.org/abs/1911.12281
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse
from pydantic import BaseModel

from research_app.sources.document import (
    Candidate,
    Kind,
    Refusal,
    RefusedError,
    one_line,
    ready,
    validated,
)
from research_app.sources.feed_xml import Wide
from research_app.sources.outcome import outcome
from research_app.sources.tools import Tools

PREFIX = "arxiv:"
API = "https://export.arxiv.org/api/query"
PAUSE_SECONDS = 3.0  # what arXiv asks of programs
PAGE = 100
MAX_PAPERS = 1000
MAX_BYTES = 16 * 1024 * 1024
MAX_ELEMENTS = 200_000  # an entry has some thirty, and a hundred entries are asked for at once

ATOM = "{http://www.w3.org/2005/Atom}"
ARXIV = "{http://arxiv.org/schemas/atom}"
TOTAL = "{http://a9.com/-/spec/opensearch/1.1/}totalResults"

NUMBER = re.compile(r"(?:\d{4}\.\d{4,5}|[a-z][a-z-]*(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?")
ADDRESS = re.compile(
    rf"https?://(?:www\.|export\.)?arxiv\.org/(?:abs|pdf)/(?P<number>{NUMBER.pattern})(?:\.pdf)?/?",
    re.I,
)
ENTRY = re.compile(rf"https?://arxiv\.org/abs/(?P<number>{NUMBER.pattern})")
VERSION = re.compile(r"v\d+$")
FIELD = re.compile(r"\b(?:ti|au|abs|co|jr|cat|rn|all|submittedDate):")


def is_reference(location: str) -> bool:
    """Whether a location names papers of arXiv."""
    return location.lower().startswith(PREFIX) or bool(ADDRESS.fullmatch(location.strip()))


def parameters(location: str) -> dict[str, str]:
    """What is asked of the interface."""
    if address := ADDRESS.fullmatch(location.strip()):
        return {"id_list": address["number"]}
    asked = one_line(location[len(PREFIX) :])
    numbers = [number.strip() for number in asked.split(",")]
    if all(NUMBER.fullmatch(number) for number in numbers):
        return {"id_list": ",".join(numbers)}
    if not asked:
        raise RefusedError("say which papers: arxiv:NUMBER or arxiv:WORDS")
    if FIELD.search(asked):
        return {"search_query": asked}
    words = re.findall(r"\w+", asked)
    return {"search_query": " AND ".join(f"all:{word}" for word in words)}


def described(entry: Element) -> dict[str, Any]:
    """The fields of a document that an entry gives."""
    found = ENTRY.match(_text(entry, f"{ATOM}id"))
    if found is None:
        raise RefusedError(f"arXiv says: {_text(entry, f'{ATOM}summary') or 'an unknown error'}")
    number = VERSION.sub("", found["number"])
    category = entry.find(f"{ARXIV}primary_category")
    subject = f" ({category.get('term')})" if category is not None else ""
    return {
        "id": f"arxiv:{number}",
        "title": _text(entry, f"{ATOM}title"),
        "abstract": _text(entry, f"{ATOM}summary"),
        "authors": [_text(author, f"{ATOM}name") for author in entry.iter(f"{ATOM}author")],
        "year": _text(entry, f"{ATOM}published")[:4],
        "venue": _text(entry, f"{ARXIV}journal_ref") or f"arXiv{subject}",
        "doi": _text(entry, f"{ARXIV}doi"),
        "url": f"https://arxiv.org/abs/{number}",
        "pdf_url": f"https://arxiv.org/pdf/{found['number']}",
    }


def _text(element: Element, name: str) -> str:
    return one_line(element.findtext(name) or "")


def _tree(content: bytes) -> Element:
    """The tree of an answer that has no more in it than answers have.

    :raises RefusedError: there is more in it
    """
    root: Element | None = None
    parts = iterparse(Wide(content), ("start",), forbid_dtd=True)
    for count, (_, element) in enumerate(parts, 1):
        root = element if root is None else root
        if count > MAX_ELEMENTS:
            raise RefusedError(f"over {MAX_ELEMENTS:,} elements: not an answer of arXiv's")
    assert root is not None  # noqa: S101 - without a root it is malformed
    return root


def parsed(content: bytes) -> dict[str, Any]:
    """How many papers there are in all, and what the entries of this page give, or why nothing."""
    try:
        root = _tree(content)
    except (ParseError, DefusedXmlException, ValueError):
        raise RefusedError("arXiv's answer cannot be read") from None
    total = _text(root, TOTAL)
    entries = root.findall(f"{ATOM}entry")
    return {
        "total": int(total) if total.isdecimal() else len(entries),
        "entries": [_outcome(entry) for entry in entries],
    }


def _outcome(entry: Element) -> dict[str, Any]:
    try:
        return {"fields": described(entry)}
    except RefusedError as error:
        return {"refused": str(error)}


class _Entry(BaseModel):
    """What is said of one entry."""

    fields: dict[str, Any] = {}
    refused: str = ""


class _Page(BaseModel):
    """What is said of one answer of arXiv's."""

    total: int
    entries: list[_Entry]


def read(location: str, kind: Kind, tools: Tools) -> Iterator[Candidate | Refusal]:
    """Every paper found, up to a limit."""
    asked = parameters(location)
    start, total = 0, 1
    while start < min(total, MAX_PAPERS):
        query = urlencode({**asked, "start": start, "max_results": PAGE})
        answer = tools.web.get(f"{API}?{query}", max_bytes=MAX_BYTES, pause=PAUSE_SECONDS)
        page = _Page.model_validate(tools.extraction.ask("arxiv", answer.content))
        total = page.total
        for entry in page.entries:
            yield outcome(location, partial(_candidate, entry, kind))
        if not page.entries:
            break
        start += len(page.entries)
    if total == 0:
        yield Refusal(location, "arXiv has no such paper")
    elif total > MAX_PAPERS:
        yield Refusal(location, f"only the first {MAX_PAPERS:,} of {total:,} papers were taken")


def _candidate(entry: _Entry, kind: Kind) -> Candidate:
    if entry.refused:
        raise RefusedError(entry.refused)
    document = validated(entry.fields | {"kind": kind})
    return ready(document, f"https://arxiv.org/abs/{document.id.removeprefix(PREFIX)}")
