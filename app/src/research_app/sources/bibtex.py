"""BibTeX files: each entry on its own, so that a malformed one is refused alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from research_app.extract.extraction import Extraction
from research_app.refusal import ReaderAwayError
from research_app.sources.arxiv import NUMBER as ARXIV_NUMBER
from research_app.sources.bibtex_entries import NO_DOCUMENT, Entry, entries
from research_app.sources.document import (
    Candidate,
    Kind,
    Refusal,
    RefusedError,
    one_line,
    ready,
    validated,
)
from research_app.sources.latex import Latex
from research_app.sources.legacy_text import decoded
from research_app.sources.outcome import outcome, refusal, until_hopeless

SUFFIX = (".bib",)
MAX_BYTES = 128 * 1024 * 1024
MAX_MENDED = 5
# how far one entry inherits from another that inherits itself, and from how many at once
MAX_ANCESTORS = 10
MAX_PARENTS = 20
# what may be inherited in all, besides as much as the file has
MIN_INHERITED = 8 * 1024 * 1024

VENUES = ["journal", "journaltitle", "booktitle", "publisher"]
VENUES += ["school", "institution", "organization"]
# What stands for the title of an entry that has none.
TITLES = ["booktitle", "maintitle", "issuetitle", "titleaddon", "shorttitle", "eventtitle"]
TITLES += ["note", "howpublished"]
ADDRESSES = ["url", "howpublished", "ee", "link", "bdsk-url-1", "note"]
LANGUAGES = ["language", "langid"]
# What a chapter has of its book: not who wrote it, and nothing that names the book itself.
INHERITED = ["year", "date", "journal", "journaltitle", "publisher", "school", "institution"]
INHERITED += ["organization", *LANGUAGES]
# What an entry without a title has besides, unless it is a chapter: it is the same work.
WORK = ["title", "subtitle", "author", "editor", "booktitle", "volume", "pages"]
EPRINT = ["eprint", "archiveprefix", "eprinttype"]
WANTED = frozenset(
    ["abstract", "doi", "crossref", "xdata"]
    + (VENUES + TITLES + ADDRESSES + INHERITED + WORK + EPRINT)
)
EPRINT_FIELDS = {"eprint", "journal", "note"}
BOOKS = {"book", "mvbook", "collection", "mvcollection", "proceedings", "mvproceedings"}
# parts of a book by their author, and of one by several
PARTS_OF_BOOK = {"inbook", "bookinbook", "suppbook"}
CHAPTERS = PARTS_OF_BOOK | {"incollection", "inproceedings", "conference", "suppcollection"}
CHAPTERS |= {"inreference"}

YEAR = re.compile(r"(?<!\d)(1\d{3}|2\d{3})(?!\d)")
YEAR_ALONE = re.compile(r"\b(1\d{3}|2\d{3})\b")
DOI_ADDRESS = re.compile(r"^(?:doi:?\s*|(?:https?://)?(?:dx\.|www\.)?doi\.org/)+", re.I)
DOI = re.compile(r"10(?:\.\d{1,9}(?:\.\d+)*)?/\S+")
MAX_DOI = 200
BOOK_DOI = re.compile(r"10\.\d+/(?:isbn[.:]?)?97[89](?:-?\d){10}", re.I)
COMMAND_ADDRESS = re.compile(r"\\(?:url|path|nolinkurl|href)\s*\{([^{}]*)\}")
BARE_ADDRESS = re.compile(r"(?:[\w-]+\.)+[a-zA-Z]{2,24}(?:[:/?#]\S*)?")
MAX_ADDRESS = 2000
ARXIV = re.compile(rf"arxiv:\s*({ARXIV_NUMBER.pattern})", re.I)
EPRINTS = {
    "jstor": "https://www.jstor.org/stable/",
    "pubmed": "https://pubmed.ncbi.nlm.nih.gov/",
    "hdl": "https://hdl.handle.net/",
}
AND = re.compile(r" and (?:and )*", re.I)
COMMA = re.compile(",")
SEMICOLON = re.compile(";")
SEPARATED = re.compile(r";|,[^,]*+,")
BRACE = re.compile(r"([{}])")
MAX_NAMES = 100_000
# of one field: more than a document may have
MAX_WRITERS = 5001
NAME_PART = re.compile(r'"?\s*(given|family|prefix|suffix)\s*=\s*"?(.*?)"?', re.I)
NAME_NOTE = re.compile(r'"?\s*[a-z-]+\s*=', re.I)
AND_OTHERS = re.compile(r",? *(?:\bet\.? al\b\.?|\band others)$", re.I)


class Name(NamedTuple):
    """A name as it is shown, and its last word but a "Jr."."""

    shown: str
    family: str


class Names:
    """Reads author fields, and remembers the names in them."""

    def __init__(self, latex: Latex) -> None:
        self._latex = latex
        self._known: dict[str, Name] = {}

    def read(self, value: str, mended: list[str]) -> list[Name]:
        """The names of an author field, given name first; what is odd about it is noted."""
        value = one_line(value)
        if value.count("{") != value.count("}"):  # they cannot be told from those that belong there
            value = value.replace("{", "").replace("}", "")
        found = _split(f" {value} ", AND)
        if len(found) == 1 and SEPARATED.search(value):
            found = _without_and(value, mended)
        names = [self._name(name.strip()) for name in found[:MAX_WRITERS]]
        return [name for name in names if name.shown]

    def _name(self, value: str) -> Name:
        known = self._known.get(value)
        if known is None:
            known = _name(value, self._latex)
            if len(value) <= 100 and len(self._known) < MAX_NAMES:
                self._known[value] = known
        return known


def _without_and(value: str, mended: list[str]) -> list[str]:
    """The names of a list whose author used other signs than "and"."""
    if value.count(",") > MAX_WRITERS:
        return [value]
    if "&" not in value and len(by_semicolon := _split(value, SEMICOLON)) > 1:
        mended.append('its names are separated by ";" and not by "and"')
        return by_semicolon
    parts = [part.strip() for part in _split(value, COMMA)]
    if len(parts) < 3 or NAME_PART.match(parts[0]):
        return [value]
    said = 'its names are separated by "," and not by "and"'
    if all(" " in part for part in parts):
        mended.append(said)
        return parts
    if len(parts) > 3 and len(parts) % 2 == 0:
        mended.append(said)
        return [", ".join(parts[at : at + 2]) for at in range(0, len(parts), 2)]
    return [value]


def _split(value: str, mark: re.Pattern[str]) -> list[str]:
    """A text at the marks that are not in braces."""
    parts = mark.split(value)
    if len(parts) == 1 or all(part.count("{") == part.count("}") for part in parts):
        return parts  # none of them is in braces
    parts = [""]
    depth = 0
    for piece in BRACE.split(value):
        if depth == 0:
            first, *others = mark.split(piece)
            parts[-1] += first
            parts += others
        else:
            parts[-1] += piece
        depth += {"{": 1, "}": -1}.get(piece, 0)
    return parts


def _name(value: str, latex: Latex) -> Name:
    """A name: "First von Last", "von Last, First", "von Last, Jr, First" or named parts."""
    value = AND_OTHERS.sub("", value)
    if value.lower() in ("others", "al.", "al"):
        return Name("", "")
    parts = [part.strip() for part in _split(value, COMMA)]
    suffix = ""
    if "=" in value and all(map(NAME_NOTE.match, parts)):
        of = {part[1].lower(): part[2] for part in map(NAME_PART.fullmatch, parts) if part}
        name = " ".join(of.get(part, "") for part in ("given", "prefix", "family"))
        suffix = of.get("suffix", "")
    elif len(parts) > 1:
        name = f"{parts[-1]} {parts[0]}"
        suffix = parts[1] if len(parts) == 3 else ""
    else:
        name = value
    words = latex.plain(name)
    shown = f"{words} {latex.plain(suffix)}" if suffix else words
    return Name(shown.strip(), words.split()[-1] if words else "")


class _Library:
    """The entries of a file, and what they are for each other."""

    def __init__(self, found: list[Entry], size: int) -> None:
        self._by_key: dict[str, Entry] = {}
        for entry in found:
            if entry.key and not entry.refused:
                self._by_key.setdefault(entry.key.lower(), entry)
        self._fields: dict[int, dict[str, str]] = {}
        self._room = size + MIN_INHERITED
        self._latex = Latex()
        self._names = Names(self._latex)
        self._shared = _shared(found, self._latex)

    def fields(self, entry: Entry, generation: int = 0) -> dict[str, str]:
        """The fields of an entry, with what it inherits."""
        ready_made = self._fields.get(id(entry))
        if ready_made is not None:
            return ready_made
        if "xdata" not in entry.fields and "crossref" not in entry.fields:
            return entry.fields
        self._fields[id(entry)] = known = dict(entry.fields)  # also where two refer to each other
        if generation == MAX_ANCESTORS:
            return known
        for parent in self._parents(entry, "xdata"):
            self._inherit(known, self.fields(parent, generation + 1))
        for parent in self._parents(entry, "crossref")[:1]:
            book = self.fields(parent, generation + 1)
            same = not known.get("title") and entry.form not in CHAPTERS
            inherited = (*INHERITED, *WORK) if same else INHERITED
            wanted = {name: book[name] for name in inherited if name in book}
            if entry.form in PARTS_OF_BOOK and "editor" not in known and "author" in book:
                wanted["author"] = book["author"]
            if title := parent.fields.get("booktitle") or book.get("title"):
                wanted["journaltitle" if entry.form == "article" else "booktitle"] = title
            self._inherit(known, wanted)
        return known

    def _parents(self, entry: Entry, name: str) -> list[Entry]:
        found = []
        for key in entry.fields.get(name, "").split(",")[:MAX_PARENTS]:
            parent = self._by_key.get("_".join(key.split()).lower())
            if parent is not None:
                found.append(parent)
            elif key.strip():
                entry.mended.append(
                    f"{name}: no entry of the file has the key {one_line(key)[:60]}"
                )
        return found

    def _inherit(self, known: dict[str, str], offered: dict[str, str]) -> None:
        for name, value in offered.items():
            if not known.get(name):
                self._room -= len(value)
                if self._room < 0:
                    raise RefusedError("the entries of the file inherit too much from each other")
                known[name] = value

    def described(self, entry: Entry) -> dict[str, Any]:
        """The fields of a document that an entry gives; its faults are noted in the entry."""
        known, latex, mended = self.fields(entry), self._latex, entry.mended
        writers = self._writers(known, mended)
        doi = _doi(known, latex, mended)
        date = known.get("year") or known.get("date") or ""
        year = YEAR.search(date) or YEAR.search(known.get("date", ""))
        own = latex.plain(known.get("title", ""))
        title = _title(known, own, latex, mended)
        fields: dict[str, Any] = {
            "title": title,
            "authors": [name.shown for name in writers],
            "year": int(year[1]) if year else None,
            "venue": _first(known, VENUES, latex),
            "abstract": latex.plain(known.get("abstract", "")),
            "doi": doi,
            "language": _first(known, LANGUAGES, latex),
            **_addresses(known, doi, mended),
        }
        if latex.exhausted:
            mended.append("the file has more of LaTeX than is read; commands of it are left out")
        of_book = entry.form in CHAPTERS and (doi in self._shared or BOOK_DOI.fullmatch(doi))
        identity = "" if of_book else doi
        return fields | {"id": identity or _fingerprint(own or title, writers, entry)}

    def _writers(self, known: dict[str, str], mended: list[str]) -> list[Name]:
        for field in ("author", "editor"):
            faults: list[str] = []
            if known.get(field) and (found := self._names.read(known[field], faults)):
                mended += [f"{field}: {fault}" for fault in faults]
                return found
        return []


def _shared(found: Iterable[Entry], latex: Latex) -> set[str]:
    """The DOIs that works of different titles have: those of the book, not of its chapters."""
    titles: dict[str, set[str]] = {}
    shared = set()
    for entry in found:
        raw = entry.fields.get("doi")
        if raw and entry.form in CHAPTERS | BOOKS:
            doi = _doi(entry.fields, latex, [])
            words = set(re.findall(r"\w+", entry.fields.get("title", "").lower()))
            other = titles.setdefault(doi, words)
            if doi and len(words & other) * 2 < min(len(words), len(other)):
                shared.add(doi)
    return shared


def _title(known: dict[str, str], own: str, latex: Latex, mended: list[str]) -> str:
    """The title with the one below it; where there is none, what else says what it is."""
    if own:
        below = latex.plain(known.get("subtitle", ""))
        return f"{own}{'' if own[-1] in '.:?!' else '.'} {below}" if below else own
    for name in TITLES:
        instead = latex.plain(known.get(name, ""))
        if len(instead) > 3:
            mended.append(f"it has no title; its {name} stands for it")
            return instead[:300]
    # as papers are cited whose title nobody wrote down
    place = [latex.plain(known.get(name, "")) for name in ("journal", "volume", "pages")]
    place[0] = place[0] or latex.plain(known.get("journaltitle", ""))
    if place[0] and place[2]:
        mended.append("it has no title; its journal, volume and pages stand for it")
        return ", ".join(filter(None, (f"{place[0]} {place[1]}".strip(), place[2])))[:300]
    return ""


def _first(known: dict[str, str], fields: Iterable[str], latex: Latex) -> str:
    return next((latex.plain(known[name]) for name in fields if known.get(name)), "")


def _doi(known: dict[str, str], latex: Latex, mended: list[str]) -> str:
    # one that is broken over two lines is still the same
    if not known.get("doi"):
        return ""
    text = latex.plain(known["doi"])
    doi = "".join(DOI_ADDRESS.sub("", text).split())
    if not doi or (DOI.fullmatch(doi) and len(doi) <= MAX_DOI):
        return doi
    mended.append(f'doi: "{text[:60]}" is none; it is left out')
    return ""


def _addresses(known: dict[str, str], doi: str, mended: list[str]) -> dict[str, str | None]:
    """Where it is to be found: the address that it gives, else what its DOI or number leads to."""
    found = None
    for field in ADDRESSES:
        if doi and field != "url":
            break  # what it leads to is the work itself
        raw = known.get(field, "").strip()
        if raw and (field == "url" or "http" in raw or "\\url" in raw):
            found = _address(raw)
            if found is None and field == "url":
                mended.append(f'url: "{one_line(raw)[:60]}" is no web address; it is left out')
            if found:
                break
    eprint, pdf = _eprint(known)
    return {"url": found or (f"https://doi.org/{doi}" if doi else eprint), "pdf_url": pdf}


def _address(raw: str) -> str | None:
    command = COMMAND_ADDRESS.search(raw)
    text = (command[1] if command else raw).replace("\\textasciitilde", "~")
    text = re.sub(r"\$\\sim\$|\\~\{\}", "~", text)
    text = re.sub(r"[\\{}<>]", "", text).strip()
    at = text.lower().find("http")
    if at > 0 and not command:
        text = text[at:]
    address = text.split()[0].rstrip(";,") if text else ""
    if address.startswith("//"):
        address = f"https:{address}"
    elif BARE_ADDRESS.fullmatch(address):
        address = f"http://{address}"
    right = re.match(r"https?://\S", address, re.I) and len(address) <= MAX_ADDRESS
    return address if right else None


def _eprint(known: dict[str, str]) -> tuple[str | None, str | None]:
    """The addresses of a preprint and of its PDF."""
    if not EPRINT_FIELDS & known.keys():
        return None, None
    eprint = re.sub(r"[\\{}\s]", "", known.get("eprint", ""))
    archive = (
        (known.get("archiveprefix") or known.get("eprinttype") or "arxiv").strip(" {}").lower()
    )
    number = re.sub(r"^(?:https?://arxiv\.org/\w+/|arxiv:)", "", eprint, flags=re.I)
    if archive == "arxiv" and not ARXIV_NUMBER.fullmatch(number):
        named = ARXIV.search(known.get("journal", "") or known.get("note", ""))
        number = named[1] if named else ""
    if archive == "arxiv" and number:
        return f"https://arxiv.org/abs/{number}", f"https://arxiv.org/pdf/{number}"
    return (f"{EPRINTS[archive]}{number}" if number and archive in EPRINTS else None), None


def _fingerprint(title: str, writers: list[Name], entry: Entry) -> str:
    """The same for the same work, whatever the key of its entry is.

    Only of what the entry itself says, and of years that stand alone, so that a work keeps it when
    more is inherited or understood.
    """
    own = entry.fields
    found = YEAR_ALONE.search(own.get("year") or own.get("date") or "")
    family = writers[0].family if writers and own.keys() & {"author", "editor"} else ""
    words = re.findall(r"\w+", f"{title} {family} {found[1] if found else ''}".casefold())
    return f"bib-{hashlib.sha256(' '.join(words).encode()).hexdigest()[:20]}"


def parsed(content: bytes) -> Iterator[dict[str, Any]]:
    """What each entry gives: its `line` and `key`; `refused`, why it gives nothing, or `fields`.

    `mended` says what is wrong in it and taken all the same.

    :raises RefusedError: where the file is no text
    """
    text, said = decoded(content)
    found = list(entries(text, WANTED))
    library = _Library(found, len(text))
    for entry in found:
        if entry.form in NO_DOCUMENT:
            continue
        answer: dict[str, Any] = {"line": entry.line, "key": entry.key, "refused": entry.refused}
        try:
            if not entry.refused:
                answer["fields"] = library.described(entry)
                answer["mended"] = _in_short([*filter(None, [said]), *entry.mended])
                said = ""  # once, of the first document
        except RefusedError as error:
            answer["refused"] = str(error)
        yield answer


def _in_short(mended: list[str]) -> list[str]:
    """The first faults, and how many more there are."""
    shown = list(dict.fromkeys(mended))
    more = len(shown) - MAX_MENDED
    return [*shown[:MAX_MENDED], f"and {more} more faults"] if more > 0 else shown


def read(path: Path, kind: Kind, extraction: Extraction) -> Iterator[Candidate | Refusal]:
    """Every entry of a file."""
    return until_hopeless(path.name, _documents(path, kind, extraction))


def _documents(path: Path, kind: Kind, extraction: Extraction) -> Iterator[Candidate | Refusal]:
    count = line = on_line = 0
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise RefusedError(f"the file is over {MAX_BYTES // 2**20} MiB")
        if size == 0:
            raise RefusedError("the file is empty")
        for found in extraction.stream("bibtex", path):
            count += 1
            on_line = on_line + 1 if found["line"] == line else 1
            line = found["line"]
            source = f"{path.name}:{line}" + (f"#{on_line}" if on_line > 1 else "")
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
        document = validated(found["fields"] | {"kind": kind})
        return ready(document, source, tuple(found["mended"]))
    except RefusedError as error:
        raise RefusedError(f"{found['key'] or 'an entry without a key'}: {error}") from None
