"""Videos on YouTube: what is known of one and what is said in it, never the video itself."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any, Protocol

from research_app.refusal import RefusedError
from research_app.sources.address import split
from research_app.sources.caption_names import READERS, order, root
from research_app.sources.document import Candidate, Kind, Refusal, Total
from research_app.sources.outcome import outcome
from research_app.sources.recording import Recording, Transcript, candidate, media_kind
from research_app.sources.tools import Tools

HOSTS = frozenset(
    f"{prefix}{host}"
    for prefix in ("", "www.", "m.")
    for host in ("youtube.com", "youtube-nocookie.com", "youtu.be")
)
MAX_VIDEOS = 500
CAPTION_FORMS = ("vtt", "srt")
MAX_DESCRIPTION = 20_000

MAX_DEPTH = 3
UNREAD = ("url", "url_transparent")
# what yt-dlp calls availability, live_status, and puts for the title of a video of a list
UNSEEN = {
    "private": "the video is private",
    "subscriber_only": "the video is for members of its channel only",
    "premium_only": "the video is for those who pay YouTube only",
    "needs_auth": "the video is shown to those only who sign in",
}
UNFINISHED = {
    "is_live": "the video is live: read it again when it is over",
    "is_upcoming": "the video is yet to come: read it again when it is over",
    "post_live": "the video was live, and YouTube is not done with it: read it again in some hours",
}
REPLACED = {
    "[private video]": UNSEEN["private"],
    "[deleted video]": "the video was removed",
}

_VIDEO = re.compile(r"[\w-]{11}")


class Informant(Protocol):
    """Answers what yt-dlp calls the info dictionary of a video or of a list of them."""

    def information(self, url: str) -> dict[str, Any]:
        """What is known at an address; RefusedError with the reason where nothing is.

        Of a list the entries need not be whole: those of the types url and url_transparent are
        asked for one by one.
        """
        ...


class YtDlp:
    """Asks YouTube by yt-dlp; the extra "youtube" brings it."""

    def information(self, url: str) -> dict[str, Any]:
        """What is known at an address."""
        if not importlib.util.find_spec("yt_dlp"):
            raise RefusedError("YouTube is not read on this site (the extra youtube is missing)")
        import yt_dlp  # noqa: PLC0415 - it takes a second, and is optional

        options = {
            "quiet": True,
            "no_warnings": True,
            "skip_download": True,
            "playlistend": MAX_VIDEOS,
            # one video that is private would else end the whole list
            "extract_flat": "in_playlist",
            "socket_timeout": 10,
            "retries": 2,
            "sleep_interval_requests": 1,
            "cachedir": False,
            "ignoreconfig": True,
            "allowed_extractors": [r"youtube(?::.*)?"],
        }
        try:
            with yt_dlp.YoutubeDL(options) as asking:
                found: dict[str, Any] = asking.sanitize_info(
                    asking.extract_info(url, download=False)
                )
                return found
        except yt_dlp.utils.YoutubeDLError as error:
            raise RefusedError(f"YouTube does not show it: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What YouTube says, without the advice that yt-dlp adds for its own users."""
    text = re.sub(r"^(?:ERROR: )?(?:\[[^\]]*\] )?(?:[\w-]{11}: )?", "", str(error))
    return re.split(r"[.;] (?:please|use|see|sign in to)\b", text, maxsplit=1, flags=re.I)[0][:200]


def is_youtube(url: str) -> bool:
    """Whether an address is one of YouTube's."""
    return (split(url).hostname or "").lower() in HOSTS


def read_address(
    url: str,
    kind: Kind,
    tools: Tools,
    total: Total | None = None,
    informant: Informant | None = None,
) -> Iterator[Candidate | Refusal]:
    """One video, or those of a playlist or a channel."""
    if not tools.has_web:
        raise RefusedError("fetching from the web is switched off on this site")
    asked = informant or YtDlp()
    found = asked.information(url)
    items = list(islice(_items(found, url, asked), MAX_VIDEOS + 1))
    if total is not None:
        total.count = min(len(items), MAX_VIDEOS)
    for item in items[:MAX_VIDEOS]:
        if isinstance(item, Refusal):
            yield item
        else:
            yield outcome(_address(item) or url, partial(_candidate, item, kind, tools, asked))
    if len(items) > MAX_VIDEOS:
        yield Refusal(url, f"of a list the first {MAX_VIDEOS} videos are read; the rest is not")


def _items(
    found: dict[str, Any], url: str, informant: Informant, depth: int = 0
) -> Iterator[dict[str, Any] | Refusal]:
    """The videos of a list, each once: a channel's tabs are lists in a list."""
    if found.get("entries") is None:
        yield found
        return
    known: set[str] = set()
    for entry in found["entries"]:
        for item in _of_entry(entry or {}, url, informant, depth):
            identity = "" if isinstance(item, Refusal) else str(item.get("id") or "")
            if not identity or identity not in known:
                yield item
            known.add(identity)


