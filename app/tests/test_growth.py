"""No text takes time that grows with the square of its length, whoever wrote it."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import pytest

from research_app import citation, uploads
from research_app.answer.citations import CitationFilter
from research_app.answer.extractive import chosen
from research_app.answer.passage import without_references
from research_app.answer.sentences import sentences, terms
from research_app.extract import (
    figure_captions,
    front,
    heading,
    names,
    passages,
    placement,
    references,
    running_heads,
    transcripts,
)
from research_app.extract.caption_forms import Cue
from research_app.extract.captions import cues, plain, without_repetitions
from research_app.extract.html_text import marked_paragraphs
from research_app.extract.hyphens import Vocabulary, mended
from research_app.extract.layout import Box, Line, lines_from
from research_app.extract.reading_order import footnotes_last
from research_app.extract.right_to_left import Glyph, in_reading_order
from research_app.plain_text import clean, one_line
from research_app.sources import bibtex
from research_app.sources.document import _names
from research_app.sources.latex import Latex
from research_app.web.views import shortened

Work = Callable[[Any], object]
Make = Callable[[int], Any]

ENOUGH_SECONDS = 0.004
MOST = 32_000
# of four times the length: linear is 4, the square 16
LINEAR = 8


def seconds(work: Work, content: Any) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.thread_time()
        work(content)
        best = min(best, time.thread_time() - start)
    return best


def growth(work: Work, make: Make) -> tuple[float, int]:
    """How much longer four times the length takes, and the length at which it was looked at."""
    size = 250
    while (taken := seconds(work, make(size))) < ENOUGH_SECONDS and size < MOST:
        size *= 2
    return seconds(work, make(4 * size)) / taken, size


def of(text: str, end: str = "") -> Make:
    """A text of so many letters: a piece again and again, and an end."""
    return lambda size: "".join(islice(cycle(text), size)) + end


def after(begin: str, text: str, end: str = "") -> Make:
    return lambda size: begin + of(text, end)(size)


def line(text: str, left: float = 50, top: float = 700, height: float = 9) -> Line:
    return Line(text, Box(left, top - height, left + 300, top))


def refusing(work: Work) -> Work:
    """The same, where it may say that this is nothing."""

    def run(content: Any) -> None:
        try:
            work(content)
        except Exception as error:
            if type(error).__name__ != "RefusedError":
                raise

    return run


def streamed(text: str) -> str:
    """A model's answer, in bits of four letters."""
    citations = CitationFilter(3)
    bits = (text[at : at + 4] for at in range(0, len(text), 4))
    return "".join(map(citations.feed, bits)) + citations.end()


def whole(text: str) -> str:
    citations = CitationFilter(3)
    return citations.feed(text) + citations.end()


class Found:
    """A passage of a search."""

    item_id, title, kind, page, start = "a", "A title", "paper", 1, None

    def __init__(self, text: str) -> None:
        self.text = text


def answered(text: str) -> object:
    return chosen("what do zebras and gnus do", [Found(text)] * 3)  # type: ignore[list-item]


def captioned(text: str) -> list[Cue]:
    return cues("WEBVTT\n\n00:01.000 --> 00:02.000\n" + text)


def transcript(form: str) -> Work:
    return refusing(lambda text: transcripts.parsed(text.encode(), form))  # type: ignore[arg-type]


