"""Feeds as the world writes them: what is taken of each, and what is said of its faults."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from loading import loaded
from local_web import answer, fetcher, local_web

from research_app.extract.html_text import without_tags
from research_app.sources import feed_xml, open_source
from research_app.sources.document import Candidate, RefusedError
from research_app.sources.feed_date import day, year
from research_app.sources.podcast_feed import Episode, Feed, guid_of, parse
from research_app.sources.tools import Tools

ITUNES = 'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'
MEDIA = 'xmlns:media="http://search.yahoo.com/mrss/"'


def rss(inner: str, head: str = "") -> bytes:
    return f"{head}<rss><channel><title>Desk</title>{inner}</channel></rss>".encode()


def title(words: str) -> bytes:
    return rss(f"<item><title>{words}</title><guid>1</guid></item>")


def only(content: bytes) -> Episode:
    (episode,) = parse(content).episodes
    return episode


# -- what is no XML, and every podcast program reads --------------------------------------------

ONE = "<item><title>A</title></item>"
DECLARATION = "<?xml version='1.0'?>"
MALFORMED: list[tuple[str, bytes, str]] = [
    ("a blank line first", b"\n" + rss(ONE, DECLARATION), "A"),
    ("a comment first", b"<!-- x -->" + rss(ONE, DECLARATION), "A"),
    ("an entity of HTML", title("A&nbsp;B &eacute;"), "A B é"),
    ("a bare ampersand", title("A & B &c; &copy=1 &amp; C"), "A & B &c; &copy=1 & C"),
    ("a control character", title("ab\x0bcd"), "abcd"),
    ("a prefix that nobody declared", rss("<item><itunes:title>A</itunes:title></item>"), "A"),
    ("a prefix of nobody's", rss("<item><x:y>B</x:y><title>A</title></item>"), "A"),
    ("a tag that is not closed", rss("<item><title>A</title><link></item>"), "A"),
    ("a tag of another name closes it", rss("<item><title>A</titel></item>"), "A"),
    ("less than", title("1 < 2 and <3"), "1 < 2 and <3"),
    ("an attribute without quotes", rss("<item><title>A</title><enclosure url=a.mp3></item>"), "A"),
    ("its own end is cut", rss("<item><title>A</title></item>")[:-1], "A"),
    ("items that do not end", rss("<item><title>A</title><item><title>B</title></item>"), "A"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), [case[1:] for case in MALFORMED])
def test_malformed_feeds_are_taken_and_said_to_be(content: bytes, expected: str) -> None:
    found = parse(content)
    assert found.episodes[0].title == expected
    assert [fault[:31] for fault in found.mended] == ["the feed: the XML is malformed "]


def test_what_is_well_formed_is_read_alike_by_both_readers() -> None:
    text = (
        f'<!-- c --><rss {ITUNES} xmlns:q="u"><channel><title><![CDATA[a <b> & c]]></title>'
        '<q:x y="1 &amp; 2" q:z=\'"\'><s xmlns="v"><t/></s>&#65;&lt;</q:x><?pi x?>'
        "<itunes:author>é</itunes:author></channel></rss>"
    )
    lenient = feed_xml._named(feed_xml._Lenient(text).read())
    strict, fault = feed_xml.tree(text)
    assert not fault
    for one, other in zip(lenient.iter(), strict.iter(), strict=True):
        assert (one.tag, one.text or None, one.tail or None) == (other.tag, other.text, other.tail)
        assert [value for _, value in one.items()] == [value for _, value in other.items()]


def test_a_feed_that_is_cut_off_loses_its_last_episode_and_says_so() -> None:
    found = parse(rss("<item><title>A</title></item><item><title>B</title><desc")[:-20])
    assert [each.title for each in found.episodes] == ["A"]
    assert found.mended[-1] == "the feed: it ends in the middle of an episode, which is left out"


def test_the_first_document_of_a_feed_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "feed.rss"
    path.write_bytes(rss("<item><title>A &</title></item><item><guid>2</guid></item>"))
    first, second = open_source(path, "paper").candidates
    assert isinstance(first, Candidate)
    assert isinstance(second, Candidate)
    assert first.mended == ("the feed: the XML is malformed in line 1, column 50",)
    assert second.mended == ('it has no title and is called "Desk, episode 1"',)


REFUSED = [
    (b"<html><body>404</body></html>", "not a podcast's feed: it is XML, but neither RSS nor Atom"),
    (b"Hello <rss></rss>", "not a feed: the XML is malformed in line 1, column 1"),
    (b"<!DOCTYPE html><html><p>Hi<br></html>", "not a feed: the XML is malformed"),
    (b"<entry xmlns='http://www.w3.org/2005/Atom'/>", "not a podcast's feed"),
    (b"<?xml version='1.0'?>", "not a feed: the XML is malformed"),
    (b"<!DOCTYPE rss [<!ENTITY a 'b'>]><rss/>", "the feed defines entities"),
    (b"\n<!DOCTYPE rss [<!ENTITY % a SYSTEM 'x'>%a;]><rss/>", "the feed defines entities"),
    (b"\xff\xfe<\0r\0s", "damaged: it begins as UTF-16 and is not"),
    (rss("<item/>" * 10_001), "over 10,000 episodes"),
    (rss("&" + "</a>" * 1_000_000), 'over 1,000,000 times "<": not a feed'),
    (rss("&" + "<a>" * 501), "over 500 elements within one another: not a feed"),
]


@pytest.mark.parametrize(("content", "reason"), REFUSED)
def test_what_is_no_feed(content: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=f"^{reason}"):
        parse(content)


def test_the_entities_of_html_may_be_declared_by_their_list() -> None:
    head = '<!DOCTYPE r [<!ENTITY % HTMLlat1 PUBLIC "-//W3C//ENTITIES Latin 1//EN" "x">%HTMLlat1;]>'
    found = parse(rss("<item><title>caf&eacute;</title></item>", head))
    assert found.episodes[0].title == "café"
    assert found.mended == ["the feed: it declares entities"]


# -- encodings ------------------------------------------------------------------------------------

WORDS = {
    "big5": "科學與技術新聞",
    "euc-kr": "한국어 과학 뉴스",
    "gb2312": "科学与技术新闻",
    "shift_jis": "日本語のポッドキャスト",
    "euc-jp": "日本語のポッドキャスト",
    "windows-1250": "Příliš žluťoučký kůň úpěl ďábelské ódy",
    "windows-1251": "Новости науки и техники",
    "windows-1252": "Últimas notícias: São Paulo é a maior cidade",
    "koi8-r": "Новости науки и техники",
    "utf-16": "Новости 科学",
    "utf-16-le": "Zoë",
    "utf-32": "Новости 科学",
    "utf-8-sig": "Новости 科学",
}


@pytest.mark.parametrize("encoding", WORDS)
def test_feeds_that_say_how_they_are_encoded(encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    content = rss(f"<item><title>{WORDS[encoding]}</title></item>", head).decode()
    found = parse(content.encode(encoding))
    assert found.episodes[0].title == WORDS[encoding]
    assert not found.mended


@pytest.mark.parametrize("encoding", sorted({*WORDS} - {"koi8-r"}))
def test_feeds_that_do_not_say_it(encoding: str) -> None:
    found = parse(title(WORDS[encoding]).decode().encode(encoding))
    assert found.episodes[0].title == WORDS[encoding]
    assert bool(found.mended) == ("utf" not in encoding)


ENCODED: list[tuple[bytes, str | None, str, list[str]]] = [
    (title("Zoë"), "iso-8859-1", "Zoë", []),  # servers say that of everything
    (title("Zoë").replace("ë".encode(), b"\xeb"), "iso-8859-1", "Zoë", []),
    (b"<?xml version='1.0' encoding='iso-8859-1'?>" + title("Zoë"), "utf-8", "Zoë",
     ["the feed: its characters are not in iso-8859-1; they are read as utf-8"]),
    (b"<?xml version='1.0' encoding='iso-8859-1'?>" + title("don~t").replace(b"~", b"\x92"), None,
     "don\u2019t", []),
    (title("don&#146;t"), None, "don\u2019t", []),
    (b"<?xml version='1.0' encoding='nope'?>" + title("Zoë"), None, "Zoë",
     ["the feed: its characters are not in nope; they are read as utf-8"]),
    (b"<?xml version='1.0' encoding='punycode'?>" + title("Zoe"), None, "Zoe",
     ["the feed: its characters are not in punycode; they are read as utf-8"]),
    (title("Новости науки~").replace(b"~", b"\xff"), None, "Новости науки",
     ["the feed: 1 of its characters are not UTF-8 and are left out"]),
]  # fmt: skip


@pytest.mark.parametrize(("content", "charset", "expected", "mended"), ENCODED)
def test_encodings_that_are_said_wrongly(
    content: bytes, charset: str | None, expected: str, mended: list[str]
) -> None:
    found = parse(content, charset)
    assert found.episodes[0].title == expected
    assert found.mended == mended


# -- names and versions ---------------------------------------------------------------------------

ATOM = b"""<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en" xml:base="http://example.org/show/">
<title type="html">The &lt;b&gt;Desk&lt;/b&gt;</title><link href="."/>
<link rel="self" href="feed.atom"/><author><name>Ann</name></author><logo>logo.png</logo>
<entry><title>One</title><id>urn:1</id><published>2020-02-03T04:05:06Z</published>
<link rel="alternate" href="1.html"/><link rel="enclosure" type="audio/mpeg" href="1.mp3"/>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>All</p><p>of <b>i</b>t.</p></div>
</content></entry></feed>"""

RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="http://example.org/"><title>The Desk</title><link>http://example.org/</link>
</channel><image><url>http://example.org/logo.png</url></image>
<item rdf:about="urn:1"><title>One</title><link>http://example.org/show/1.html</link>
<dc:date>2020-02-03</dc:date><dc:creator>Ann</dc:creator><description>All of it.</description>
</item></rdf:RDF>"""


