"""What a podcast's feed says: RSS of every version, RDF (RSS 1.0) and Atom."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from urllib.parse import unquote
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from pydantic import TypeAdapter, ValidationError

from research_app.extract.caption_forms import seconds
from research_app.extract.extraction import MALFORMED, Document, Extraction
from research_app.extract.html_text import without_tags
from research_app.extract.media import AUDIO, VIDEO
from research_app.extract.transcripts import PREFERENCE, Form, form_of
from research_app.private_address import is_private
from research_app.sources import feed_date
from research_app.sources.address import join, split
from research_app.sources.document import RefusedError, one_line
from research_app.sources.feed_encoding import decoded
from research_app.sources.feed_xml import CUT_OFF, ROOTS, XML_BASE, XML_LANG, tree

MAX_BYTES = 64 * 2**20
MAX_EPISODES = 10_000
MAX_DESCRIPTION = 20_000
# so much may be tags
MAX_MARKUP = 4 * MAX_DESCRIPTION

ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"
DATES = (
    *("pubdate", "atom:published", "dc:date", "dcterms:issued", "dcterms:created", "published"),
    *("atom:issued", "atom:updated", "updated", "dcterms:modified"),
)
TITLES = ("title", "atom:title", "itunes:title", "media:title", "dc:title")
DESCRIPTIONS = (
    *("description", "itunes:summary", "content:encoded", "encoded", "summary", "body", "fullitem"),
    *(
        "atom:summary",
        "atom:content",
        "dc:description",
        "media:description",
        "{http://www.w3.org/1999/xhtml}body",
    ),
)
# what podcasting2.org says of how a podcast's guid is made of its address
FEEDS = uuid.UUID("ead4c236-bf58-58c6-a2c6-a6b28d128cb6")

# types that say nothing, and names of what nobody listens to
UNKNOWN = ("", "application/octet-stream", "binary/octet-stream")
OTHERS = (
    *(".jpg", ".jpeg", ".png", ".gif", ".webp", ".svg", ".pdf", ".epub", ".zip", ".torrent"),
    *(".html", ".htm", ".txt"),
)
NO_RECORDING = 3

_DURATION = re.compile(r"\d{1,6}(?::\d{1,2}){0,2}(?:\.\d+)?")
_SCHEME = re.compile(r"(?i)^https?:/+")
_E_MAIL = re.compile(r"[^\s<>()@]{1,100}@[^\s<>()@]{1,100}")
_NUMBER = re.compile(r"\d{1,6}")
_CONTROL = re.compile(r"[\x80-\x9f]")
_LETTERS = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
_BRACKETS = str.maketrans("()<>", "    ")


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file that belongs to an episode, as its feed says."""

    address: str
    media_type: str = ""
    duration: float | None = None

    @property
    def is_recording(self) -> bool:
        """Whether its type says that it is one, or its name and no other type."""
        if self.media_type.startswith(("audio/", "video/")):
            return True
        return self._may_be_one and self._suffix in (*AUDIO, *VIDEO)

    @property
    def rank(self) -> int:
        """The lower, the likelier it is what is listened to; NO_RECORDING for something else."""
        if self.media_type.startswith("audio/"):
            return 0
        if self.is_recording:
            return 1
        return 2 if self._may_be_one and self._suffix not in OTHERS else NO_RECORDING

    @property
    def _may_be_one(self) -> bool:
        return self.media_type in UNKNOWN or self.media_type.endswith("/ogg")

    @property
    def _suffix(self) -> str:
        return PurePosixPath(unquote(_path(self.address))).suffix.lower()


