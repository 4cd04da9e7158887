"""What the manifest of a folder of cases expects of a file, compared with what came of it.

Only what a library keeps is judged: how many documents there are, and their titles, authors,
words, years and addresses. Texts are compared by their words, without markup and case.
"""

from __future__ import annotations

import ast
import contextlib
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webvtt_reference import words_of_cues


@dataclass
class Outcome:
    """What came of one file: documents in its order, and sentences."""

    documents: list[dict[str, Any]] = field(default_factory=list)
    taken: int = 0
    refused: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    mended_documents: int = 0
    # taken by the reader, while a part of it is on the web, where nobody looks for it here
    elsewhere: int = 0
    no_reader: bool = False
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """The documents that the file gives."""
        return self.taken + self.elsewhere


@dataclass
class Verdict:
    """How much of an expectation was judged, and where it was not met."""

    judged: int = 0
    disagreements: list[str] = field(default_factory=list)

    def same(self, what: str, expected: Any, found: Any) -> None:
        """Judge a value."""
        self.holds(expected == found, f"{what}: expected {expected!r}, found {found!r}")

    def holds(self, good: bool, otherwise: str) -> None:
        """Judge a condition."""
        self.judged += 1
        if not good:
            self.disagreements.append(otherwise)

    def words(self, what: str, expected: str, found: str, *, whole: bool = True) -> None:
        """Judge a text by its words; all of it, or only that it is a part."""
        wanted, there = _words(expected), _words(found)
        good = wanted == there if whole else f" {wanted} " in f" {there} "
        if wanted:
            self.holds(good, f"{what}: expected {wanted[:120]!r}, found {there[:120]!r}")


def _words(text: str) -> str:
    """The words of a text that may be HTML, once or twice encoded."""
    for _ in range(2):
        text = html.unescape(text)
    text = re.sub(r"(?s)<!--.*?-->|</?[A-Za-z][^<>]*>", " ", text)
    return " ".join(re.findall(r"\w+", text.casefold()))


def judge(kind: str, path: Path, expected: str, found: Outcome) -> Verdict:
    """Compare; `expected` is the manifest's last column."""
    verdict = Verdict()
    judges: dict[str, Callable[[Path, str, Outcome, Verdict], None]] = {
        "feeds": _feed,
        "bibtex": _bibtex,
        "captions": _captions,
        "jsonl": _json_lines,
        "pdf": _pdf,
        "video-info": _video,
        "made": _made,
    }
    if kind in judges and not found.no_reader:
        judges[kind](path, expected, found, verdict)
    return verdict


def _count(expected: int, found: Outcome, verdict: Verdict) -> None:
    reasons = f" ({found.refused[0][:120]})" if found.refused else ""
    verdict.holds(
        expected == found.count, f"{expected} documents expected, {found.count} taken{reasons}"
    )


# feeds


def _feed(path: Path, expected: str, found: Outcome, verdict: Verdict) -> None:
    stated = re.search(r"(?:items|episodes)=(\d+)|^(\d+) (?:items|entries)", expected)
    items = int(stated[1] or stated[2]) if stated else 0
    # "0 items" counts tags of RSS alone
    items = items or (0 if stated and stated[1] else _items(path))
    if items:
        _count(items, found, verdict)
    else:
        good = not found.documents and any("no episode" in reason for reason in found.refused)
        reason = found.refused[0] if found.refused else "taken"
        verdict.holds(good, f"a feed without episodes: {reason}")
    if not found.documents or len(found.documents) != items:
        return
    if path.parent.name == "feedparser":
        _feedparser(expected, found.documents, verdict)
    elif stated and stated[1]:
        _first_item(expected, found.documents, verdict)


def _items(path: Path) -> int:
    content = path.read_bytes()
    if b"\0" in content[:200]:
        content = content.replace(b"\0", b"")
    content = re.sub(rb"(?s)<!--.*?-->", b"", content)
    return len(re.findall(rb"<(?:\w+:)?(?:item|entry)[\s>]", content))


