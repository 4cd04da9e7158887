"""The tree of a feed: as XML where it is XML, and else as every podcast program reads it.

Expat reads what is well-formed. What it refuses (a blank line before the declaration, `&nbsp;`,
a bare `&`, control characters, prefixes that nobody declared, tags that are not closed) is read
once more by the reader below, which takes anything and follows no entity, in one go over the text.

feedparser (6.0.14) was measured for this and is not used. A well-formed feed of short items took it
2.7 s of CPU for each MB, 1 MB of empty elements about 27 s: both in proportion, and over what a
feed of 10 MB may take. Empty lines before a feed take the square of their number (10, 20 and 40 kB:
0.8, 4.1 and 16.9 s); these a guard could take away, the rest not.
"""

from __future__ import annotations

import html
import io
import re
from collections import Counter
from html.entities import html5
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, iterparse
from xml.parsers import expat

from defusedxml import DefusedXmlException, ElementTree

from research_app.refusal import RefusedError

# ten thousand episodes with thirty each; so many take a few seconds
MAX_PARTS = 300_000
# of starts and ends of tags, and of what else begins with "<"
MAX_MARKS = 1_000_000
# more than any feed opens within one another
MAX_DEPTH = 500
PIECE_BYTES = 2**20
ROOTS = ("rss", "feed", "rdf")
ITEMS = ("item", "entry")
# the name that an episode gets in the middle of which the text ends
CUT_OFF = "cut-off"

XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# prefixes by the addresses that they stand for, without http(s):// and in small letters
PREFIXES = {
    "www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "purl.org/rss/1.0/modules/content": "content",
    "podcastindex.org/namespace/1.0": "podcast",
    "github.com/podcastindex-org/podcast-namespace/blob/main/docs/1.0.md": "podcast",
    "search.yahoo.com/mrss": "media",
    "purl.org/dc/elements/1.1": "dc",
    "purl.org/dc/elements/1.0": "dc",
    "purl.org/dc/terms": "dcterms",
    "www.w3.org/2005/atom": "atom",
    "purl.org/atom/ns#": "atom",
    "www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf",
}
_XML = "http://www.w3.org/XML/1998/namespace"