def _of_entry(
    entry: dict[str, Any], url: str, informant: Informant, depth: int
) -> Iterator[dict[str, Any] | Refusal]:
    """The video that an entry is, or those of the list that it is; a bad list hides no other."""
    address = _address(entry) or url
    is_list = entry.get("entries") is not None
    if not is_list and not _is_unread_list(entry):
        yield entry
    elif depth == MAX_DEPTH:
        yield Refusal(address, "a list in a list in a list: give its own address")
    else:
        try:
            whole = entry if is_list else _told(address, informant)
            yield from _items(whole, address, informant, depth + 1)
        except RefusedError as error:
            yield Refusal(address, str(error))


def _is_unread_list(entry: dict[str, Any]) -> bool:
    """Whether an entry is the address of a list: what is a video has a video's id."""
    return entry.get("_type") in UNREAD and not _VIDEO.fullmatch(str(entry.get("id") or ""))


def _told(address: str, informant: Informant) -> dict[str, Any]:
    """What is known at an address that a list names."""
    if not is_youtube(address):
        raise RefusedError("it is not on YouTube")
    return informant.information(address)


def _address(info: dict[str, Any]) -> str:
    return str(info.get("webpage_url") or info.get("url") or "")


def _candidate(info: dict[str, Any], kind: Kind, tools: Tools, informant: Informant) -> Candidate:
    check_seen(info)
    if info.get("_type") in UNREAD:
        info = _told(_address(info), informant)
        check_seen(info)
    return candidate(recording(info, kind, tools.readers), tools)


def check_seen(info: dict[str, Any]) -> None:
    """RefusedError where a video is not for everybody to see, or not over yet."""
    title = str(info.get("title") or "")
    reason = (
        UNSEEN.get(str(info.get("availability")))
        or UNFINISHED.get(str(info.get("live_status")))
        or REPLACED.get(title.strip().lower())
    )
    if reason is None and info.get("is_live"):
        reason = UNFINISHED["is_live"]
    if reason:
        raise RefusedError(f'"{title}": {reason}' if title and title[:1] != "[" else reason)


def recording(info: dict[str, Any], kind: Kind, readers: str = READERS) -> Recording:
    """A video, as its info dictionary describes it."""
    identity = str(info.get("id") or "")
    if not _VIDEO.fullmatch(identity):
        raise RefusedError("not a video that can be seen: private, removed, or yet to come")
    language, track = captions(info, readers)
    author = info.get("uploader") or info.get("channel") or ""
    date = str(info.get("release_date") or info.get("upload_date") or "")
    url = f"https://www.youtube.com/watch?v={identity}"
    fields = {
        "title": info.get("title") or "",
        "abstract": str(info.get("description") or "")[:MAX_DESCRIPTION],
        "authors": [author] if author else [],
        "venue": info.get("channel") or "",
        "year": int(date[:4]) if date[:4].isdecimal() else None,
        "duration": info.get("duration"),
        "language": info.get("language") or language,
        "url": url,
    }
    return Recording(
        f"youtube-{identity}",
        media_kind(kind, "video"),
        url,
        fields,
        Transcript(track, "captions") if track else None,
        picture=str(info.get("thumbnail") or ""),
    )


def captions(info: dict[str, Any], readers: str = READERS) -> tuple[str, str]:
    """The language and the address of the best captions.

    In the spoken language before any other, and written by people before guessed; what a machine
    has translated of what a machine has guessed is none.
    """
    automatic = _tracks(info, "automatic_captions")
    spoken = str(info.get("language") or _heard(automatic) or readers)
    ranked = [
        (*order(name, spoken, readers, automatic=False), name)
        for name in _tracks(info, "subtitles")
    ]
    ranked += [
        (*order(name, spoken, readers, automatic=True), name)
        for name in automatic
        if root(name) == root(spoken)
    ]
    for *_, guessed, _, name in sorted(ranked):
        tracks = automatic if guessed else _tracks(info, "subtitles")
        for form in CAPTION_FORMS:
            for track in tracks[name]:
                if track.get("ext") == form and track.get("url"):
                    return name, str(track["url"])
    return "", ""


def _tracks(info: dict[str, Any], key: str) -> dict[str, list[dict[str, Any]]]:
    """Language → the forms in which there are captions."""
    return {name: tracks or [] for name, tracks in (info.get(key) or {}).items()}


def _heard(automatic: dict[str, Any]) -> str:
    """The language that YouTube has heard: the one whose captions are the origin of others."""
    origin = next((name for name in automatic if name.endswith("-orig")), "")
    return origin.removesuffix("-orig")
