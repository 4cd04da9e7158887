"""The entries of a BibTeX file with their fields, as people and programs write them.

What BibTeX would stop at is mended where it is plain what was meant. Nothing here looks twice at
the same text without a bound, so that the time grows with the size of the file.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice

MAX_ENTRY = 256 * 1024
MAX_DEPTH = 100
# fewer in small files: entries of a few letters each are no library
MAX_ENTRIES = 500_000
MIN_ENTRIES = 10_000
LETTERS_AN_ENTRY = 350
# of values that @string gives, in all entries of a file, besides as much as the file has
MIN_EXPANDED = 8 * 1024 * 1024
# fields, and parts of values, in all of a file: fewer than one in so many letters, and some
LETTERS_A_FIELD = 20
MIN_FIELDS = 10_000
# heads of further entries that may stand inside of one
MAX_WITHIN = 3
# comments that are looked at for an end behind further entries, and have none
MAX_OPEN_COMMENTS = 100

# biblatex's set names entries that stand beside it, each for itself
NO_DOCUMENT = ("comment", "preamble", "string", "xdata", "set")

Strings = dict[str, str]


def _balanced(letter: str) -> str:
    """Braces with what is between them, which are closed as often as they are opened."""
    pattern = rf"\{{{letter}*+\}}"
    for _ in range(MAX_DEPTH - 1):
        pattern = rf"\{{(?:{letter}++|{pattern})*+\}}"
    return pattern


# BibTeX counts a brace behind a backslash like any other; many who write it do not
_BRACES = _balanced(r"[^{}]")
_ESCAPED_BRACES = _balanced(r"(?:[^{}\\]|\\.)")
CLOSED = {
    "{": (re.compile(_BRACES), re.compile(_ESCAPED_BRACES, re.S)),
    "(": (re.compile(rf'\((?:[^{{}}()"]++|{_BRACES}|"(?:[^{{}}"]++|{_BRACES})*+")*+\)'),),
}
HEAD = re.compile(r"@[ \t]*+(?:\r?\n[ \t]*+)?([^\W\d][\w-]*+)\s*+([{(])")
# the same at the beginning of a line, as only the next entry has it
NEXT = re.compile(
    r"^[ \t]*+@[ \t]*+(?:(?:string|comment|preamble)[ \t]*+[{(]"
    r"|[^\W\d][\w-]*+[ \t]*+[{(][^\s,={}()\"]*+[ \t]*+,)",
    re.M | re.I,
)
LOOK_BACK = 200
KEY = re.compile(r'\s*+([^,={}"#]*+)([,={}"#]|$)')
KEY_AND_NAME = re.compile(r"(\S+)\s++(\S+)\s*+\Z")
ODD_KEY = re.compile(r"\s*+([^\s,]++)\s*+(,|$)")
GAP = re.compile(r"(?:[\s,]++|%[^\n]*+(?:\n|$))*+")
FIELD = re.compile(r'([^\s,={}"#%]++)\s*+=\s*+')
BARE = re.compile(r'[^\s,#{}"]++')
QUOTED = re.compile(rf'"((?:[^"{{}}\\]++|\\.|{_BRACES})*+)"', re.S)
GLUE = re.compile(r"\s*+#\s*+")
SPACES = re.compile(r"\s*+")
# where a value ends that has no end of its own
NEXT_FIELD = re.compile(r"\n[ \t]*+,?[ \t]*+[A-Za-z][\w-]*+[ \t]*+=[ \t]*+[{\"\w]")
# where reading goes on behind something that is no field
RESUME = re.compile(r"[,\n][ \t]*+[A-Za-z][\w-]*+[ \t]*+=")


@dataclass
class Entry:
    """One entry: the names of form, key and fields in small letters, the values in LaTeX.

    Of the fields only the wanted ones are kept. `refused` says why there are none, `mended` what
    is wrong and taken all the same.
    """

    form: str
    key: str
    line: int
    fields: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    mended: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Span:
    """Where an entry stands in the text; what is between its braces."""

    form: str
    line: int
    start: int
    end: int
    fault: str = ""


def entries(text: str, wanted: Collection[str]) -> Iterator[Entry]:
    """The entries of a file in their order, each with those of the wanted fields that it has.

    Names that `@string` defines stand for their values, wherever in the file it does.
    """
    most = min(MAX_ENTRIES, MIN_ENTRIES + len(text) // LETTERS_AN_ENTRY)
    spans = list(islice(_spans(text), most + 1))
    reader = _Reader(text, wanted)
    reader.define_ahead(span for span in spans if span.form == "string")
    for span in spans[:most]:
        if span.form == "string":
            reader.define(span)
        elif span.form not in ("comment", "preamble"):
            yield reader.entry(span)
    for span in spans[most:]:
        fault = f"over {most:,} entries in one file; the rest is not read"
        yield Entry("misc", "the file", span.line, refused=fault)


def _spans(text: str) -> Iterator[_Span]:
    """Where the entries stand; one without its end goes to where the next begins."""
    line, counted, at, following, open_comments = 1, 0, 0, 0, 0
    while begin := HEAD.search(text, at):
        if not _begins(text, at, begin.start()):
            at = begin.end()
            continue
        line += text.count("\n", counted, begin.start())
        counted = begin.start()
        if following <= begin.start():
            found = NEXT.search(text, begin.end())
            following = found.start() if found else len(text)
        form, opening = begin[1].lower(), begin.end() - 1
        end = _end(text, opening, following, 0 if form == "comment" else MAX_WITHIN)
        if end is None and form == "comment" and open_comments < MAX_OPEN_COMMENTS:
            end = _end(text, opening, len(text), 0)  # it may have any number of entries in it
            open_comments += end is None
        if end is not None:
            yield _Span(form, line, opening + 1, end - 1)
            at = end
        else:
            limit = min(following, opening + MAX_ENTRY)
            yield _Span(form, line, opening + 1, limit, _why(text, opening, following))
            at = following


def _begins(text: str, last: int, at: int) -> bool:
    """Whether an @ begins an entry: not in a comment of its line, nor within an address."""
    before = text[max(last, at - LOOK_BACK) : at].rpartition("\n")[2]
    return not before or (
        "%" not in before and (before[-1].isspace() or before[-1] in "}),;]\ufeff")
    )


def _end(text: str, opening: int, following: int, within: int) -> int | None:
    """Behind what closes an entry before the next one or a few further; None where nothing does."""
    patterns = CLOSED[text[opening]]
    for pattern in patterns:
        if found := pattern.match(text, opening, min(following, opening + MAX_ENTRY)):
            return found.end()
    while within and following < len(text):
        within -= 1
        ahead = NEXT.search(text, following + 1, opening + MAX_ENTRY)
        following = ahead.start() if ahead else len(text)
        if found := patterns[0].match(text, opening, min(following, opening + MAX_ENTRY)):
            return found.end()
    return None


def _why(text: str, opening: int, following: int) -> str:
    """Why an entry has no end."""
    depth = 0
    for brace in re.finditer(r"[{}]", text[opening : min(following, opening + MAX_ENTRY)]):
        depth += 1 if brace[0] == "{" else -1
        if depth > MAX_DEPTH:
            return "its braces are nested too deeply"
    if following - opening > MAX_ENTRY:
        return f"it is over {MAX_ENTRY // 1024} KiB"
    return "it has no end: a closing brace is missing"


def _past(pattern: re.Pattern[str], text: str, at: int, end: int) -> int:
    """Behind what may stand there."""
    found = pattern.match(text, at, end)
    return found.end() if found else at


class _Reader:
    """Reads what is between the braces of entries."""

    def __init__(self, text: str, wanted: Collection[str]) -> None:
        self._text = text
        self._wanted = wanted
        self._strings: Strings = {}
        self._ahead: Strings = {}
        self._room = len(text) + MIN_EXPANDED
        self._fields_left = len(text) // LETTERS_A_FIELD + MIN_FIELDS

    def define_ahead(self, spans: Iterator[_Span]) -> None:
        """Note all strings, for those that are used before they are defined."""
        for span in spans:
            self.define(span)
        self._ahead, self._strings = self._strings, {}

    def define(self, span: _Span) -> None:
        """Note a string."""
        name = FIELD.match(self._text, _past(SPACES, self._text, span.start, span.end), span.end)
        if name and not span.fault:
            value = _Value(self, name.end(), span.end, name[1])
            with contextlib.suppress(_NoEndError, _TooManyError):
                if value.read() and not value.refused:
                    self._strings[name[1].lower()] = value.text

    def string(self, name: str) -> str | None:
        """What a name stands for."""
        found = self._strings.get(name.lower())
        return self._ahead.get(name.lower()) if found is None else found

    def count(self) -> None:
        """Count a field or a part of a value; _TooManyError where no library has as many."""
        self._fields_left -= 1
        if self._fields_left < 0:
            raise _TooManyError

    def spend(self, length: int) -> bool:
        """Whether there is still room for so much of what strings stand for."""
        self._room -= length
        return self._room >= 0

    def entry(self, span: _Span) -> Entry:
        """One entry."""
        entry = Entry(span.form, "", span.line)
        at = self._key(entry, span)
        if span.fault and not span.fault.startswith("it has no end"):
            entry.refused = span.fault
            return entry
        try:
            self._fields(entry, at, span)
        except _TooManyError:
            entry.refused = "the file has more fields than any library of its size"
        except _NoEndError as error:
            if not entry.fields:
                entry.refused = span.fault or "not BibTeX: a value in it has no end"
            entry.mended.append(f"{error}: its value has no end; it is left out")
        if span.fault and not entry.mended:
            entry.mended.append("its closing brace is missing; it ends where the next begins")
        return entry

    def _key(self, entry: Entry, span: _Span) -> int:
        """Take the key, and tell where the fields begin."""
        found = KEY.match(self._text, span.start, span.end)
        before, sign = (found[1].strip(), found[2]) if found else ("", "")
        if sign == ",":
            entry.key = "_".join(before.split())
            return found.end() if found else span.start
        if sign == "=":  # what stands there is the name of a field
            both = KEY_AND_NAME.match(before)
            if not both:
                return span.start
            entry.key = both[1]
            entry.mended.append(f"a comma is missing behind its key {both[1]}")
            return span.start + self._text[span.start : span.end].index(both[1]) + len(both[1])
        if odd := ODD_KEY.match(self._text, span.start, span.end):
            entry.key = odd[1]
            return odd.end()
        entry.key = before if sign == "" else ""
        return span.start if sign else span.end

    def _fields(self, entry: Entry, at: int, span: _Span) -> None:
        text, end = self._text, span.end
        comma = True
        while (at := _past(GAP, text, at, end)) < end:
            self.count()
            name = FIELD.match(text, at, end)
            if name is None:
                at = self._resume(entry, at, end)
                comma = True
                continue
            label = name[1].lower()
            if not comma:
                entry.mended.append(f"a comma is missing before {label}")
            value = _Value(self, name.end(), end, label, torn=bool(span.fault))
            if not (whole := value.read()):
                entry.mended.append(f"{label}: its value has no end; it ends where the next begins")
            if label in self._wanted:
                self._take(entry, label, value)
            at = _past(SPACES, text, value.at, end)
            comma = at >= end or text[at] in ",%" or not whole

    @staticmethod
    def _take(entry: Entry, label: str, value: _Value) -> None:
        if value.refused:
            entry.refused = value.refused
        for name in value.unknown:
            entry.mended.append(f'{label}: no @string defines "{name}"; the name stands for it')
        if value.text.strip() or label not in entry.fields:
            entry.fields[label] = value.text

    def _resume(self, entry: Entry, at: int, end: int) -> int:
        """Behind what is no field."""
        found = RESUME.search(self._text, at, end)
        until = found.start() if found else end
        left_out = " ".join(self._text[at : min(until, at + 200)].split())
        if left_out.strip("{}()\"',;"):
            entry.mended.append(f'"{left_out[:40]}" is no field; it is left out')
        return until


class _NoEndError(Exception):
    """A value goes on to where its entry ends; says of which field."""


class _TooManyError(Exception):
    """A file is of fields of a few letters each."""


class _Value:
    """What stands behind an equals sign: texts and names of strings, which # joins."""

    def __init__(
        self, reader: _Reader, at: int, end: int, label: str, *, torn: bool = False
    ) -> None:
        """:param torn: whether the entry has no end, so that braces in it may not be a pair"""
        self._label = label
        self._torn = torn
        self._reader = reader
        self._source = reader._text
        self.at = at
        self._end = end
        self._parts: list[str] = []
        self.unknown: list[str] = []
        self.refused = ""

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def read(self) -> bool:
        """Read it; whether it had an end. _NoEndError where none can be guessed."""
        source, end = self._source, self._end
        while True:
            sign = source[self.at : min(self.at + 1, end)]
            if sign == "{":
                if not self._braced():
                    return False
            elif sign == '"':
                if not self._quoted():
                    return False
            elif bare := BARE.match(source, self.at, end):
                self._name(bare[0])
                self.at = bare.end()
            glue = GLUE.match(source, self.at, end)
            if glue is None or self.refused:
                return True
            self._reader.count()
            self.at = glue.end()

    def _braced(self) -> bool:
        for pattern in CLOSED["{"]:
            if found := pattern.match(self._source, self.at, self._end):
                if self._torn and NEXT_FIELD.search(self._source, self.at, found.end()):
                    break
                self._parts.append(found[0][1:-1])
                self.at = found.end()
                return True
        return self._cut("{}, \t\r\n")

    def _quoted(self) -> bool:
        found = QUOTED.match(self._source, self.at, self._end)
        if found is None:
            return self._cut('", \t\r\n')
        behind = _past(SPACES, self._source, found.end(), self._end)
        if (
            behind < self._end
            and self._source[behind] not in ",#%})"
            and self._reaches(found.end())
        ):
            return True  # quotes within quotes
        self._parts.append(found[1])
        self.at = found.end()
        return True

    def _reaches(self, at: int) -> bool:
        """Take all up to the last quote on this line, if more of it is text than a next field."""
        line = self._source[at : min(self._end, at + 2000)].partition("\n")[0]
        if FIELD.match(line.lstrip()) or '"' not in line:
            return False
        last = at + line.rindex('"')
        self._parts.append(self._source[self.at + 1 : last])
        self.at = last + 1
        return True

    def _cut(self, signs: str) -> bool:
        """Let a value without end go to where a line begins with the next field."""
        found = NEXT_FIELD.search(self._source, self.at, self._end)
        if found is None:
            raise _NoEndError(self._label)
        self._parts.append(self._source[self.at : found.start()].strip(signs))
        self.at = found.start()
        return False

    def _name(self, name: str) -> None:
        value = name if name.isdecimal() else self._reader.string(name)
        if value is None:
            self.unknown.append(name[:40])
            value = name
        elif len(value) + sum(map(len, self._parts)) > MAX_ENTRY or not self._reader.spend(
            len(value)
        ):
            self.refused = f"the strings that it uses are over {MAX_ENTRY // 1024} KiB"
            value = ""
        self._parts.append(value)