_DECLARATION = re.compile(r"<\?xml\b[^<>]{0,1000}?\?>")
_SCHEME = re.compile(r"(?i)https?://")
# those of HTML 4 come from a list outside; of any others a feed may make what it likes
_ENTITY = re.compile(r'(?i)<!ENTITY\s(?!\s*%\s+\w+\s+PUBLIC\s+"-//W3C//ENTITIES)')
# A tag ends at the next ">" that is in no quotes, and before the next "<": so nothing is looked
# at twice. At the end of the text the ">" of an end may be cut off.
_MARK = re.compile(
    r"<(?:(?P<end>/?+)(?P<name>[^\W\d][\w.:-]*+)"
    r"""(?P<rest>(?:[^<>"']++|"[^"<]*+"|'[^'<]*+'|["'])*+)(?P<close>>?+)"""
    r"|(?P<mark>!\[CDATA\[|!--|!DOCTYPE|\?))",
    re.I,
)
_ATTRIBUTE = re.compile(
    r"""([^\s=<>"'/]++)\s*+(?:=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'<>]++)))?+"""
)
_REFERENCE = re.compile(r"&(?:#(?:\d{1,7}|[xX][0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class _MalformedError(Exception):
    """Where a text is no XML: a line, and how many letters of it are before the place."""

    def __init__(self, line: int, column: int) -> None:
        super().__init__()
        self.position = line, column


class _NoFeedError(Exception):
    """What was read is no feed, whatever else it is."""


def tree(text: str) -> tuple[Element, str]:
    """The root of a feed, and in a sentence where it is not well-formed XML, if it is not.

    Names are in small letters; those of namespaces that a feed is made of have their usual prefix
    ("itunes:author"), whatever the feed calls it, those of the feed itself have none ("item") or
    "atom:", all others have their address in braces.

    :raises RefusedError: when it is none, or has far more parts than its size allows for
    """
    declared = _DECLARATION.match(text)
    body = " " * declared.end() + text[declared.end() :] if declared else text
    try:
        return _named(_strict(body)), ""
    except DefusedXmlException:
        fault = "it declares entities"
    except (ParseError, _MalformedError) as error:
        line, column = error.position
        fault = f"the XML is malformed in line {line}, column {column + 1}"
    try:
        root = _Lenient(_CONTROL.sub("", text)).read()
    except _NoFeedError:
        raise RefusedError(f"not a feed: {fault}") from None
    return _named(root), fault


class Wide(io.BytesIO):
    """Gives more at a time than it is asked for.

    Expat begins a tag that is not complete again with each piece: in pieces of 16 KiB one tag of
    10 MB would take the square of its length.
    """

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(PIECE_BYTES)


def _strict(text: str) -> Element:
    # entities are declared in a DOCTYPE alone: what has none needs no guard, and is read by the
    # faster parser
    content = text.encode()
    guarded = "<!DOCTYPE" in text
    if not guarded:
        _check(content)
    read = ElementTree.iterparse if guarded else iterparse
    count = 0
    root: Element | None = None
    for _, element in read(Wide(content), ("start",)):
        root = element if root is None else root
        count += 1 + len(element.attrib)
        _limit(count)
    assert root is not None  # noqa: S101 - without a root it is malformed
    return root


def _check(content: bytes) -> None:
    """Look whether it is well-formed before a tree is made that would be of no use.

    :raises _MalformedError: it is not
    """
    try:
        expat.ParserCreate("utf-8", "}").Parse(content, True)
    except expat.ExpatError as error:
        raise _MalformedError(error.lineno, error.offset) from None


def _limit(count: int) -> None:
    if count > MAX_PARTS:
        raise RefusedError(f"over {MAX_PARTS:,} elements and attributes: not a feed")


class _Lenient:
    """Reads tags as they come; what is no tag is text, and what is not closed is closed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._builder = TreeBuilder()
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._count_of: Counter[str] = Counter()
        self._prefixes = {prefix: f"https://{address}" for address, prefix in PREFIXES.items()}
        self._prefixes["xml"] = _XML
        self._parts = 0
        self._ended = False
        self._cut = False
        self._absent: set[str] = set()

    def read(self) -> Element:
        """The root; raises _NoFeedError where no feed begins."""
        position = marks = 0
        while not self._ended and (mark := _MARK.search(self._text, position)):
            self._words(_unescaped(self._text[position : mark.start()]))
            position = self._take(mark)
            marks += 1
            if marks > MAX_MARKS:
                raise RefusedError(f'over {MAX_MARKS:,} times "<": not a feed')
        if not self._open and not self._ended:
            raise _NoFeedError
        self._cut = any(self._count_of[name] for name in ITEMS)
        while self._open:
            self._close_last()
        return self._builder.close()

    def _take(self, mark: re.Match[str]) -> int:
        """Act on what begins with "<", and say where it ends."""
        if kind := mark["mark"]:
            return self._special(kind.upper(), mark.start(), mark.end())
        if not mark["close"] and not (mark["end"] and mark.end() == len(self._text)):
            self._words("<")
            return mark.start() + 1
        if mark["end"]:
            self._end(mark["name"])
        else:
            rest = mark["rest"]
            self._start(mark["name"], _attributes(rest))
            if rest.endswith("/"):
                self._end(mark["name"])
        return mark.end()

    def _special(self, kind: str, start: int, position: int) -> int:
        if kind == "!DOCTYPE":
            return self._doctype(start, position)
        end = {"![CDATA[": "]]>", "!--": "-->", "?": ">"}[kind]
        at = -1 if end in self._absent else self._text.find(end, position)
        if at < 0:
            self._absent.add(end)
            self._words("<")
            return start + 1
        if kind == "![CDATA[":
            self._words(self._text[position:at])
        return at + len(end)

    def _doctype(self, start: int, position: int) -> int:
        """Pass over it; before the root alone it is one, and then it may hold declarations."""
        if self._open:
            self._words("<")
            return start + 1
        end = self._text.find(">", position)
        inner = self._text.find("[", position, end if end >= 0 else None)
        if inner >= 0:
            close = self._text.find("]", inner)
            if _ENTITY.search(self._text, inner, close if close >= 0 else len(self._text)):
                raise RefusedError(
                    "the feed defines entities, which can pull in files of this machine or fill"
                    " its memory; no podcast needs them"
                )
            end = self._text.find(">", close) if close >= 0 else -1
        if end < 0:
            raise _NoFeedError
        return end + 1

    def _words(self, words: str) -> None:
        if self._open:
            self._builder.data(words)
        elif words.strip("\ufeff\t\r\n "):
            raise _NoFeedError

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name.rpartition(":")[2].lower() not in ROOTS:
            raise _NoFeedError
        local = name.lower()
        if local in ITEMS and self._count_of[local]:
            self._end(local)  # one is never within another
        self._parts += 1 + len(attributes)
        _limit(self._parts)
        if len(self._open) >= MAX_DEPTH:
            raise RefusedError(f"over {MAX_DEPTH} elements within one another: not a feed")
        before = self._declare(attributes)
        self._open.append((local, before))
        self._count_of[local] += 1
        self._builder.start(
            self._in_full(name, with_default=True),
            {self._in_full(key): value for key, value in attributes.items()},
        )

    def _declare(self, attributes: dict[str, str]) -> dict[str, str | None]:
        """Take in what prefixes an element declares; what they stood for before comes back."""
        before: dict[str, str | None] = {}
        for key in [key for key in attributes if key == "xmlns" or key.startswith("xmlns:")]:
            prefix = key[6:].lower()
            before[prefix] = self._prefixes.get(prefix)
            self._prefixes[prefix] = attributes.pop(key)
        return before

    def _in_full(self, name: str, *, with_default: bool = False) -> str:
        prefix, colon, local = name.rpartition(":")
        address = self._prefixes.get(prefix.lower()) if colon or with_default else None
        return f"{{{address}}}{local}" if address else name

    def _end(self, name: str) -> None:
        """Close an element and what was not closed within it; an end of nothing is passed over."""
        local = name.lower()
        if self._count_of[local]:
            while self._close_last() != local:
                pass
            self._ended = not self._open

    def _close_last(self) -> str:
        local, before = self._open.pop()
        self._count_of[local] -= 1
        for prefix, address in before.items():
            if address is None:
                del self._prefixes[prefix]
            else:
                self._prefixes[prefix] = address
        element = self._builder.end("")
        if self._cut and local in ITEMS:
            element.tag = CUT_OFF
        return local


def _attributes(text: str) -> dict[str, str]:
    return {
        name: _unescaped(quoted or single or bare).strip()
        for name, quoted, single, bare in _ATTRIBUTE.findall(text)
    }


def _unescaped(text: str) -> str:
    """Text with its character references and the entities of HTML read; "&" alone stays."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(reference: re.Match[str]) -> str:
    if name := reference[1]:
        return html5.get(f"{name};", reference[0])
    return html.unescape(reference[0])


def _named(root: Element) -> Element:
    """The same tree, its elements named alike in all feeds."""
    names: dict[str, str] = {}
    own = _own(root)
    core = "atom:" if _local(root.tag) == "feed" else ""
    for element in root.iter():
        tag = element.tag
        if tag not in names:
            names[tag] = _name(tag, own, core)
        element.tag = names[tag]
    return root


def _own(root: Element) -> str:
    """The namespace of the feed itself; in RDF that is another one than the root's."""
    if _local(root.tag) != "rdf":
        return _address(root.tag)
    for child in root:
        if _local(child.tag) in ("channel", "item"):
            return _address(child.tag)
    return ""


def _name(tag: str, own: str, core: str) -> str:
    address, local = _address(tag), _local(tag)
    if not address or address == own:
        return core + local if ":" not in local else local
    known = PREFIXES.get(_SCHEME.sub("", address.strip(), count=1).rstrip("/").lower())
    return f"{known}:{local}" if known else f"{{{address}}}{local}"


def _address(tag: str) -> str:
    return tag[1:].partition("}")[0] if tag.startswith("{") else ""


def _local(tag: str) -> str:
    return tag.rpartition("}")[2].lower()