def test_atom() -> None:
    found = parse(ATOM)
    assert (found.title, found.link) == ("The Desk", "http://example.org/show/")
    assert found.own_address == "http://example.org/show/feed.atom"
    assert (found.language, found.author) == ("en", "Ann")
    assert found.image == "http://example.org/show/logo.png"
    (episode,) = found.episodes
    assert (episode.guid, episode.title, episode.year) == ("urn:1", "One", 2020)
    assert episode.description == "All of it."
    assert episode.link == "http://example.org/show/1.html"
    assert episode.enclosure == "http://example.org/show/1.mp3"


def test_rdf() -> None:
    found = parse(RDF)
    assert (found.title, found.image) == ("The Desk", "http://example.org/logo.png")
    (episode,) = found.episodes
    assert (episode.guid, episode.title, episode.year) == ("urn:1", "One", 2020)
    assert (episode.author, episode.description) == ("Ann", "All of it.")


def test_the_longest_of_the_descriptions_is_taken() -> None:
    parts = "<description>Short.</description><fullitem>All that is said.</fullitem>"
    (episode,) = parse(rss(f"<item><title>A</title>{parts}</item>")).episodes
    assert episode.description == "All that is said."


@pytest.mark.parametrize(("name", "content"), [("a.atom", ATOM), ("b.xml", ATOM), ("c.xml", RDF)])
def test_feeds_of_other_kinds_in_a_folder(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (found,) = loaded(open_source(tmp_path, "paper").candidates).values()
    assert isinstance(found, dict)
    assert found["title"] == "One"


@pytest.mark.parametrize(
    "address",
    [
        "http://www.itunes.com/dtds/podcast-1.0.dtd",
        "http://www.itunes.com/DTDs/Podcast-1.0.dtd",
        "http://www.itunes.com/DTDs/PodCast-1.0.dtd",
        "https://www.itunes.com/dtds/podcast-1.0.dtd",
        " http://www.itunes.com/dtds/podcast-1.0.dtd ",
    ],
)
def test_the_namespace_of_itunes_however_it_is_spelt(address: str) -> None:
    content = f'<rss xmlns:i="{address}"><channel><item><i:Title>A</i:Title></item></channel></rss>'
    assert only(content.encode()).title == "A"


@pytest.mark.parametrize(
    "content",
    [
        b"<RSS><Channel><Item><TITLE>A</TITLE></Item></Channel></RSS>",
        b"<rss xmlns='http://backend.userland.com/rss2'><channel><item><title>A</title></item></channel></rss>",
        b"<r:rss xmlns:r='u'><r:channel><r:item><r:title>A</r:title></r:item></r:channel></r:rss>",
        b"<rss><channel/><item><title>A</title></item></rss>",
        b"<rss><item><title>A</title></item></rss>",
        b"<feed><entry><title>A</title></entry></feed>",
        b"<feed xmlns='http://purl.org/atom/ns#'><entry><title>A</title></entry></feed>",
    ],
)
def test_spellings_of_the_feed_itself(content: bytes) -> None:
    assert only(content).title == "A"


# -- the recording, its title and its day ------------------------------------------------------

PICTURE = '<enclosure url="a.jpg" type="image/jpeg"/>'
SOUND = '<enclosure url="a.mp3" type="audio/mpeg"/>'
FILES: list[tuple[str, str]] = [
    (PICTURE + SOUND, "a.mp3"),
    (PICTURE, ""),
    ('<enclosure url="a.jpg"/><enclosure url="a.mp3"/>', "a.mp3"),
    ('<enclosure url="a.mp4" type="video/mp4"/>' + SOUND, "a.mp3"),
    ('<enclosure url="get?id=1" type="audio/mpeg"/>', "get?id=1"),
    ('<enclosure url="get.php?id=1"/>', "get.php?id=1"),
    ('<enclosure url="notes.pdf" type="application/pdf"/>', ""),
    ('<media:content url="a.mp3" type="audio/mpeg"/>' + PICTURE, "a.mp3"),
    ('<media:group><media:content url="a.jpg" medium="image"/>'
     '<media:content url="b" medium="audio"/></media:group>', "b"),
    ('<media:content url="a.png" type="image/png"/>' + SOUND, "a.mp3"),
    ('<enclosure url=" a.mp3 " type="Audio/MPEG; x"/>', "a.mp3"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "expected"), FILES)
def test_which_of_its_files_is_the_recording(parts: str, expected: str) -> None:
    content = f"<rss {MEDIA}><channel><item><title>A</title>{parts}</item></channel></rss>"
    assert only(content.encode()).enclosure == expected


TITLES: list[tuple[str, str]] = [
    ("<pubDate>Fri, 12 Aug 2022 14:21:00 EDT</pubDate>", "Desk, 2022-08-12"),
    ("<itunes:episode>7</itunes:episode>", "Desk, episode 7"),
    ('<enclosure url="http://example.org/x/zebras.mp3"/>', "Desk, zebras"),
    ("<guid>1</guid>", "Desk, episode 1"),
    ("<media:title>Zebras</media:title>", "Zebras"),
    ("<title>AT&amp;amp;T <i>now</i></title>", "AT&T now"),
]


@pytest.mark.parametrize(("parts", "expected"), TITLES)
def test_titles(parts: str, expected: str) -> None:
    content = (
        f"<rss {ITUNES} {MEDIA}><channel><title>Desk</title><item>{parts}</item></channel></rss>"
    )
    assert without_tags(only(content.encode()).title) == expected


DAYS: list[tuple[str, str]] = [
    ("Thu, 01 Jan 2004 19:48:21 GMT", "2004-01-01"),
    ("Thu, 01 Jan 04 19:48:21 GMT", "2004-01-01"),
    ("Thu,01 Jan 2004", "2004-01-01"),
    ("Mon, 13 Feb, 2012 06:28:00 UTC", "2012-02-13"),
    ("Mon, 26 January 2004 16:31:00 AT", "2004-01-26"),
    ("Wed, 19 Feb 2012 22:40:00 GMT-01:01", "2012-02-19"),
    ("Thu Aug 30 2012 17:26:16 +0200", "2012-08-30"),
    ("Sun Jan  4 16:29:06 2004", "2004-01-04"),
    ("Sun Jul 15 01:16:00 +0000 2012", "2012-07-15"),
    ("January 5, 2020", "2020-01-05"),
    ("Fri, 2006/09/15 08:19:53 EDT", "2006-09-15"),
    ("2003-12-31T10:14:55.1234Z", "2003-12-31"),
    ("2003-12-31T18:14:55-08:00", "2003-12-31"),
    ("2003-012-31T10:14:55+00:00", "2003-12-31"),
    ("2004-07-08 23:56:58.0", "2004-07-08"),
    ("20031231", "2003-12-31"),
    ("031231", "2003-12-31"),
    ("03-12-31", "2003-12-31"),
    ("-03-12", "2003-12-01"),
    ("-0312", "2003-12-01"),
    ("03335", "2003-12-01"),
    ("2003-335", "2003-12-01"),
    ("2003-12", "2003-12-01"),
    ("2003", "2003-01-01"),
    ("2004-05-25 오후 11:23:17", "2004-05-25"),
    ("2004년 05월 28일  01:31:15", "2004-05-28"),
    ("2004-július-13T9:15-05:00", "2004-07-13"),
    ("Κυρ, 11 Ιούλ 2004 12:00:00 EST", "2004-07-11"),  # noqa: RUF001
]


@pytest.mark.parametrize(("text", "expected"), DAYS)
def test_days(text: str, expected: str) -> None:
    assert day(text) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("soon", None), ("Sun, 99 Jun 2009", 2009), ("Sun, 16 zzz 2012 11:47", 2012)],
)
def test_what_is_no_day_may_have_a_year(text: str, expected: int | None) -> None:
    assert day(text) is None
    assert year(text) == expected


