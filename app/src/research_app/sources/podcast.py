"""Podcasts: a feed, and for each episode what is said in it, where a transcript can be had."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from research_app.extract.media import AUDIO, VIDEO
from research_app.extract.transcripts import SUFFIXES, form_of
from research_app.private_address import holds_a_key, is_private, shown, shown_in
from research_app.refusal import ReaderAwayError
from research_app.sources.address import join, split
from research_app.sources.document import Candidate, Kind, Refusal, RefusedError, Total
from research_app.sources.outcome import outcome
from research_app.sources.podcast_feed import MAX_BYTES, Episode, Feed, read_feed
from research_app.sources.recording import Recording, Transcript, candidate, inside, media_kind
from research_app.sources.tools import Tools

SUFFIX = (".rss", ".xml", ".atom")
HEAD_BYTES = 4096

# a feed says what it is in its first element; RDF is much else besides feeds
_ROOT = re.compile(
    rb"(?i)<(?:rss|feed)[\s>]|<(?:\w{1,20}:)?rdf[\s>](?s:.{0,2000})(?:purl\.org/rss|netscape\.com/rdf)"
)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a feed was found: a folder, or an address; what it names relative to it is there."""

    name: str
    folder: Path | None = None
    url: str = ""
    # where it was asked for, and what answered
    addresses: tuple[str, ...] = ()
    private: bool = False  # for one subscriber: what it names is for nobody else

    def address(self, reference: str) -> str:
        """An address that a feed names, whole; nothing for one on a disk."""
        whole = join(self.url, reference) if self.url else reference
        return whole if split(whole).scheme in ("http", "https") else ""

    def place(self, reference: str) -> Path | str | None:
        """A file beside the feed, or an address."""
        if found := self.address(reference):
            return found
        if self.folder is None or split(reference).scheme:
            raise RefusedError(
                f"it names something that is not on the web: {shown(reference)[:200]}"
            )
        path = inside(self.folder, reference)
        return path if path.is_file() else None


def looks_like_a_feed(path: Path) -> bool:
    """Whether an XML file says that it is one."""
    if path.suffix.lower() in (".rss", ".atom"):
        return True
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES).replace(b"\0", b"")
    return _ROOT.search(head) is not None


def read(
    path: Path, kind: Kind, tools: Tools, total: Total | None = None
) -> Iterator[Candidate | Refusal]:
    """The episodes of a feed that lies here, with the transcripts that lie beside it."""
    feed = _read_file(path, tools)
    if total is not None:
        total.count = len(feed.episodes)
    origin = Origin(path.name, folder=path.parent, private=feed.is_private)
    yield from _episodes(feed, origin, kind, tools, beside(feed, path.parent))


def read_address(
    url: str, kind: Kind, tools: Tools, total: Total | None = None
) -> Iterator[Candidate | Refusal]:
    """The episodes of a feed on the web."""
    found = tools.web.get(url)
    feed = read_feed(found.content, tools.extraction, found.charset and found.charset[:40])
    if total is not None:
        total.count = len(feed.episodes)
    private = is_private(url) or feed.is_private
    origin = Origin(shown(url), url=found.url, addresses=(url, found.url), private=private)
    yield from _episodes(feed, origin, kind, tools, {})


def claimed(path: Path, tools: Tools) -> set[Path]:
    """The files that belong to a feed, and that are not to be read without it."""
    try:
        feed = _read_file(path, tools)
    except ReaderAwayError:
        raise
    except (RefusedError, OSError):
        return set()
    found = {each.place for each in beside(feed, path.parent).values()}
    origin = Origin(path.name, folder=path.parent)
    for episode in feed.episodes:
        with contextlib.suppress(RefusedError, OSError):
            found.add(_media(episode, origin) or "")
        for reference, _ in episode.transcripts:
            with contextlib.suppress(RefusedError, OSError):
                found.add(origin.place(reference) or "")
    return {place.resolve() for place in found if isinstance(place, Path)}


def _read_file(path: Path, tools: Tools) -> Feed:
    if path.stat().st_size > MAX_BYTES:
        raise RefusedError(f"larger than {MAX_BYTES // 2**20} MiB: not a feed")
    return read_feed(path, tools.extraction)


def _episodes(
    feed: Feed, origin: Origin, kind: Kind, tools: Tools, nearby: dict[str, Transcript]
) -> Iterator[Candidate | Refusal]:
    if not feed.episodes:
        yield Refusal(origin.name, "the feed has no episodes")
    reading = _Reading(feed, origin, kind, tools, nearby)
    of_the_feed = tuple(feed.mended)
    for number, episode in enumerate(feed.episodes, 1):
        source = f"{origin.name}:{number}"
        found = outcome(source, partial(reading.candidate, episode, source))
        if isinstance(found, Candidate):  # the first one says what is wrong with all
            found = replace(found, mended=(*of_the_feed, *episode.mended))
            of_the_feed = ()
        yield found


