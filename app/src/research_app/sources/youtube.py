"""Videos on YouTube: what is known of one and what is said in it, never the video itself."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

from research_app.refusal import RefusedError
from research_app.sources.address import split
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

_VIDEO = re.compile(r"[\w-]{11}")


class Informant(Protocol):
    """Answers what yt-dlp calls the info dictionary of a video or of a list of them."""

    def information(self, url: str) -> dict[str, Any]:
        """What is known at an address; RefusedError where nothing is."""
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
    found = (informant or YtDlp()).information(url)
    entries = found.get("entries")
    videos = [found] if entries is None else entries[:MAX_VIDEOS]
    if total is not None:
        total.count = len(videos)
    for info in videos:
        source = str((info or {}).get("webpage_url") or url)
        yield outcome(source, partial(_candidate, info or {}, kind, tools))


def _candidate(info: dict[str, Any], kind: Kind, tools: Tools) -> Candidate:
    return candidate(recording(info, kind), tools)


def recording(info: dict[str, Any], kind: Kind) -> Recording:
    """A video, as its info dictionary describes it."""
    identity = str(info.get("id") or "")
    if not _VIDEO.fullmatch(identity):
        raise RefusedError("not a video that can be seen: private, removed, or yet to come")
    language, track = captions(info)
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


def captions(info: dict[str, Any]) -> tuple[str, str]:
    """The language and the address of the best captions: written before guessed, spoken first."""
    spoken = str(info.get("language") or "en").partition("-")[0]
    for name in ("subtitles", "automatic_captions"):
        tracks = info.get(name) or {}
        for language in sorted(tracks, key=lambda each: _rank(each, spoken)):
            if name == "automatic_captions" and _rank(language, spoken)[0]:
                continue  # a machine's translation of a machine's guess
            for form in CAPTION_FORMS:
                for track in tracks[language]:
                    if track.get("ext") == form and track.get("url"):
                        return language, str(track["url"])
    return "", ""


def _rank(language: str, spoken: str) -> tuple[bool, bool, str]:
    root = language.partition("-")[0]
    return root != spoken, root != "en", language
