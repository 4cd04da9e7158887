"""The words of an HTML page, paragraph by paragraph.

In one go over the text: what a tag, a comment or a script is, is decided where it begins, and never
looked for again.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator

from research_app.plain_text import one_line

BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote body br dd div dl dt figcaption footer h1 h2 h3 h4 h5 h6"
        " header hr li main ol p pre section table td th title tr ul",
    )
)
UNSEEN = frozenset(["script", "style", "template", "noscript", "svg", "head", "nav"])
# their content is no HTML, and ends with their own end alone
RAW = frozenset(["script", "style"])

# A tag goes to the next ">" that is in no quotes. Nothing in it is tried twice (*+), and a quote
# that is not closed soon is a letter.
_TAG = re.compile(
    r"<(?P<end>/?)(?P<name>[A-Za-z][\w:-]*+)"
    r"""(?:[^<>"']++|"[^"<]{0,2000}+"|'[^'<]{0,2000}+'|["'])*+>"""
    r"|<(?P<mark>!--|[!?])"
)
_ENDS = {"!--": "-->", "!": ">", "?": ">"}


class _Text:
    """A text, and what is known not to come in it any more."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lower = text.lower() if len(text.lower()) == len(text) else text
        self._gone: set[str] = set()

    def behind(self, end: str, start: int) -> int:
        """The place behind the next end; the end of the text where there is none."""
        at = -1 if end in self._gone else self._lower.find(end, start)
        if at < 0:
            self._gone.add(end)
            return len(self._text)
        return at + len(end)


def _pieces(text: str) -> Iterator[tuple[str, str, bool]]:
    """Words, and tags: the name of each, and whether it is an end."""
    known = _Text(text)
    position = 0
    while tag := _TAG.search(text, position):
        yield text[position : tag.start()], "", False
        position = tag.end()
        if mark := tag["mark"]:
            position = known.behind(_ENDS[mark], position)
            continue
        name = tag["name"].lower()
        if name in RAW and not tag["end"]:
            position = known.behind(f"</{name}", position)
            position = known.behind(">", position)
        else:
            yield "", name, bool(tag["end"])
    yield text[position:], "", False


class _Paragraphs:
    """Collects text; a <time> gets a paragraph of its own, marked with a form feed."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._unseen: list[str] = []
        self._of_each: Counter[str] = Counter()
        self.found: list[str] = []

    def take(self, words: str, tag: str, is_end: bool) -> None:
        """Some words, or a tag."""
        if not tag:
            if not self._unseen:
                self._words.append(words)
        elif tag in UNSEEN:
            self._see_less(tag, is_end)
        elif tag == "time":
            self.end_paragraph()
            if not is_end:
                self._words.append("\f")
        elif tag in BLOCKS:
            self.end_paragraph()

    def _see_less(self, tag: str, is_end: bool) -> None:
        """An end also ends what was begun within."""
        if not is_end:
            self._unseen.append(tag)
            self._of_each[tag] += 1
        elif self._of_each[tag]:
            while True:
                last = self._unseen.pop()
                self._of_each[last] -= 1
                if last == tag:
                    return

    def end_paragraph(self) -> None:
        """What was collected is a paragraph."""
        text = html.unescape("".join(self._words))
        self._words = []
        mark = "\f" if text.startswith("\f") else ""
        if words := one_line(text):
            self.found.append(mark + words)


def marked_paragraphs(text: str) -> list[str]:
    """Paragraphs; those that are times, as transcripts have them, begin with a form feed."""
    paragraphs = _Paragraphs()
    for words, tag, is_end in _pieces(text):
        paragraphs.take(words, tag, is_end)
    paragraphs.end_paragraph()
    return paragraphs.found


def without_tags(text: str) -> str:
    """HTML, or text that only may be some, on one line."""
    return one_line(" ".join(part.lstrip("\f") for part in marked_paragraphs(text)))