@dataclass(frozen=True, slots=True)
class Episode:
    """One item; addresses are as the feed has them, perhaps relative."""

    guid: str
    title: str
    description: str = ""
    author: str = ""
    year: int | None = None
    duration: float | None = None
    link: str = ""
    enclosure: str = ""
    is_recording: bool = False
    image: str = ""
    transcripts: list[tuple[str, Form]] = field(default_factory=list)
    # what tells it from the feed's others, wherever it is
    key: str = ""
    # the day or the number that stands for a title
    number: str = ""
    mended: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Feed:
    """A podcast and its episodes."""

    title: str
    link: str = ""
    # podcast:guid, and what the feed says of where it is and where it goes
    guid: str = ""
    own_address: str = ""
    new_address: str = ""
    author: str = ""
    language: str = ""
    image: str = ""
    episodes: list[Episode] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)

    def ids_of(self, episode: Episode, *addresses: str) -> list[str]:
        """The id of an episode, and after it those that it had under other circumstances.

        The series is what `podcast:guid` says. Without one it is the feed's address: where it is
        moving (`itunes:new-feed-url`), else where it was read, first as it was asked for, else
        where it says that it is (`atom:link rel="self"`). A feed in a folder that says none of
        this is its channel's link and title. The guid of an address is made as `podcast:guid` is,
        so it stays when the feed is given one of its own. The last id is the one that episodes had
        when a series was its channel's link alone.

        :param addresses: where the feed was read; none in a folder
        """
        named = [self.guid.lower()] if self.guid else []
        places = (self.new_address, *addresses, self.own_address)
        named += [guid_of(place) for place in places if place]
        link = self.link.rstrip("/").lower()
        named.append(f"{_without_scheme(link)}\n{self.title}")
        ids = [_id(series, episode.key) for series in named]
        ids.append(_id(link or self.title, episode.guid))
        return list(dict.fromkeys(ids))

    @property
    def is_private(self) -> bool:
        """Whether it says that it is at an address with a secret."""
        return is_private(self.own_address) or is_private(self.new_address)


def guid_of(address: str) -> str:
    """The guid of the feed at an address; http or https, and how a host is spelt, are the same."""
    host, slash, rest = _without_scheme(address).partition("/")
    place = f"{host.rpartition('@')[2].lower()}{slash}{rest}".partition("#")[0]
    return str(uuid.uuid5(FEEDS, place.rstrip("/")))


def _without_scheme(address: str) -> str:
    return _SCHEME.sub("", address.strip(), count=1)


def _id(series: str, key: str) -> str:
    named = f"{series}\n{key}".encode()
    return f"episode-{hashlib.sha256(named).hexdigest()[:24]}"


_FEED = TypeAdapter(Feed)


def read_feed(document: Document, extraction: Extraction, charset: str | None = None) -> Feed:
    """A feed that is read by who reads what strangers wrote."""
    try:
        return _FEED.validate_python(extraction.ask("feed", document, charset=charset))
    except ValidationError:
        raise RefusedError(MALFORMED) from None


def parse(content: bytes, charset: str | None = None) -> Feed:
    """A feed, or the reason why it is none.

    :param charset: the encoding that the server names
    """
    if not content.strip():
        raise RefusedError("the file is empty")
    if len(content) > MAX_BYTES:
        raise RefusedError(f"larger than {MAX_BYTES // 2**20} MiB: not a feed")
    text, misspelt = decoded(content, charset)
    root, fault = tree(text)
    mended = [f"the feed: {each}" for each in (misspelt, fault) if each]
    return _feed(root, mended)


class _Part:
    """An element of a feed and what is in it by name; what it names is relative to its base."""

    def __init__(self, element: Element, base: str = "") -> None:
        self.element = element
        self.base = _joined(base, element.get(XML_BASE, ""))
        self._named: dict[str, list[Element]] = {}
        for each in element:
            self._named.setdefault(each.tag, []).append(each)

    def all(self, *names: str) -> list[Element]:
        """The elements of some names, name by name."""
        named = self._named
        return [each for name in names if name in named for each in named[name]]

    def text(self, *names: str) -> str:
        """The first words that stand under any of the names."""
        for each in self.all(*names):
            if words := _words(each):
                return words
        return ""

    def number(self, *names: str) -> str:
        """The same where they are a number."""
        words = self.text(*names)
        return words if _NUMBER.fullmatch(words) else ""

    def address(self, element: Element, *attributes: str) -> str:
        """What an element names by the first of some attributes that it has, or by its text."""
        named = next((value for each in attributes if (value := element.get(each))), None)
        reference = (element.text if named is None else named) or ""
        return self.whole(reference, element)

    def whole(self, reference: str, element: Element) -> str:
        """An address that is relative to an element in it."""
        reference = one_line(reference)
        base = _joined(self.base, element.get(XML_BASE, ""))
        return _joined(base, reference) if base and reference else reference

    def linked(self, *relations: str) -> Iterator[Element]:
        """Links of Atom that say so of themselves."""
        for each in self.all("atom:link"):
            if each.get("rel", "alternate").lower() in relations and each.get("href"):
                yield each