# -- identity --------------------------------------------------------------------------------------

EPISODE = Episode("g1", "One", key="g1")
SHOW = Feed("Desk", link="https://example.org/")
PLACE = "https://example.org/feed.xml"


def the_id(feed: Feed, *addresses: str) -> str:
    return feed.ids_of(EPISODE, *addresses)[0]


SAME: list[tuple[str, Feed, tuple[str, ...]]] = [
    ("http", SHOW, ("http://example.org/feed.xml",)),
    ("host in capitals", SHOW, ("https://Example.ORG/feed.xml",)),
    ("a slash at the end", SHOW, (PLACE + "/",)),
    ("moving to there", Feed("Desk", new_address=PLACE), ("https://old.example/rss",)),
    ("moving, and read there", Feed("Desk", new_address=PLACE), (PLACE,)),
    ("redirected", SHOW, (PLACE, "https://cdn.example/1234/feed.xml")),
    ("another title and link", Feed("Table", link="https://x.example/"), (PLACE,)),
    ("a guid of its own by the rules", Feed("Desk", guid=guid_of(PLACE)), ("https://a.example/",)),
    ("a file that says where it is from", Feed("Desk", own_address=PLACE), ()),
]


@pytest.mark.parametrize(("feed", "addresses"), [case[1:] for case in SAME])
def test_what_does_not_change_who_an_episode_is(feed: Feed, addresses: tuple[str, ...]) -> None:
    assert the_id(feed, *addresses) == the_id(SHOW, PLACE)