def _first_item(expected: str, documents: list[dict[str, Any]], verdict: Verdict) -> None:
    """gofeed's and podcastparser's: title=…; items=N; first={…}, which may be cut short."""
    title = re.match(r"title=(None|'.*?'|\".*?\"); ", expected)
    if title and title[1] != "None":
        verdict.words(
            "title of the feed", ast.literal_eval(title[1]), documents[0].get("venue", "")
        )
    item: dict[str, Any] = {}
    described = expected.partition("first=")[2]
    with contextlib.suppress(json.JSONDecodeError):
        item = json.loads(described)
    for name in ("title", "link", "description"):
        pattern = rf'^{{(?:.*?, )??"{name}": ("(?:[^"\\]|\\.)*")'
        if name not in item and (cut := re.match(pattern, described)):
            item[name] = json.loads(cut[1])
    first = documents[0]
    verdict.words("title", item.get("title") or "", first["title"])
    verdict.words("text", item.get("description") or "", first.get("abstract", ""), whole=False)
    # an address of the suite's own disk is none of a reader's
    if (link := str(item.get("link") or "")).startswith("http"):
        verdict.same("link", link.rstrip("/"), first.get("url", "").rstrip("/"))
    if seconds := item.get("total_time"):
        verdict.same("duration", float(seconds), first.get("duration"))


def _feedparser(expected: str, documents: list[dict[str, Any]], verdict: Verdict) -> None:
    """A condition in Python over `feed` and `entries`."""
    with contextlib.suppress(SyntaxError):
        for left, right in _equations(ast.parse(expected.strip(), mode="eval").body):
            if "127.0.0.1" not in str(right):  # the suite's own web server
                _equation(left, right, documents, verdict)


def _equations(node: ast.expr) -> Iterator[tuple[str, Any]]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for value in node.values:
            yield from _equations(value)
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
        with contextlib.suppress(ValueError):
            yield ast.unparse(node.left), ast.literal_eval(node.comparators[0])


TEXTS = (("description", ""), ("summary", ""), ("content", "[0]['value']"))
_ENTRY = re.compile(
    r"entries\[(?P<number>\d)\](?:\['(?P<name>\w+)'\]|\.(?P<attribute>\w+))(?P<rest>.*)"
)


def _equation(left: str, right: Any, documents: list[dict[str, Any]], verdict: Verdict) -> None:
    if left == "len(entries)":
        verdict.same("entries", right, len(documents))
    elif left in ("feed['title']", "feed.title"):
        verdict.words("title of the feed", right, documents[0].get("venue", ""))
    elif left in ("feed['language']", "feed.language"):
        verdict.same("language", right, documents[0].get("language"))
    if not (found := _ENTRY.fullmatch(left)) or int(found["number"]) >= len(documents):
        return
    name, rest = found["name"] or found["attribute"], found["rest"]
    document = documents[int(found["number"])]
    if name == "title" and not rest:
        verdict.words("title", right, document["title"])
    elif (name in ("description", "summary") and not rest) or (
        name == "content" and rest == "[0]['value']"
    ):
        verdict.words("text", right, document.get("abstract", ""), whole=False)
    elif name == "link" and not rest:
        verdict.same("link", right, document.get("url"))
    elif name == "author_detail" and rest == "['name']":
        verdict.words("author", right, " ".join(document.get("authors", ())))
    elif name == "published_parsed" and not rest and right:
        verdict.same("year", right[0], document.get("year"))
    elif name == "enclosures" and rest == "[0]['href']":
        verdict.same("recording", right, document.get("media_url"))


# BibTeX


def _bibtex(_: Path, expected: str, found: Outcome, verdict: Verdict) -> None:
    if stated := re.match(r"(\d+)\+? (?:items|entries|entry)\b", expected):
        _count(int(stated[1]), found, verdict)
    if (
        titles := re.search(r"titles (\[.*?\])(?:; (?:first )?creators? (.*))?$", expected)
    ) is None:
        return
    # the suites sort their items, each in another way
    there = {_words(document["title"]): document for document in found.documents}
    with contextlib.suppress(json.JSONDecodeError):
        wanted = [_words(title or "") for title in json.loads(titles[1])]
        for title in filter(None, wanted):
            verdict.holds(title in there, f"no document has the title {title[:120]!r}")
        if wanted and wanted[0] in there:
            authors = there[wanted[0]].get("authors", ())
            for number, name in enumerate(_names(json.loads(titles[2] or "[]"))):
                found_name = authors[number] if number < len(authors) else ""
                verdict.words(f"author {number + 1}", name, found_name)