@dataclass(frozen=True, slots=True)
class _Reading:
    """What an episode is read with."""

    feed: Feed
    origin: Origin
    kind: Kind
    tools: Tools
    nearby: dict[str, Transcript]

    def candidate(self, episode: Episode, source: str) -> Candidate:
        """One episode."""
        feed, origin = self.feed, self.origin
        transcript = self.nearby.get(episode.guid) or _transcript(episode, origin)
        identity, *formerly = feed.ids_of(episode, *origin.addresses)
        recording = Recording(
            identity,
            media_kind(self.kind, "podcast"),
            source,
            _fields(feed, episode, origin),
            transcript,
            _media(episode, origin),
            _media_address(episode, origin),
            _picture(episode.image or feed.image, origin),
        )
        found = candidate(recording, self.tools)
        return replace(found, formerly=tuple(formerly), venue=feed.title)


def _transcript(episode: Episode, origin: Origin) -> Transcript | None:
    """The best of the transcripts that the feed names."""
    for reference, form in episode.transcripts:
        place = origin.place(reference)
        if place is None:
            raise RefusedError(f"its transcript is not there: {reference.partition('?')[0][:200]}")
        return Transcript(place, form)
    return None


def _media(episode: Episode, origin: Origin) -> Path | None:
    """The recording itself, where it lies beside the feed."""
    name = _recording(episode.enclosure)
    if origin.folder is None or name is None:
        return None
    relative = name.name if origin.address(episode.enclosure) else str(name)
    path = inside(origin.folder, relative)
    return path if path.is_file() else None


def _media_address(episode: Episode, origin: Origin) -> str:
    """Where the recording can be fetched from, where the feed says so."""
    return origin.address(episode.enclosure) if episode.is_recording else ""


def _picture(reference: str, origin: Origin) -> str:
    """The address of a picture; an episode is not refused for the lack of one."""
    with contextlib.suppress(RefusedError):
        return origin.address(reference)
    return ""


def _recording(enclosure: str) -> PurePosixPath | None:
    """The name of the recording that an enclosure is; nothing where it is none."""
    name = PurePosixPath(unquote(split(enclosure).path))
    return name if name.suffix.lower() in (*AUDIO, *VIDEO) else None


def _fields(feed: Feed, episode: Episode, origin: Origin) -> dict[str, Any]:
    author = episode.author or feed.author
    return {
        "title": episode.title,
        "abstract": shown_in(episode.description) if origin.private else episode.description,
        "authors": [author] if author else [],
        "year": episode.year,
        "venue": feed.title,
        "language": feed.language,
        "duration": episode.duration,
        "url": _public(episode.link, origin),
        "media_url": "" if origin.private else _public(episode.enclosure, origin),
    }


def _public(reference: str, origin: Origin) -> str:
    """An address for readers; none that holds the secret of the subscriber."""
    address = origin.address(reference) if reference else ""
    secret = is_private(address) if origin.private else holds_a_key(address)
    return "" if secret else address


def beside(feed: Feed, folder: Path) -> dict[str, Transcript]:
    """Transcripts in the feed's folder that no one names, by the episode whose name they bear.

    "transcript01-time-to-take-notice.md" is that of "Episode 1: Time to Take Notice", and
    "ep7.vtt" that of the recording "https://…/ep7.mp3".
    """
    found: dict[str, Transcript] = {}
    for path in sorted(folder.iterdir()):
        form = form_of(path.name)
        if not form or not path.is_file() or not _is_transcript(path):
            continue
        named = [episode for episode in feed.episodes if _bears_its_name(path, episode)]
        if len(named) == 1:
            found.setdefault(named[0].guid, Transcript(path, form))
    return found


def _is_transcript(path: Path) -> bool:
    """Captions are; of the other texts only those that say so."""
    return SUFFIXES[path.suffix.lower()] == "captions" or "transcript" in path.name.lower()


def _bears_its_name(path: Path, episode: Episode) -> bool:
    file = _words(path.stem)
    with contextlib.suppress(RefusedError):  # the episode is refused where it is read
        if _words(Path(split(episode.enclosure).path).stem) == file:
            return True
    while file and (file[0].startswith("transcript") or file[0].isdigit()):
        file = file[1:]
    title = _words(episode.title)
    spans = (title[at : at + len(file)] for at in range(len(title) - len(file) + 1))
    return bool(file) and file in spans


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