DIFFERENT: list[tuple[Feed, tuple[str, ...]]] = [
    (SHOW, ("https://example.org/other.xml",)),
    (Feed("Desk", link="https://example.org/", guid="917393e3"), (PLACE,)),
    (SHOW, ()),
    (Feed("Table", link="https://example.org/"), ()),
]


def test_series_with_one_link_and_guid_are_as_many_as_they_are() -> None:
    ids = {the_id(feed, *addresses) for feed, addresses in DIFFERENT}
    assert len({the_id(SHOW, PLACE), *ids}) == 1 + len(DIFFERENT)


def test_the_guid_of_an_address_is_the_one_of_the_podcast_namespace() -> None:
    """The example of its specification."""
    assert guid_of("https://podnews.net/rss") == "9b024349-ccf0-5f69-a609-6b82873eab3c"


def test_an_id_that_an_episode_had_by_the_channels_link_is_among_those_it_had() -> None:
    assert SHOW.ids_of(EPISODE, PLACE)[-1] == "episode-f064786df2ded4d7beae201d"


def keys(*items: str) -> list[str]:
    return [
        each.key for each in parse(rss("".join(f"<item>{each}</item>" for each in items))).episodes
    ]


KEYS: list[tuple[str, str]] = [
    ("<guid>http://example.org/?p=1</guid>", "<guid>https://example.org/?p=1</guid>"),
    ('<guid>1</guid><enclosure url="http://a.example/1.mp3"/>',
     '<guid>1</guid><enclosure url="http://b.example/1.mp3"/>'),
    ('<title>A</title><enclosure url="http://a.example/1.mp3"/>',
     '<title>A</title><enclosure url="https://b.example/1.mp3"/>'),
    ("<link>http://example.org/1</link>", "<link>https://example.org/1</link>"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), KEYS)