def _joined(base: str, reference: str) -> str:
    try:
        return join(base, reference)
    except RefusedError:  # its episode is refused where it is asked for
        return reference


def _feed(root: Element, mended: list[str]) -> Feed:
    whole, head, items = _parts(root)
    title, link = head.text(*TITLES), _page(head)
    if any(element.tag == CUT_OFF for element in root.iter()):
        mended = [*mended, "the feed: it ends in the middle of an episode, which is left out"]
    return Feed(
        title=title,
        link=link,
        guid=head.text("podcast:guid")[:200],
        own_address=next((head.address(each, "href") for each in head.linked("self")), ""),
        new_address=head.text("itunes:new-feed-url"),
        author=_author(head),
        language=head.text("language", "dc:language") or _language(head, whole),
        image=_image(head) or _image(whole),
        episodes=list(_told_apart([_episode(item) for item in items], link, title)),
        mended=mended,
    )


def _parts(root: Element) -> tuple[_Part, _Part, list[_Part]]:
    """The feed, what describes it, and its items, that are within that or beside it."""
    whole = _Part(root)
    kind = root.tag.rpartition(":")[2].rpartition("}")[2].lower()
    if kind not in ROOTS:
        raise RefusedError("not a podcast's feed: it is XML, but neither RSS nor Atom")
    channels = [_Part(each, whole.base) for each in whole.all("channel")]
    items = [
        _Part(each, place.base)
        for place in (*channels, whole)
        for each in place.all("item", "atom:entry")
    ]
    if len(items) > MAX_EPISODES:
        raise RefusedError(f"over {MAX_EPISODES:,} episodes: not a podcast's feed")
    return whole, channels[0] if channels else whole, items


def _told_apart(episodes: list[Episode], link: str, title: str) -> Iterator[Episode]:
    """Give each episode its key, and a title where it has none.

    Without a guid the key is the page of an episode, if that is its own; else the recording,
    wherever it is; else the title. A title is made of the day or the episode's number; where the
    feed has neither, of the recording's name, or of the place, the last in the feed being the
    first.
    """
    pages = Counter(each.link for each in episodes)
    for place, each in zip(range(len(episodes), 0, -1), episodes, strict=True):
        own_page = each.link if each.link != link and pages[each.link] == 1 else ""
        number = each.number or _stem(each.enclosure) or f"episode {place}"
        name = each.title or f"{title}, {number}".removeprefix(", ")
        yield replace(
            each,
            title=name,
            guid=each.guid or each.enclosure or each.link or name,
            key=_without_scheme(each.guid or own_page) or _without_host(each.enclosure) or name,
            link=each.link or each.enclosure,
            mended=each.mended
            + ([] if each.title else [f'it has no title and is called "{name[:200]}"']),
        )


def _stem(address: str) -> str:
    return one_line(PurePosixPath(unquote(_path(address))).stem)


def _without_host(address: str) -> str:
    return _without_scheme(address).partition("/")[2] if _SCHEME.match(address) else address


def _episode(item: _Part) -> Episode:
    published = item.text(*DATES)
    day = feed_date.day(published)
    number = item.number("itunes:episode", "podcast:episode")
    files = sorted(_enclosures(item), key=lambda each: each.rank)
    recording = files[0] if files and files[0].rank < NO_RECORDING else Enclosure("")
    page, fault = _readable(_page(item) or _permalink(item))
    return Episode(
        guid=item.text("guid", "atom:id", "id") or one_line(item.element.get(ABOUT, "")),
        title=item.text(*TITLES),
        number=day.isoformat() if day else f"episode {number}" if number else "",
        description=_description(item),
        author=_author(item),
        year=day.year if day else feed_date.year(published),
        duration=_duration(item.text("itunes:duration")) or recording.duration,
        link=page,
        enclosure=recording.address,
        is_recording=recording.is_recording,
        image=_image(item),
        transcripts=sorted(_transcripts(item), key=lambda each: PREFERENCE.index(each[1])),
        mended=[fault] if fault else [],
    )