def said(word: str) -> Make:
    return lambda size: [Cue(at, at + 1, f"{word} " * (size // 4)) for at in range(2)]


def alternating(size: int) -> list[Cue]:
    words = ["a", "b"] * (size // 2)
    return [Cue(0, 1, " ".join([*words, "c"])), Cue(1, 2, " ".join([*words, "d"]))]


def jsonic(word: str) -> Make:
    body = f'{{"segments": [{{"startTime": 0, "body": "{"b " * 70}{word}{" b" * 70}"}}]}}'
    return lambda size: body.replace("…", "." * size)


def rows(size: int) -> list[Line]:
    return [line(f"[{at}] A. Zebra, Title, {1990 + at % 30}.", top=700 - at) for at in range(size)]


def columns(size: int) -> list[list[Line]]:
    return [[line("words of 1999", left=at * 150.0, top=700 - at) for at in range(size)]]


def repeated_lines(size: int) -> list[list[Line]]:
    lines = [
        line(f"a line that is printed on every page {at}", top=700 - at % 690)
        for at in range(size // 120)
    ]
    return [lines, lines, lines]


def without_heads(pages: list[list[Line]]) -> object:
    return running_heads.without(pages, [Box(0, 0, 600, 800)] * len(pages))


def with_notes(lines: list[Line]) -> object:
    return footnotes_last(lines, Box(0, 0, 600, 800))


def whole_words(text: str) -> object:
    lines = [line(part) for part in text.split("\n")]
    return mended(lines, Vocabulary(part.text for part in lines))


def from_right(text: str) -> str:
    return in_reading_order(
        [Glyph(letter, float(at), Box(at, 0, at + 0.9, 12)) for at, letter in enumerate(text)]
    )


def placed(content: tuple[int, int, int]) -> object:
    captions, drawings, prose = content
    page = Box(0, 0, 612, 792)
    lines = [
        line(f"Figure {at}: a caption that is long enough to be one", top=at % 700)
        for at in range(captions)
    ]
    lines += [line("a line of prose that is long enough to be prose", top=1) for _ in range(prose)]
    boxes = [Box(at, at, at + 50, at + 60) for at in range(0, 100 * drawings, 100)]
    found = figure_captions.find(lines)
    return placement.place(found, placement.clusters(boxes, page), lines, page)


def matter(text: str, information: dict[str, str]) -> object:
    """What is read of a page that says the same in each of its lines."""
    lines = [heading.Row(text, Box(9, 700 - at, 500, 709 - at), 9 + at) for at in range(0, 300, 12)]
    return front.front_matter(information, {}, lines, text)


def bibtex_entries(text: str) -> list[dict[str, Any]]:
    return list(bibtex.parsed(text.encode()))


def latex_text(text: str) -> str:
    return Latex().plain(text)


CASES: dict[str, tuple[Work, Make]] = {
    "html: beginnings of tags": (marked_paragraphs, of("<a ")),
    "html: beginnings of comments": (marked_paragraphs, of("<!--")),
    "html: beginnings of comments, doubtful ones": (marked_paragraphs, of("<!-- -")),
    "html: beginnings of declarations": (marked_paragraphs, of("<![if")),
    "html: beginnings of instructions": (marked_paragraphs, of("<?x ")),
    "html: beginnings of ends": (marked_paragraphs, of("</a")),
    "html: scripts that do not end": (marked_paragraphs, of("<script>")),
    "html: ends of scripts": (marked_paragraphs, after("<script>", "</script ")),
    "html: quotes": (marked_paragraphs, of("<a x=\"'")),
    "html: one quote": (marked_paragraphs, after('<a x="', "a> ")),
    "html: what is not seen, never ended": (marked_paragraphs, of("<nav></svg>")),
    "html: ampersands": (marked_paragraphs, of("&a")),
    "html: numbers of letters": (marked_paragraphs, of("&#1;&#x")),
    "html: paragraphs": (marked_paragraphs, of("<p>a</p>")),
    "json transcript: dots": (transcript("json"), jsonic("…a")),
    "json transcript: dots alone": (transcript("json"), jsonic("…")),
    "markdown: front matter": (transcript("plain"), after("---", "\n")),
    "markdown: front matter of lines": (transcript("plain"), after("---\n", "---a\n")),
    "markdown: empty lines": (transcript("plain"), of("\n\x0b", "a")),
    "markdown: spaces": (transcript("plain"), of(" ", "a")),
    "markdown: brackets": (transcript("plain"), of("[a](")),
    "markdown: marks": (transcript("plain"), of("*_`")),
    "markdown: headings": (transcript("plain"), of("# ")),
    "captions: repeated": (without_repetitions, said("a")),
    "captions: nearly repeated": (without_repetitions, alternating),
    "captions: empty lines": (refusing(captioned), of("\n", "a")),
    "captions: lines of spaces": (captioned, after("a", " \n")),
    "captions: marks of style": (plain, of("{\\")),
    "captions: tags": (plain, of("<a ")),
    "captions: speakers": (plain, of("<v.a")),
    "captions: a speaker": (plain, after("<v", ".a")),
    "captions: spaces before a speaker": (plain, after("<v", " ")),
    "captions: times": (refusing(cues), of("1:")),
    "captions: many": (refusing(cues), of("00:01 --> 00:02\na\n\n")),
    "passages: words": (lambda text: passages.from_paragraphs([text]), of("a ")),
    "passages: marks": (lambda text: passages.from_paragraphs([text]), of("…", "a")),
    "pdf: hyphens": (whole_words, after("a-", "\n", "A")),
    "pdf: many hyphens": (whole_words, of("a-\n")),
    "pdf: hyphens of one line": (whole_words, of("a-")),
    "pdf: hyphens that nothing follows": (whole_words, of("ab-\n\u00c4\n")),
    "pdf: hyphens and spaces": (whole_words, after("a-", " ", "A")),
    "pdf: captions of spaces": (figure_captions.CAPTION.match, after("Figure", " ")),
    "pdf: Arabic": (from_right, of("\u0644 ")),
    "pdf: marks of Arabic": (from_right, of("\u064e")),
    "pdf: Latin in Arabic": (from_right, of("a\u06441. ")),
    "pdf: abstracts": (front.abstract_from, of("Abstract \n")),
    "pdf: an abstract of lines": (front.abstract_from, after("Abstract", "\n")),
    "pdf: an abstract of spaces": (front.abstract_from, after("Abstract", " \n \n1")),
    "pdf: DOIs": (front.doi_from, of("doi ")),
    "pdf: DOIs of colons": (front.doi_from, after("doi", ":")),
    "pdf: an abstract of sections": (front.abstract_from, of("1 A section\n")),
    "pdf: an abstract of numbers": (front.abstract_from, after("Abstract\n", "1 ", "\n")),
    "pdf: titles": (lambda text: front.title_from({"Title": text}), of("a.")),
    "pdf: titles of templates": (
        lambda text: front.title_from({"Title": text}),
        of("paper title "),
    ),
    "pdf: names": (names.listed, of("A. Bo, ")),
    "pdf: one name": (names.listed, of("Aa ")),
    "pdf: names of digits": (names.listed, of("A1", "a")),
    "pdf: names with marks": (names.listed, after("A", "1", "a")),
    "pdf: names and spaces": (names.listed, of(" ", "a")),
    "pdf: addresses": (names.listed, of("{a,b}@{")),
    "pdf: names of a field": (names.of_field, of("et al ")),
    "pdf: names of a field of words": (names.of_field, of("a, b and c; ")),
    "pdf: names of a field of spaces": (names.of_field, of(" ", "a")),
    "pdf: front matter": (lambda text: matter(text, {}), of("Abstract\nAa Bb, 1 ")),
    "pdf: front matter of one word": (lambda text: matter(text, {}), of("a")),
    "pdf: a title like its page": (lambda text: matter(text, {"Title": text}), of("Aa Bb ")),
    "pdf: authors like their page": (lambda text: matter(text, {"Author": text}), of("Aa Bb, ")),
    "pdf: headings of references": (lambda text: references.find_heading([text]), of("1 \n")),
    "pdf: headings of spaces": (lambda text: references.find_heading([text]), of(" ")),
    "pdf: ends of references": (references.AFTER.search, after("Appendix", " ", "a")),
    "pdf: many ends of references": (references.AFTER.search, of("A. Appendix \n")),
    "pdf: an entry of one word": (references.join, lambda size: ["a" * size]),
    "pdf: an entry of many lines": (references.join, lambda size: ["a b"] * (size // 3)),
    "pdf: an entry of an address": (references.join, lambda size: ["http://a/"] * (size // 9)),
    "pdf: entries": (lambda lines: references._entries([lines]), lambda size: rows(size // 30)),
    "pdf: entries without a number": (
        lambda lines: references._entries([lines]),
        lambda size: [line("a line of 1999", top=700 - 12 * (at % 50)) for at in range(size // 14)],
    ),
    "pdf: columns": (references._entries, lambda size: columns(size // 14)),
    "pdf: what is printed on each page": (without_heads, repeated_lines),
    "pdf: footnotes": (with_notes, lambda size: rows(size // 30)),
    "pdf: pieces of a line": (
        lines_from,
        lambda size: [("a", Box(at, 0, at + 1, 9)) for at in range(size)],
    ),
    "pdf: captions": (placed, lambda size: (size // 50, 10, size // 50)),
    "pdf: drawings": (placed, lambda size: (5, size // 50, 50)),
    "names: spaces": (_names, of(" ", "a")),
    "names: many": (_names, of("a ; ")),
    "text: spaces": (one_line, of(" ", "a")),
    "text: control characters": (clean, of("\x01a")),
    "text: accents without end": (clean, after("a", "\u0315\u0300")),
    "text: other accents without end": (clean, after("a", "\u0300\u0316")),
    "text: accented letters": (clean, of("e\u0301")),
    "text: syllables": (clean, of("\u1100\u1161\u11a8")),
    "answer: initials": (sentences, of("A. ")),
    "answer: sentences": (sentences, of("A zebra runs. ")),
    "answer: quotes": (sentences, of(". \"'")),
    "answer: a run of quotes": (sentences, after(".", '"', " A")),
    "answer: hyphens": (sentences, after("a-", "\n", "A")),
    "answer: many hyphens": (sentences, of("a-\n")),
    "answer: authors": (answered, of("A. B. Zebra, C. D. Gnu, and E. F. Lion, ")),
    "answer: one word": (answered, of("a")),
    "answer: words with hyphens": (terms, of("a-")),
    "answer: sentences of zebras": (answered, of("All of the zebras do run with gnus. ")),
    "answer: references": (without_references, of("[1, ")),
    "answer: a reference": (without_references, after("[1", ",1", "a")),
    "answer: a reference of spaces": (without_references, after("[1", " ", "a")),
    "answer: citations after spaces": (whole, of(" ", "a")),
    "answer: citations": (whole, of("[1]")),
    "answer: citations of nothing": (whole, of("[9] a")),
    "answer: brackets": (whole, of("[")),
    "answer: a citation without end": (whole, after("[1", ",1", "a")),
    "answer: a citation of spaces": (whole, after("[", " ", "a")),
    "answer: rows of citations": (whole, of("[1] [2] ", "a")),
    "answer, in bits: spaces": (streamed, of(" ", "a")),
    "answer, in bits: citations": (streamed, of("[1]")),
    "answer, in bits: citations of nothing": (streamed, of("[9]")),
    "answer, in bits: brackets": (streamed, of("[")),
    "answer, in bits: a citation without end": (streamed, after("[1", ",1", "a")),
    "bibtex: entries": (bibtex_entries, of("@a{k, title={T}}\n")),
    "bibtex: entries without end": (bibtex_entries, of("@a{k, \n")),
    "bibtex: the same on one line": (bibtex_entries, of("@a(k, ")),
    "bibtex: comments without end": (bibtex_entries, of("@comment{\n")),
    "bibtex: no entries": (bibtex_entries, of("x@a{ ")),
    "bibtex: fields without end": (bibtex_entries, after("@a{k, ", "a={b\n", "}")),
    "bibtex: fields without commas": (bibtex_entries, after("@a{k, title={T}, ", "a={b} ", "}")),
    "bibtex: no fields": (bibtex_entries, after("@a{k, title={T}, ", "a b, ", "}")),
    "bibtex: quotes": (bibtex_entries, after("@a{k, title=", '"a" ', "}")),
    "bibtex: parts of a value": (bibtex_entries, after("@a{k, title=a", "#a", "}")),
    "bibtex: names": (bibtex_entries, after("@a{k, title={T}, author={", "a and ", "}}")),
    "bibtex: names and commas": (bibtex_entries, after("@a{k, title={T}, author={", "a,", "}}")),
    "latex: groups": (latex_text, of("{}")),
    "latex: commands": (latex_text, of("\\a{\\b{\\c{\\d{")),
    "latex: options": (latex_text, of("\\a[")),
    "latex: formulas": (latex_text, of("$a_{1}^")),
    "latex: formulas without end": (latex_text, of("\\(a")),
    "latex: accents": (latex_text, of("\\'{")),
    "latex: tags": (latex_text, of("<sub><i ")),
    "shown: a text": (lambda text: shortened(text, 400), of("a, ")),
    "shown: bibtex": (
        lambda text: citation.bibtex({"title": text, "kind": "paper", "authors": [text]}),
        of("a {"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_time_grows_with_the_length_and_no_faster(name: str) -> None:
    ratio, size = growth(*CASES[name])
    for _ in range(4):
        if ratio >= LINEAR:  # a busy machine may have got between
            ratio, size = min(growth(*CASES[name]), (ratio, size))
    assert ratio < LINEAR, f"four times {size} letters take {ratio:.1f} times as long"


@pytest.mark.parametrize("name", uploads.TYPES)
def test_the_head_of_an_upload_is_looked_at_in_a_moment(name: str) -> None:
    """It is of a bounded length, and looked at on the event loop."""
    for text in ("\n", "@a", " ", "1", '{"a": [', "<"):
        head = (text * uploads.HEAD).encode()[: uploads.HEAD]
        assert seconds(uploads.TYPES[name], head) < 0.01, text
