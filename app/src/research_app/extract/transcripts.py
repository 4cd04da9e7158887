"""Transcripts in the forms in which podcasts publish them, as passages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Literal

import orjson

from research_app.extract.caption_forms import Cue, seconds
from research_app.extract.captions import cues
from research_app.extract.decoding import decoded
from research_app.extract.html_text import marked_paragraphs
from research_app.extract.mending import Faults
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
    ".sbv": "captions",
    ".ass": "captions",
    ".ssa": "captions",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
    ".md": "plain",
    ".txt": "plain",
}
# those that know the second come first
PREFERENCE: tuple[Form, ...] = ("captions", "json", "html", "plain")

NO_SEGMENTS = "not a transcript: it has no segments with a time and a text"

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


def parsed(content: bytes, form: Form, charset: str | None = None) -> dict[str, list[Any]]:
    """A transcript as "passages", with their second where it knows it, and what is "mended".

    :param charset: what a server says of its encoding
    :raises RefusedError: it has no words, or is no transcript
    """
    faults = Faults()
    text = decoded(content, faults, charset)
    if form == "captions":
        found = from_cues(cues(text, faults))
    elif form == "json":
        found = from_cues(_from_json(text, faults))
    elif form == "html":
        found = _from_html(text)
    else:
        found = from_paragraphs(paragraphs(text))
    if not found:
        raise RefusedError("the transcript has no words")
    return {"passages": found, "mended": faults.sentences}


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


def _from_json(text: str, faults: Faults) -> list[Cue]:
    """The form of podcastindex.org: segments with startTime, endTime, speaker and body.

    Whisper calls these start, end and text.
    """
    try:
        segments = orjson.loads(text)["segments"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        segments = None
    if not isinstance(segments, list):
        raise RefusedError(NO_SEGMENTS)
    found = list(_spoken(segments, faults))
    if not found and faults.count:
        raise RefusedError(NO_SEGMENTS)
    return found


def _spoken(segments: list[Any], faults: Faults) -> Iterator[Cue]:
    before = ""
    for number, segment in enumerate(segments, 1):
        try:
            words = one_line(segment.get("body", segment.get("text")))
            start = max(0.0, _finite(segment.get("startTime", segment.get("start"))))
            end = _finite(segment.get("endTime", segment.get("end")) or start)
            speaker = one_line(segment.get("speaker") or before)
        except (TypeError, ValueError, AttributeError, OverflowError):
            faults.add(f"segment {number} has no time or no text, and is left out")
            continue
        if words and speaker != before:
            words = f"{speaker}: {words}"
            before = speaker
        if words:
            yield Cue(start, max(start, end), words)


def _finite(value: Any) -> float:
    """A number of seconds; ValueError or TypeError where it is none."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _from_html(text: str) -> list[dict[str, Any]]:
    """Paragraphs; where each is preceded by its time, they keep it."""
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
