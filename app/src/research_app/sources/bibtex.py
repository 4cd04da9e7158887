"""BibTeX files: each entry on its own, so that a malformed one is refused alone."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import bibtexparser
from bibtexparser.bparser import BibTexParser
from bibtexparser.latexenc import latex_to_unicode

from research_app.extract.extraction import Extraction
from research_app.refusal import ReaderAwayError
from research_app.sources.document import (
    Candidate,
    Kind,
    Refusal,
    RefusedError,
    one_line,
    ready,
    validated,
)
from research_app.sources.outcome import outcome, refusal, until_hopeless

SUFFIX = (".bib",)
MAX_BYTES = 128 * 1024 * 1024
MAX_ENTRY = 256 * 1024
MAX_DEPTH = 100
MAX_ENTRIES = 500_000

BEGIN = re.compile(r"^[ \t]*@[ \t]*(\w+)[ \t]*([{(])", re.M)
MARK = re.compile(r"\\.|[{}()]", re.S)
NAME = re.compile(r"[^\s\"#%'(),={}]+")
KEY = re.compile(r"\s*([^\s,{}]*)")
HEAD = re.compile(r"(@\s*\w+\s*[{(])([^,={}()]*),")
NO_ENTRY = ("comment", "preamble")
VENUES = ("journal", "journaltitle", "booktitle", "publisher", "school", "institution")
YEAR = re.compile(r"\b(1\d{3}|2\d{3})\b")
TIE = re.compile(r"(?<!\\)~")
STYLE = re.compile(r"\\(?:emph|text[a-z]{2}|math[a-z]{2}|mbox|url|uppercase|enquote)\s*(?=\{)")
COMMAND = re.compile(r"\\[a-zA-Z]+\*?\s*|[{}]")
DOI_ADDRESS = re.compile(r"^(?:doi:\s*|https?://(?:dx\.)?doi\.org/)", re.I)


@dataclass(frozen=True)
class Entry:
    """The text of one entry, and the line on which it begins."""

    form: str
    key: str
    text: str
    line: int
    fault: str = ""


def entries(text: str) -> Iterator[Entry]:
    """The entries of a file; one without its end goes to where the next begins."""
    begins = list(islice(BEGIN.finditer(text), MAX_ENTRIES + 1))
    ends = _ends(text, {begin.end() - 1 for begin in begins})
    line, counted, skip_to = 1, 0, 0
    for number, begin in enumerate(begins):
        if begin.start() < skip_to:
            continue  # inside of the entry before
        line += text.count("\n", counted, begin.start())
        counted = begin.start()
        if number == MAX_ENTRIES:
            fault = f"over {MAX_ENTRIES:,} entries in one file; the rest is not read"
            yield Entry("misc", "the file", "", line, fault)
            return
        limit = begins[number + 1].start() if number + 1 < len(begins) else len(text)
        end, fault = _judged(text, begin.end() - 1, ends)
        skip_to = limit if fault else end
        found = KEY.match(text, begin.end())
        key = found[1] if found else ""
        yield Entry(begin[1].lower(), key, text[begin.start() : skip_to].strip(), line, fault)


def _judged(text: str, start: int, ends: dict[int, tuple[int, str]]) -> tuple[int, str]:
    """Behind what closes an entry, or what is wrong with it."""
    end, fault = ends.get(start, (len(text), "it has no end: a closing brace is missing"))
    if end - start > MAX_ENTRY:
        fault = f"it is over {MAX_ENTRY // 1024} KiB"
    return end, fault


def _ends(text: str, starts: set[int]) -> dict[int, tuple[int, str]]:
    """Where each brace or parenthesis that begins an entry is closed, or why it never is.

    All of them in one go: looking for the end of each by itself takes for ever where none has one.
    """
    found: dict[int, tuple[int, str]] = {}
    depth = 0
    # what encloses too much has been judged, so that the innermost braces are enough
    braces: deque[int] = deque(maxlen=MAX_DEPTH + 1)
    brackets: dict[int, list[int]] = {}  # entries in parentheses, by the depth at which they begin

    def judge(judged: Iterable[int], end: int, fault: str = "") -> None:
        for start in judged:
            if start in starts:
                found.setdefault(start, (end, fault))

    for mark in MARK.finditer(text):
        at, letter = mark.start(), mark[0]
        if letter == "{":
            braces.append(at)
            depth += 1
            if len(braces) > MAX_DEPTH:
                within = (braces[0], *brackets.pop(depth - 1 - MAX_DEPTH, ()))
                judge(within, at, "its braces are nested too deeply")
        elif letter == "}":
            judge(brackets.pop(depth, ()), at, "a closing brace has no opening one")
            depth = max(0, depth - 1)
            if braces:
                judge((braces.pop(),), at + 1)
        elif letter == ")":
            judge(brackets.pop(depth, ()), at + 1)
        elif letter == "(" and at in starts:
            brackets.setdefault(depth, []).append(at)
    return found


def plain(value: str) -> str:
    """Text without LaTeX: accents as letters, no braces and no commands."""
    text = latex_to_unicode(STYLE.sub("", TIE.sub(" ", value)))
    return one_line(COMMAND.sub("", text).replace("---", "\u2014").replace("--", "\u2013"))


def names(value: str) -> list[str]:
    """The names of an author field, given name first."""
    found = []
    for name in one_line(value).split(" and "):
        if name.lower() == "others":
            continue
        family, comma, given = (part.strip() for part in _partitioned(name))
        found.append(plain(f"{given} {family}" if comma else name))
    return [name for name in found if name]


def _partitioned(name: str) -> tuple[str, str, str]:
    """A name at its first comma that is not in braces."""
    depth = 0
    for at, letter in enumerate(name):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            return name[:at], ",", name[at + 1 :].rpartition(",")[2]
    return name, "", ""


def _parsed(entry: Entry, strings: dict[str, str]) -> dict[str, str]:
    parser = BibTexParser(common_strings=True, ignore_nonstandard_types=False)
    names_in_it = dict.fromkeys(NAME.findall(entry.text))
    needed = "\n".join(strings[name] for name in names_in_it if name in strings)
    if len(needed) > MAX_ENTRY:
        raise RefusedError(f"the strings that it uses are over {MAX_ENTRY // 1024} KiB")
    try:
        text = HEAD.sub(_without_spaces, entry.text, count=1)
        found = bibtexparser.loads(f"{needed}\n{text}\n", parser).entries
    except Exception as error:  # its grammar raises whatever its parts do
        raise RefusedError(f"not BibTeX ({type(error).__name__})") from None
    if len(found) != 1:
        raise RefusedError("not BibTeX: a comma, a quote or a name that is defined may be missing")
    return {name.lower(): str(value) for name, value in found[0].items()}


def _without_spaces(head: re.Match[str]) -> str:
    """The head of an entry whose key may have spaces in it, which no grammar allows."""
    return f"{head[1]}{'_'.join(head[2].split())},"


def described(known: dict[str, str]) -> dict[str, Any]:
    """The fields of a document that an entry gives."""
    authors = names(known.get("author") or known.get("editor") or "")
    year = YEAR.search(known.get("year") or known.get("date") or "")
    # one that is broken over two lines is still the same
    doi = "".join(DOI_ADDRESS.sub("", plain(known.get("doi", ""))).split())
    title = plain(known.get("title", ""))
    url = known.get("url", "").replace("\\", "").strip()
    fields: dict[str, Any] = {
        "title": title,
        "authors": authors,
        "year": int(year[1]) if year else None,
        "venue": next((plain(known[name]) for name in VENUES if known.get(name)), ""),
        "abstract": plain(known.get("abstract", "")),
        "doi": doi,
        "url": url or (f"https://doi.org/{doi}" if doi else None),
        "language": plain(known.get("language") or known.get("langid") or ""),
    }
    return fields | {"id": doi or f"bib-{_fingerprint(title, authors, fields['year'])}"}


def _fingerprint(title: str, authors: list[str], year: int | None) -> str:
    """The same for the same work, whatever the key of its entry is."""
    family = authors[0].split()[-1] if authors and authors[0].split() else ""
    words = re.findall(r"\w+", f"{title} {family} {year or ''}".casefold())
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:20]


def parsed(content: bytes) -> Iterator[dict[str, Any]]:
    """What each entry gives, or why nothing; its line and its key."""
    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)  # what it says is said below
    strings: dict[str, str] = {}
    for entry in entries(_decoded(content)):
        if entry.form in NO_ENTRY:
            continue
        if entry.form == "string" and not entry.fault:
            strings[entry.key.partition("=")[0]] = entry.text
            continue
        found: dict[str, Any] = {"line": entry.line, "key": entry.key, "refused": entry.fault}
        try:
            yield found if entry.fault else found | {"fields": described(_parsed(entry, strings))}
        except RefusedError as error:
            yield found | {"refused": str(error)}


def read(path: Path, kind: Kind, extraction: Extraction) -> Iterator[Candidate | Refusal]:
    """Every entry of a file."""
    return until_hopeless(path.name, _documents(path, kind, extraction))


def _documents(path: Path, kind: Kind, extraction: Extraction) -> Iterator[Candidate | Refusal]:
    count = 0
    try:
        if path.stat().st_size == 0:
            raise RefusedError("the file is empty")
        if path.stat().st_size > MAX_BYTES:
            raise RefusedError(f"the file is over {MAX_BYTES // 2**20} MiB")
        for found in extraction.stream("bibtex", path):
            count += 1
            source = f"{path.name}:{found['line']}"
            yield outcome(source, partial(_candidate, found, kind, source))
        if count == 0:
            raise RefusedError("no BibTeX entry in it")
    except ReaderAwayError:
        raise
    except (RefusedError, OSError) as error:
        yield refusal(path.name, error)


def _candidate(found: dict[str, Any], kind: Kind, source: str) -> Candidate:
    try:
        if reason := found["refused"]:
            raise RefusedError(reason)
        return ready(validated(found["fields"] | {"kind": kind}), source)
    except RefusedError as error:
        raise RefusedError(f"{found['key'] or 'an entry without a key'}: {error}") from None


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