def _names(creators: list[Any]) -> list[str]:
    """Of the first item: Better BibTeX tells the first creator, Zotero all of each item."""
    if not creators:
        return []
    if isinstance(creators[0], list):
        return [str(name) for name in creators[0]]
    each = creators[0]
    return [each.get("name") or f"{each.get('firstName', '')} {each.get('lastName', '')}"]


# captions


def _captions(path: Path, expected: str, found: Outcome, verdict: Verdict) -> None:
    passages = [part["text"] for each in found.documents for part in each.get("passages", ())]
    text = " ".join(passages)
    if path.suffix == ".vtt":
        cues = words_of_cues(path.read_bytes())
        if stated := re.match(r"(\d+) cues", expected):
            # what the reference here finds is judged itself, lest it agree with our own faults
            verdict.same("cues of the reference parser", int(stated[1]), len(cues))
        said = _words(text)
        spoken = [_words(cue) for cue in cues if _words(cue)]
        if not cues:
            verdict.holds(not passages, f"no cues expected, found {_words(text)[:80]!r}")
        for number, words in enumerate(spoken, 1):
            good = f" {words} " in f" {said} " or _in_order(words, said)
            reason = f" ({found.refused[0][:100]})" if found.refused else ""
            verdict.holds(good, f"the words of cue {number} are missing: {words[:80]!r}{reason}")
    elif stated := re.match(r"(?:\d-)?(\d+) cues?", expected):
        verdict.holds(bool(found.count) == bool(int(stated[1])), f"{expected}: {found.refused}")
    if quoted := re.search(r'^\d-\d cues: "(.*)"', expected):
        verdict.words("text", quoted[1], text, whole=False)


def _in_order(words: str, text: str) -> bool:
    """Whether words follow each other in a text that may name a speaker between them."""
    rest = iter(text.split())
    return all(word in rest for word in words.split())


# the rest


def _json_lines(path: Path, expected: str, found: Outcome, verdict: Verdict) -> None:
    if path.suffix == ".xml" and path.parent.name != "arxiv-api":
        return  # of catalogues whose form nobody here reads
    if stated := re.match(r"(\d+) lines", expected):
        verdict.same("lines taken or refused", int(stated[1]), found.taken + len(found.refused))
    elif stated := re.match(r"(\d+) entries", expected):
        verdict.same("entries taken or refused", int(stated[1]), _asked(found))


def _asked(found: Outcome) -> int:
    """Entries of arXiv's; that there is none is said once."""
    return found.taken + sum("no such paper" not in reason for reason in found.refused)


def _pdf(_: Path, expected: str, found: Outcome, verdict: Verdict) -> None:
    if expected.startswith("refusal") and " or " not in expected:
        verdict.holds(not found.taken, f"{expected}: taken")
    elif expected in ("opens", "text taken"):
        verdict.holds(bool(found.taken), f"{expected}: {found.refused}")
    elif expected in ("Hello World", "こんにちは世界"):
        text = "".join(part["text"] for each in found.documents for part in each["passages"])
        good = "".join(expected.split()).casefold() in "".join(text.split()).casefold()
        verdict.holds(good, f"text: {expected!r} is not in {text[:80]!r}")


def _video(_: Path, expected: str, found: Outcome, verdict: Verdict) -> None:
    told = re.search(r"\bid=(\S+) title=(.*?) lang=", expected)
    if told and re.fullmatch(r"[\w-]{11}", told[1]) and found.documents:
        verdict.words("title", told[2], found.documents[0]["title"], whole=False)


def _made(_: Path, expected: str, found: Outcome, verdict: Verdict) -> None:
    if stated := re.match(r"(\d+) videos", expected):
        _count(int(stated[1]), found, verdict)
    elif expected.startswith(("taken", "the other cues")):
        verdict.holds(bool(found.taken or found.refused), "neither taken nor refused")
        if expected.startswith("the other"):
            verdict.holds(bool(found.taken), f"refused: {found.refused}")