def _readable(page: str) -> tuple[str, str]:
    """The address of a page; what is wrong where it is none costs it, and not its episode."""
    try:
        split(page)
    except RefusedError as error:
        return "", f"its page is left out: {error}"
    return page, ""


def _words(element: Element) -> str:
    """What stands in an element as one line; without tags where it is markup and not text."""
    if len(element) or element.get("type") in ("html", "text/html"):
        return without_tags(_markup(element))
    return one_line(_as_meant(element.text or ""))


def _as_meant(text: str) -> str:
    """Text whose controls of ISO 8859 are the letters that Windows has in their place."""
    return text.translate(_LETTERS) if _CONTROL.search(text) else text


def _markup(element: Element) -> str:
    """What stands in an element, with tags for the elements in it, up to a limit."""
    if not len(element):
        return _as_meant((element.text or "")[:MAX_MARKUP])
    pieces: list[str] = []
    size = 0
    waiting: list[Element | str] = [*reversed(element), escape(element.text or "")]
    while waiting and size < MAX_MARKUP:
        top = waiting.pop()
        if isinstance(top, str):
            pieces.append(top)
        else:
            name = top.tag.rpartition("}")[2]
            pieces.append(f"<{name}>")
            waiting += [escape(top.tail or ""), f"</{name}>", *reversed(top)]
            waiting.append(escape(top.text or ""))
        size += len(pieces[-1])
    return _as_meant("".join(pieces))


def _description(item: _Part) -> str:
    """The longest of what the feed says, at most a few pages."""
    texts = [without_tags(_markup(each)) for each in item.all(*DESCRIPTIONS)]
    return max(texts, key=len, default="")[:MAX_DESCRIPTION]


def _page(part: _Part) -> str:
    """The address of its page on the web."""
    for each in part.all("link"):
        if found := part.address(each, "href"):
            return found
    return next((part.address(each, "href") for each in part.linked("alternate")), "")


def _permalink(item: _Part) -> str:
    for each in item.all("guid"):
        guid = one_line(each.text or "")
        said = each.get("isPermaLink", "").lower()
        if said == "true" or (not said and _SCHEME.match(guid)):
            return item.whole(guid, each)
    return ""


def _author(part: _Part) -> str:
    """A name; addresses of e-mail are nobody's name."""
    for each in part.all("itunes:author", "dc:creator", "dc:author", "atom:author", "author"):
        inner = _Part(each)
        words = inner.text("atom:name", "name") if len(each) else _words(each)
        name = _E_MAIL.sub(" ", words).translate(_BRACKETS) if "@" in words else words
        if name := one_line(name):
            return name
    return ""


def _language(head: _Part, whole: _Part) -> str:
    return head.element.get(XML_LANG) or whole.element.get(XML_LANG) or ""


def _image(part: _Part) -> str:
    for each in part.all("itunes:image", "media:thumbnail"):
        if found := part.address(each, "href", "url"):
            return found
    for each in part.all("image"):
        inner = _Part(each, part.base)
        if found := next((inner.address(url) for url in inner.all("url")), ""):
            return found
    return next((part.address(each) for each in part.all("atom:logo", "atom:icon")), "")


def _enclosures(item: _Part) -> Iterator[Enclosure]:
    """The files of an episode, in the order of how plainly they are said to be its recording."""
    named = [*item.all("enclosure"), *item.linked("enclosure"), *item.all("media:content")]
    for group in item.all("media:group"):
        named += _Part(group).all("media:content")
    for each in named:
        address = item.address(each, "url", "href")
        media_type = each.get("type", "").partition(";")[0].strip().lower()
        if not media_type and (medium := each.get("medium")):
            media_type = f"{medium.lower()}/*"
        if address:
            yield Enclosure(address, media_type, _duration(each.get("duration", "")))


def _transcripts(item: _Part) -> Iterator[tuple[str, Form]]:
    for element in item.all("podcast:transcript"):
        url = item.address(element, "url")
        form = form_of(url.partition("?")[0], element.get("type") or "")
        if url and form:
            yield url, form


def _duration(text: str) -> float | None:
    return seconds(text) if _DURATION.fullmatch(text) else None


def _path(address: str) -> str:
    try:
        return split(address).path
    except RefusedError:  # its episode is refused where it is asked for
        return ""
