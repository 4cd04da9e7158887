"""The words of an HTML page, paragraph by paragraph."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from research_app.plain_text import one_line

BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote body br dd div dl dt figcaption footer h1 h2 h3 h4 h5 h6"
        " header hr li main ol p pre section table td th title tr ul",
    )
)
UNSEEN = frozenset(["script", "style", "template", "noscript", "svg", "head", "nav"])


class _Paragraphs(HTMLParser):
    """Collects text; a <time> gets a paragraph of its own, marked with a form feed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._words: list[str] = []
        self._unseen: list[str] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSEEN:
            self._unseen.append(tag)
        elif tag == "time":
            self.end_paragraph()
            self._words.append("\f")
        elif tag in BLOCKS:
            self.end_paragraph()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in BLOCKS:
            self.end_paragraph()

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            while self._unseen.pop() != tag:
                pass
        elif tag in BLOCKS or tag == "time":
            self.end_paragraph()

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._words.append(data)

    def end_paragraph(self) -> None:
        """What was collected is a paragraph."""
        text = "".join(self._words)
        self._words = []
        mark = "\f" if text.startswith("\f") else ""
        if words := one_line(text):
            self.found.append(mark + words)


def marked_paragraphs(text: str) -> list[str]:
    """Paragraphs; those that are times, as transcripts have them, begin with a form feed."""
    parser = _Paragraphs()
    parser.feed(text)
    parser.close()
    parser.end_paragraph()
    return parser.found


def without_tags(text: str) -> str:
    """HTML, or text that only may be some, on one line."""
    return one_line(" ".join(part.lstrip("\f") for part in marked_paragraphs(text)))
