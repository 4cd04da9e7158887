"""References to documents, in the form that reference managers read."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)


def _verbatim(address: str) -> str:
    """What BibTeX takes as it is, so that only what would end it early is written otherwise."""
    return re.sub(r"[\s{}\\]", lambda found: quote(found[0]), address)


def _key(item: dict[str, Any]) -> str:
    names = item.get("authors") or ["anonymous"]
    family = names[0].split()[-1] if names[0].split() else "anonymous"
    word = next((word for word in re.findall(r"\w+", item["title"]) if len(word) > 3), "item")
    parts = (family, str(item.get("year") or ""), word)
    return re.sub(r"[^a-z0-9]", "", "".join(parts).lower()) or "item"


def bibtex(item: dict[str, Any]) -> str:
    """A BibTeX entry of what is known."""
    venue = item.get("venue", "")
    journal = "journal" in venue.lower() or "transactions" in venue.lower()
    if not venue or item["kind"] != "paper":
        form = "misc"
    else:
        form = "article" if journal else "inproceedings"
    fields = {
        "title": "{" + _escaped(item["title"]) + "}",
        "author": " and ".join(map(_escaped, item.get("authors", []))),
        "year": str(item.get("year") or ""),
        "journal" if journal else "booktitle": _escaped(venue),
        "doi": _verbatim(item.get("doi", "")),
        "url": _verbatim(item.get("url") or ""),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{form}{{{_key(item)},", *lines, "}"])