def test_what_does_not_change_which_episode_it_is(before: str, after: str) -> None:
    assert keys(before) == keys(after)


def test_episodes_without_guid_that_share_a_page_are_told_apart() -> None:
    shared = "<link>http://example.org/</link>"
    first, second = (f'<enclosure url="http://a.example/{n}.mp3"/>' for n in (1, 2))
    assert keys(shared + first, shared + second) == ["1.mp3", "2.mp3"]


def test_two_series_with_one_link_and_guid_in_a_folder(tmp_path: Path) -> None:
    for name in ("Stripes", "Spots"):
        (tmp_path / f"{name}.rss").write_text(
            f"<rss><channel><title>{name}</title><link>https://example.org/</link>"
            "<item><title>One</title><guid>1</guid></item></channel></rss>"
        )
    ids = [
        each.id for each in open_source(tmp_path, "paper").candidates if isinstance(each, Candidate)
    ]
    assert len(set(ids)) == 2


def test_a_feed_on_the_web_is_known_by_its_address() -> None:
    content = title("One")
    with local_web() as web:
        for path in ("/a", "/b"):
            web.routes[path] = answer(content, "application/rss+xml")
        ids = [
            each.id
            for path in ("/a", "/b", "/a")
            for each in open_source(web.url + path, "paper", Tools(fetcher())).candidates
            if isinstance(each, Candidate)
        ]
    assert ids[0] == ids[2]
    assert ids[0] != ids[1]


