"""What a podcast's feed says: RSS, read by a parser that follows no entity and opens no file."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree
from pydantic import TypeAdapter, ValidationError

from research_app.extract.caption_forms import seconds
from research_app.extract.extraction import MALFORMED, Document, Extraction
from research_app.extract.html_text import without_tags
from research_app.extract.transcripts import PREFERENCE, Form, form_of
from research_app.sources.document import RefusedError, one_line

MAX_BYTES = 64 * 2**20
# ten thousand episodes with fifty each
MAX_PARTS = 500_000
MAX_DESCRIPTION = 20_000

ITUNES = "{http://www.itunes.com/dtds/podcast-1.0.dtd}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}"
# the address under which the namespace is known, and the one under which it was first
PODCAST = (
    "{https://podcastindex.org/namespace/1.0}",
    "{https://github.com/Podcastindex-org/podcast-namespace/blob/main/docs/1.0.md}",
)
_DURATION = re.compile(r"\d{1,6}(?::\d{1,2}){0,2}(?:\.\d+)?")
_YEAR = re.compile(r"(?:19|20)\d{2}")


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
    image: str = ""
    transcripts: list[tuple[str, Form]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Feed:
    """A podcast and its episodes."""

    title: str
    identity: str
    author: str = ""
    language: str = ""
    image: str = ""
    episodes: list[Episode] = field(default_factory=list)

    def id_of(self, episode: Episode) -> str:
        """The same however often, and from wherever, the feed is read."""
        named = f"{self.identity}\n{episode.guid}".encode()
        return f"episode-{hashlib.sha256(named).hexdigest()[:24]}"


_FEED = TypeAdapter(Feed)


def read_feed(document: Document, extraction: Extraction) -> Feed:
    """A feed that is read by who reads what strangers wrote."""
    try:
        return _FEED.validate_python(extraction.ask("feed", document))
    except ValidationError:
        raise RefusedError(MALFORMED) from None


def parse(content: bytes) -> Feed:
    """A feed, or the reason why it is none."""
    if not content.strip():
        raise RefusedError("the file is empty")
    if len(content) > MAX_BYTES:
        raise RefusedError(f"larger than {MAX_BYTES // 2**20} MiB: not a feed")
    try:
        root = _root(content)
    except DefusedXmlException:
        raise RefusedError(
            "the feed defines entities, which can pull in files of this machine or fill its"
            " memory; no podcast needs them"
        ) from None
    except ParseError as error:
        line, column = error.position
        raise RefusedError(
            f"not a feed: the XML is malformed in line {line}, column {column + 1}"
        ) from None
    except (ValueError, LookupError):
        raise RefusedError("not a feed: its XML has an encoding that is not known") from None
    channel = root.find("channel")
    if root.tag != "rss" or channel is None:
        raise RefusedError("not a podcast's feed: it is XML, but not RSS with a channel")
    return _feed(channel)


def _root(content: bytes) -> Element:
    """The tree of a feed, as long as it does not need far more memory than its text."""
    count = 0
    root: Element | None = None
    for _, element in ElementTree.iterparse(io.BytesIO(content), ("start",)):
        root = element if root is None else root
        count += 1 + len(element.attrib)
        if count > MAX_PARTS:
            raise RefusedError(f"over {MAX_PARTS:,} elements and attributes: not a feed")
    assert root is not None  # noqa: S101 - without a root it is malformed
    return root


def _feed(channel: Element) -> Feed:
    title = _text(channel, "title")
    link = _text(channel, "link")
    image = channel.find(f"{ITUNES}image")
    return Feed(
        title=title,
        identity=link.rstrip("/").lower() or title,
        author=_text(channel, f"{ITUNES}author"),
        language=_text(channel, "language"),
        image=(image.get("href") or "") if image is not None else _text(channel, "image/url"),
        episodes=[_episode(item) for item in channel.iter("item")],
    )


def _episode(item: Element) -> Episode:
    enclosure = item.find("enclosure")
    image = item.find(f"{ITUNES}image")
    media = (enclosure.get("url") or "").strip() if enclosure is not None else ""
    link = _text(item, "link")
    title = _text(item, "title") or _text(item, f"{ITUNES}title")
    return Episode(
        guid=_text(item, "guid") or media or link or title,
        title=title,
        description=_description(item),
        author=_text(item, f"{ITUNES}author"),
        year=_year(_text(item, "pubDate")),
        duration=_duration(_text(item, f"{ITUNES}duration")),
        link=link or media,
        enclosure=media,
        image=(image.get("href") or "").strip() if image is not None else "",
        transcripts=sorted(_transcripts(item), key=lambda each: PREFERENCE.index(each[1])),
    )


def _text(element: Element, path: str) -> str:
    return one_line(element.findtext(path) or "")


def _description(item: Element) -> str:
    """The longest of what the feed says, at most a few pages."""
    texts = (
        without_tags((item.findtext(path) or "")[: 4 * MAX_DESCRIPTION])
        for path in ("description", f"{ITUNES}summary", f"{CONTENT}encoded")
    )
    return max(texts, key=len)[:MAX_DESCRIPTION]


def _transcripts(item: Element) -> Iterator[tuple[str, Form]]:
    for namespace in PODCAST:
        for element in item.iterfind(f"{namespace}transcript"):
            url = (element.get("url") or "").strip()
            form = form_of(url.partition("?")[0], element.get("type") or "")
            if url and form:
                yield url, form


def _year(date: str) -> int | None:
    with contextlib.suppress(ValueError, OverflowError):
        return parsedate_to_datetime(date).year
    found = _YEAR.search(date)
    return int(found[0]) if found else None


def _duration(text: str) -> float | None:
    return seconds(text) if _DURATION.fullmatch(text) else None
