"""No document takes more than a few seconds and a few hundred megabytes, whatever is in it.

At a tenth of the size in every run, with the time growing as the size does; at ten megabytes with
`-m long`.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pdfs import drawn, one_page, pdf, stream, words
from spending import Meter, Spent, metering

MEGABYTE = 1_000_000
SECONDS, MEBIBYTES = 5.0, 500.0
# how much more of time four times as much of a file may take: twice what is in proportion
GROWTH = 8


@pytest.fixture(scope="module")
def meter() -> Iterator[Meter]:
    with metering() as found:
        yield found


def filled(piece: bytes, before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    """A file of a piece again and again."""
    return lambda size: before + piece * (size // len(piece)) + after


def random_words(size: int) -> bytes:
    chance = random.Random(1)
    return " ".join(chance.choice("abcdefgh") * 3 for _ in range(size // 4)).encode()


def full_episodes(size: int) -> bytes:
    """Episodes as publishers write them, no more of them than a feed may have."""
    about = "What is said in it, in as many words as people take for that. " * 7
    episode = (
        "<item><title>Episode {0} &amp; more</title><guid>guid-{0}</guid>"
        "<pubDate>Mon, 06 Jan 2020 10:00:00 GMT</pubDate><link>https://example.org/{0}</link>"
        "<itunes:author>Somebody</itunes:author><itunes:duration>01:02:03</itunes:duration>"
        "<itunes:episode>{0}</itunes:episode><itunes:image href='https://example.org/{0}.jpg'/>"
        "<enclosure url='https://example.org/{0}.mp3' type='audio/mpeg' length='1'/>"
        f"<description>&lt;p&gt;{about}&lt;/p&gt;</description></item>"
    )
    return "".join(episode.format(at) for at in range(min(9_990, size // 1000))).encode()


RSS = b'<rss xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel><title>T</title>'
END = b"</channel></rss>"
ATOM = b'<feed xmlns="http://www.w3.org/2005/Atom">'

JSON_LINES: dict[str, Callable[[int], bytes]] = {
    "small documents": filled(b'{"id":"a1","title":"T","year":1999}\n'),
    "smallest documents": filled(b'{"title":"T"}\n'),
    "nothing in each": filled(b"{}\n"),
    "empty lines": filled(b"\n"),
    "one line": filled(b"x"),
    "one text": filled(b"a word ", b'{"id":1,"text":"', b'"}'),
    "nested": filled(b"[", b'{"id":'),
    "nested, with NaN": filled(b"[", b'{"id":NaN,"x":'),
    "numbers": filled(b"9", b'{"id":NaN,"x":'),
    "keys": filled(b'"a":NaN,', b'{"id":1,', b'"b":1}'),
    "lines with NaN": filled(b'{"id":"a1","title":"T","year":NaN}\n'),
    "UTF-16": lambda size: ('{"id":"a1","title":"T"}\n' * (size // 48)).encode("utf-16"),
    "zeros": filled(b"\0"),
    "many errors": filled(b"{\n"),
}
PACKED: dict[str, Callable[[int], bytes]] = {
    # of the size that it unpacks to
    "a bomb": lambda size: gzip.compress(b" " * (10 * size)),
    "lines": lambda size: gzip.compress(b'{"id":"a1","title":"T"}\n' * (size // 24)),
}
CAPTIONS: dict[str, Callable[[int], bytes]] = {
    "cues": filled(b"00:01.000 --> 00:02.000\na word\n\n", b"WEBVTT\n\n"),
    "a letter each": filled(b"00:01.000 --> 00:02.000\na\n\n", b"WEBVTT\n\n"),
    "times alone": filled(b"00:01.000 --> 00:02.000\n", b"WEBVTT\n\n"),
    "arrows": filled(b"-->\n", b"WEBVTT\n\n"),
    "arrows in a line": filled(b"-->", b"WEBVTT\n\n"),
    "tags": filled(b"<", b"WEBVTT\n\n00:01.000 --> 00:02.000\n"),
    "tags in lines": filled(b"<v " + b"<" * 90 + b"\n", b"WEBVTT\n\n00:01.000 --> 00:02.000\n"),
    "entities": filled(b"&amp;\n", b"WEBVTT\n\n00:01.000 --> 00:02.000\n"),
    "braces": filled(b"{\\", b"1\n00:00:01,000 --> 00:00:02,000\n"),
    "digits": filled(b"1\n"),
    "colons": filled(b"1:"),
    "line ends": filled(b"\r"),
    "spaces": filled(b" ", b"1\n00:00:01,000 --> 00:00:02,000\n", b"x"),
    "rolling": filled(b"00:01.000 --> 00:02.000\na b a b a b a\n\n", b"WEBVTT\n\n"),
    "one long cue": lambda size: b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + random_words(size),
    "marks": filled("a\u0301".encode(), b"WEBVTT\n\n00:01.000 --> 00:02.000\na"),
    "piles of marks": filled("\u0301\u0323".encode(), b"WEBVTT\n\n00:01.000 --> 00:02.000\na"),
    "zeros": filled(b"\0a"),
}
TEXTS: dict[tuple[str, str], Callable[[int], bytes]] = {
    ("html", "tags"): filled(b"<p>"),
    ("html", "openings"): filled(b"<"),
    ("html", "nested"): filled(b"<div><b>"),
    ("html", "comments"): filled(b"<!--"),
    ("html", "entities"): filled(b"&#x"),
    ("html", "times"): filled(b"<p><time>1:02</time></p><p>word</p>"),
    ("html", "attributes"): filled(b" a='b", b"<p"),
    ("json", "nested"): filled(b"[", b'{"segments":'),
    ("json", "segments"): filled(
        b'{"startTime":1,"body":"word"},', b'{"segments":[', b'{"startTime":1,"body":"w"}]}'
    ),
    ("plain", "brackets"): filled(b"["),
    ("plain", "links"): filled(b"[a]("),
    ("plain", "stars"): filled(b"*_"),
    ("plain", "lines"): filled(b"\n \t"),
    ("plain", "quotes"): filled(b"> "),
    ("plain", "rules"): filled(b"---\n", b"---\n"),
}
FEEDS: dict[str, Callable[[int], bytes]] = {
    "items": filled(b"<item><title>a</title><guid>b</guid></item>", RSS, END),
    "full episodes": lambda size: RSS + full_episodes(size) + END,
    "full episodes, ill-formed at the end": lambda size: RSS + full_episodes(size) + b"<a>" + END,
    "nested": filled(b"<a>", RSS),
    "attributes": lambda size: (
        RSS + b"<item " + b" ".join(b'a%d="b"' % n for n in range(size // 12)) + b"/>" + END
    ),
    "ampersands": filled(b"&", RSS + b"<item><description>"),
    "entities": filled(b"&nbsp;", RSS + b"<item><description>", b"</description></item>" + END),
    "openings": filled(b"<", RSS + b"<item><description>"),
    "CDATA": filled(b"<![CDATA[", RSS + b"<item><description>"),
    "comments": filled(b"<!--", RSS),
    "declarations": filled(b"<!ENTITY a 'b'>", b"<!DOCTYPE rss ["),
    "prefixes": filled(b"<x:y>a</x:y>", RSS + b"<item>", b"</item>" + END),
    "blank lines": filled(b"\n", b"", RSS + END),
    "one title": filled(b"word ", RSS + b"<item><title>", b"</title></item>" + END),
    "HTML in HTML": filled(
        b"&lt;b&gt;", RSS + b"<item><description>", b"</description></item>" + END
    ),
    "dates": filled(b"<item><pubDate>Mon, 99 Foo 2020 99:99</pubDate></item>", RSS, END),
    "Atom": filled(b"<entry><id>a</id><title>b</title></entry>", ATOM, b"</feed>"),
    "control characters": filled(b"\x01", RSS + b"<item><title>", b"</title></item>" + END),
    "zeros": filled(b"\0<", RSS),
}
BIBTEX: dict[str, Callable[[int], bytes]] = {
    "entries": filled(b"@misc{a, title = {b}}\n"),
    "openings": filled(b"@a{"),
    "openings in lines": filled(b"@a{\n"),
    "braces": filled(b"{", b"@a{b, title = "),
    "quotes": filled(b'"', b"@a{b, title = "),
    "strings": filled(b'@string{a = "b"}\n'),
    "strings of strings": filled(b"@string{a = a # a}\n"),
    "accents": filled(b"\\'", b"@a{b, title = {", b"}}"),
    "accents in braces": filled(b"{\\'e}", b"@a{b, title = {", b"}}"),
    "dollars": filled(b"$x_", b"@a{b, title = {", b"}}"),
    "commands": filled(b"\\emph", b"@a{b, title = {", b"}}"),
    "authors": filled(b"A and ", b"@a{b, author = {", b"}}"),
    "commas": filled(b",", b"@a{b, author = {", b"}}"),
    "fields": filled(b"a = b,", b"@a{b,"),
    "signs": filled(b"@"),
    "sums": filled(b"a # ", b"@a{b, title = "),
    "spaces": filled(b" ", b"@a{b, title = ", b"x}"),
    "crossref": lambda size: b"".join(
        b"@a{k%d, crossref = {k%d}}\n" % (n, n + 1) for n in range(size // 30)
    ),
    "comments": filled(b"@comment{a}", b""),
    "parentheses": filled(b"@a(b, c = {", b""),
}
ARXIV: dict[str, Callable[[int], bytes]] = {
    "entries": filled(b"<entry><id>a</id></entry>", ATOM, b"</feed>"),
    "nested": filled(b"<a>", ATOM),
}


def _pages(size: int) -> bytes:
    return pdf(*(f"Page {number} has words." for number in range(max(1, size // 1000))))


def _bare_text(size: int) -> bytes:
    """As much text as the file is large, on pages as full as they are in books."""
    lines = [random_words(80).decode() for _ in range(45)]
    return pdf(*["\n".join(lines)] * (size // 3800))


def _apart(size: int) -> bytes:
    """Words of which none stands beside the next."""
    rows = (("(ab) Tj 30 0 Td " * 18) + "-540 -3 Td\n" for _ in range(200))
    page = "BT /F1 6 Tf 10 780 Td\n" + "".join(rows) + "ET\n"
    return drawn(*[page] * max(1, size // len(page)))


PDFS: dict[str, Callable[[int], bytes]] = {
    "pages": _pages,
    "bare text": _bare_text,
    "words apart": _apart,
    "a head and nothing": filled(b"\n", b"%PDF-1.7\n"),
    "objects": filled(b"1 0 obj<<>>endobj\n", b"%PDF-1.7\n", b"trailer<</Root 1 0 R>>"),
    "nested": filled(b"[", b"%PDF-1.7\n1 0 obj", b"endobj\ntrailer<</Root 1 0 R>>"),
    "one long line": lambda size: one_page(
        stream(words(random_words(size // 20).decode()).encode())
    ),
    "operators": lambda size: one_page(stream(b"q " * (size // 2))),
    "shapes": lambda size: one_page(stream(b"0 0 9 9 re f " * (size // 100))),
}

CASES: list[tuple[str, str, Callable[[int], bytes], dict[str, Any]]] = [
    *(("jsonlines", name, make, {"packed": False}) for name, make in JSON_LINES.items()),
    *(("jsonlines", name, make, {"packed": True}) for name, make in PACKED.items()),
    *(("transcript", name, make, {"form": "captions"}) for name, make in CAPTIONS.items()),
    *(("transcript", f"{form}: {name}", make, {"form": form})
      for (form, name), make in TEXTS.items()),
    *(("feed", name, make, {}) for name, make in FEEDS.items()),
    *(("bibtex", name, make, {}) for name, make in BIBTEX.items()),
    *(("arxiv", name, make, {}) for name, make in ARXIV.items()),
    *(("pdf", name, make, {}) for name, make in PDFS.items()),
]  # fmt: skip
MOST_BYTES = {"transcript": 8 * 2**20 - 1000}  # a longer one is refused unread
crafted = pytest.mark.parametrize(
    ("kind", "make", "options"),
    [(kind, make, options) for kind, _, make, options in CASES],
    ids=[f"{kind}: {name}" for kind, name, _, _ in CASES],
)


def within(spent: Spent, seconds: float, mebibytes: float = MEBIBYTES) -> bool:
    """Whether that may be; pytest shows what it was."""
    return spent.seconds < seconds and spent.mebibytes < mebibytes


@crafted
def test_a_megabyte(
    meter: Meter, kind: str, make: Callable[[int], bytes], options: dict[str, Any]
) -> None:
    quarter = meter.spent(kind, make(MEGABYTE // 4), **options)
    whole = meter.spent(kind, make(MEGABYTE), **options)
    assert within(whole, SECONDS)
    assert whole.seconds <= GROWTH * quarter.seconds, f"{quarter} for a quarter, {whole} for all"


# What opens five million things and closes none: the reader keeps each, and is ended at 2 GiB.
MEBIBYTES_OF = {"pdf: nested": 1000.0, "pdf: operators": 1000.0}


@pytest.mark.long
@crafted
def test_ten_megabytes(
    meter: Meter,
    request: pytest.FixtureRequest,
    kind: str,
    make: Callable[[int], bytes],
    options: dict[str, Any],
) -> None:
    size = min(10 * MEGABYTE, MOST_BYTES.get(kind, 10 * MEGABYTE))
    most = MEBIBYTES_OF.get(request.node.callspec.id, MEBIBYTES)
    assert within(meter.spent(kind, make(size), **options), SECONDS, most)


PIECES = {
    "jsonlines": [b'{"id":1}', b"\n", b"{", b"[", b'"', b"NaN", b":", b",", b"\\", b"\0", b"1"],
    "transcript": [b"WEBVTT\n", b"\n", b"00:01.000 --> 00:02.000", b"-->", b"<", b">", b"<v a",
                   b"&", b";", b"{\\", b"}", b"1", b":", b" ", b"a ", b"\r", b"NOTE"],
    "feed": [RSS, END, b"<item>", b"</item>", b"<title>", b"</title>", b"<", b">", b"&", b";",
             b"<![CDATA[", b"]]>", b"<!--", b"-->", b"&lt;", b"a ", b"\n", b"\x01", b"<!DOCTYPE"],
    "bibtex": [b"@a{b,", b"}", b"{", b'"', b",", b"=", b"#", b"@string{", b"\\", b"\\'", b"$",
               b" and ", b"a ", b"\n", b"~", b"%", b"@comment", b"title = {", b"(", b")"],
    "arxiv": [ATOM, b"</feed>", b"<entry>", b"</entry>", b"<", b"&", b">", b"a "],
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "jsonlines": {"packed": False},
    "transcript": {"form": "captions"},
}


def _repeated(kind: str, size: int) -> st.SearchStrategy[bytes]:
    """A beginning, then some pieces again and again, then an end."""
    some = st.lists(st.sampled_from(PIECES[kind]), max_size=6).map(b"".join)
    again = st.lists(st.sampled_from(PIECES[kind]), min_size=1, max_size=4).map(b"".join)
    return st.tuples(some, again, some).map(
        lambda parts: parts[0] + parts[1] * (size // len(parts[1])) + parts[2]
    )


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


@pytest.mark.parametrize("kind", PIECES)
@settings(max_examples=8, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_pieces_again_and_again(meter: Meter, kind: str, data: st.DataObject) -> None:
    content = data.draw(_repeated(kind, MEGABYTE // 2))
    assert within(meter.spent(kind, content, **OPTIONS.get(kind, {})), SECONDS)


@pytest.mark.long
@pytest.mark.parametrize("kind", PIECES)
@settings(max_examples=25, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_many_pieces_again_and_again(meter: Meter, kind: str, data: st.DataObject) -> None:
    content = data.draw(_repeated(kind, MOST_BYTES.get(kind, 10 * MEGABYTE)))
    assert within(meter.spent(kind, content, **OPTIONS.get(kind, {})), SECONDS)