# -- how long it takes --------------------------------------------------------------------------

HEAD = "<rss><channel><item><title>"
CRAFTED: dict[str, Callable[[int], str]] = {
    "empty lines first": lambda n: "\n" * n + HEAD,
    "less than": lambda n: HEAD + "<" * n,
    "tags that do not end": lambda n: HEAD + "<a " * (n // 3),
    "ampersands": lambda n: HEAD + "&" * n,
    "open elements": lambda n: HEAD + "<a>" * (n // 3),
    "ends of nothing": lambda n: HEAD + "</a>" * (n // 4),
    "comments that do not end": lambda n: HEAD + "<!--" * (n // 4),
    "texts that do not end": lambda n: HEAD + "<![CDATA[" * (n // 9),
    "types of documents": lambda n: "<!DOCTYPE [" * (n // 11) + HEAD,
    "spaces in a declaration": lambda n: "<!DOCTYPE r [<!ENTITY " + " " * n + "]>" + HEAD,
    "quotes": lambda n: HEAD + "<a " + "\"' " * (n // 3),
    "attributes": lambda n: HEAD + "<a " + "a=1 " * (n // 4) + ">",
    "spaces in a tag": lambda n: HEAD + "<a b" + " " * n + ">",
    "addresses of e-mail": lambda n: HEAD + "</title><author>" + "a" * n + "@</author>",
}


@pytest.mark.parametrize("name", CRAFTED)
def test_reading_takes_time_in_proportion(name: str) -> None:
    """Eight times as much takes about eight times as long; a square would take 64 times."""

    def seconds(size: int) -> float:
        content = CRAFTED[name](size).encode()
        began = time.process_time()
        with contextlib.suppress(RefusedError):
            parse(content)
        return time.process_time() - began

    seconds(1000)
    assert seconds(800_000) < 1 + 24 * max(seconds(100_000), 0.005)
