"""Transcripts in the forms in which podcasts publish them, as passages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Literal

import orjson

from research_app.extract.captions import Cue, cues, decode, seconds
from research_app.extract.html_text import marked_paragraphs
from research_app.extract.passages import from_cues, from_paragraphs
from research_app.plain_text import one_line
from research_app.refusal import RefusedError

Form = Literal["captions", "json", "html", "plain"]

MEDIA_TYPES: dict[str, Form] = {
    "text/vtt": "captions",
    "application/srt": "captions",
    "application/x-subrip": "captions",
    "text/srt": "captions",
    "application/json": "json",
    "text/html": "html",
    "text/markdown": "plain",
    "text/plain": "plain",
}
SUFFIXES: dict[str, Form] = {
    ".vtt": "captions",
    ".srt": "captions",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
    ".md": "plain",
    ".txt": "plain",
}
# of HTML; one of many hours, each word in a tag of its own, has fewer
MAX_TAGS = 300_000
# those that know the second come first
PREFERENCE: tuple[Form, ...] = ("captions", "json", "html", "plain")

_RULE = re.compile(r"^---[^\S\n]*$", re.M)
_EMPTY_LINES = re.compile(r"\n[ \t]*\n")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\n]*\)")
_MARKS = re.compile(
    r"^[^\S\n]*(?:#{1,6}\s+|[*+-]\s+|>\s?)|(?<!\w)[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}(?!\w)", re.M
)
_TIME = re.compile(r"\(?(\d{1,3}(?::\d{2}){1,2}(?:[.,]\d+)?)\)?")


def form_of(name: str, media_type: str = "") -> Form | None:
    """Which form a transcript has, by what is said of it or by its name."""
    known = MEDIA_TYPES.get(media_type.partition(";")[0].strip().lower())
    return known or SUFFIXES.get(PurePosixPath(name).suffix.lower())


def passages(content: bytes, form: Form, charset: str | None = None) -> list[dict[str, Any]]:
    """A transcript as passages, with their second where it knows it."""
    text = decode(content, charset)
    if form == "captions":
        return from_cues(cues(text))
    if form == "json":
        return from_cues(_from_json(text))
    found = _from_html(text) if form == "html" else from_paragraphs(paragraphs(text))
    if not found:
        raise RefusedError("the transcript has no words")
    return found


def paragraphs(text: str) -> list[str]:
    """The paragraphs of plain text or Markdown, without its marks."""
    body = _without_front_matter(text.replace("\r\n", "\n").replace("\r", "\n"))
    blocks = (_MARKS.sub("", _LINK.sub(r"\1", block)) for block in _EMPTY_LINES.split(body))
    return [words for block in blocks if (words := one_line(block))]


def _without_front_matter(text: str) -> str:
    """What follows the lines that describe a text of Markdown, between two rules at its head."""
    first = _RULE.match(text)
    second = _RULE.search(text, first.end() + 1) if first else None
    return text[second.end() :] if second else text


def _from_json(text: str) -> list[Cue]:
    """The form of podcastindex.org: segments with startTime, endTime, speaker and body."""
    try:
        segments = orjson.loads(text)["segments"]
        found = list(_spoken(segments))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise RefusedError("not a transcript: it has no segments with a time and a text") from None
    if not found:
        raise RefusedError("the transcript has no words")
    return found


def _spoken(segments: list[dict[str, Any]]) -> Iterator[Cue]:
    speaker = ""
    for segment in segments:
        words = one_line(segment["body"])
        start = max(0.0, float(segment["startTime"]))
        end = float(segment.get("endTime") or start)
        if segment.get("speaker", speaker) != speaker:
            speaker = segment["speaker"]
            words = f"{one_line(speaker)}: {words}"
        if words:
            yield Cue(start, max(start, end), words)


def _from_html(text: str) -> list[dict[str, Any]]:
    """Paragraphs; where each is preceded by its time, they keep it."""
    if text.count("<") > MAX_TAGS:
        raise RefusedError(f"over {MAX_TAGS:,} tags: not a transcript")
    found: list[Cue] = []
    without_time: list[str] = []
    now: float | None = None
    for paragraph in marked_paragraphs(text):
        time = _TIME.fullmatch(paragraph[1:]) if paragraph.startswith("\f") else None
        if time:
            now = seconds(time[1])
        elif now is None:
            without_time.append(paragraph.lstrip("\f"))
        else:
            found.append(Cue(now, now, paragraph.lstrip("\f")))
    if not found:
        return from_paragraphs(without_time)
    heading = [Cue(0, 0, words) for words in without_time]
    return from_cues([*heading, *found])
