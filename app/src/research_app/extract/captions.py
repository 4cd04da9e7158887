"""Captions and transcripts with times: WebVTT and SRT as they are found, sloppy ones included."""

from __future__ import annotations

import codecs
import html
import re
from dataclasses import dataclass
from itertools import pairwise

from research_app.plain_text import one_line
from research_app.refusal import RefusedError

MAX_BYTES = 8 * 2**20
MAX_LINE = 10_000

_BREAK = re.compile(r"\r\n|\r|\n")
_TIME = r"(?:\d+:)?\d{1,2}:\d{1,2}(?:[.,]\d+)?"
_TIMING = re.compile(rf"\s*(?P<start>{_TIME})\s*-->\s*(?P<end>{_TIME})(?=\s|$)")
_NUMBER = re.compile(r"\d+")
_STYLING = re.compile(r"\{\\[^{}]*\}|\{[biu]\}", re.I)  # SubStation marks in SRT files
# a tag begins with its name, or is a time; what people say of numbers does neither
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<[\d:.]+>")
_SPEAKER = re.compile(r"<v(?:\.[\w.-]+)?\s+([^<>]{1,100})>")
_TURN = re.compile(r"^\s*(?:-|>>+)\s*")

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Cue:
    """Some words, and the seconds in which they are said."""

    start: float
    end: float
    text: str


def decode(content: bytes, charset: str | None = None) -> str:
    """The text of a file that does not say how it is encoded, or says it wrongly."""
    if len(content) > MAX_BYTES:
        raise RefusedError(f"larger than {MAX_BYTES // 2**20} MiB: not a transcript")
    if not content.strip():
        raise RefusedError("the file is empty")
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return _decoded(content, encoding).removeprefix("\ufeff")
    if b"\0" in content:
        return _without_mark(content)
    for encoding in filter(None, ("utf-8", charset, "cp1252")):
        try:
            return content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return content.decode("latin-1")


def _decoded(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise RefusedError(f"damaged: it says that it is {encoding.upper()}, and is not") from None


def _without_mark(content: bytes) -> str:
    """UTF-16 whose mark was lost: every second byte of Latin text is zero."""
    for encoding, zeros in (("utf-16-le", content[1:400:2]), ("utf-16-be", content[:400:2])):
        if zeros and zeros.count(0) > 0.7 * len(zeros):
            return _decoded(content, encoding)
    raise RefusedError("not a text, whatever its name says")


def cues(text: str) -> list[Cue]:
    """The captions of a WebVTT or SRT file, without markup and repetitions."""
    lines = _BREAK.split(text.lstrip("\ufeff\n\r\t "))
    times = _times(lines)
    if not times:
        raise RefusedError("not captions: there is no time (00:00:01.000 --> 00:00:02.000) in it")
    blank_ends = lines[0].startswith("WEBVTT")
    found = []
    for (at, start, end), following in pairwise([*times, (len(lines), 0.0, 0.0)]):
        words = plain(_words_of(lines[at + 1 : following[0]], blank_ends))
        if words:
            found.append(Cue(start, max(start, end), words))
    if not found:
        raise RefusedError("not captions: there are times in it, and no words")
    return without_repetitions(found)


def _times(lines: list[str]) -> list[tuple[int, float, float]]:
    """Where the lines of times are, and what they say."""
    times = []
    for at, line in enumerate(lines):
        if len(line) > MAX_LINE:
            raise RefusedError(f"line {at + 1}: longer than a caption can be")
        if "-->" in line:
            found = _TIMING.match(line)
            if not found:
                raise RefusedError(f'line {at + 1}: "{one_line(line)[:60]}" is not a time')
            times.append((at, seconds(found["start"]), seconds(found["end"])))
    return times


def _words_of(lines: list[str], blank_ends: bool) -> str:
    """The words of one caption; an empty line ends them in WebVTT, and not always in SRT.

    A line with a space in it is not empty: YouTube's captions have one above their words.
    """
    if blank_ends and "" in lines:
        lines = lines[: lines.index("")]
    lines = lines[: next((at for at in range(len(lines), 0, -1) if lines[at - 1].strip()), 0)]
    if lines and _NUMBER.fullmatch(lines[-1].strip()):
        alone = len(lines) > 1 and not lines[-2].strip()
        if alone or not blank_ends:
            lines = lines[:-1]  # the number of the next one
    return "\n".join(lines)


def plain(text: str) -> str:
    """The words of a caption: no markup, the speaker's name before what is said."""
    named = _SPEAKER.sub(r"\1: ", text)
    unstyled = html.unescape(_STYLING.sub("", _TAG.sub("", named)))
    return one_line(" ".join(_TURN.sub("", line) for line in unstyled.split("\n")))


def without_repetitions(found: list[Cue]) -> list[Cue]:
    """Rolling captions, which show each line again with the next one, said once."""
    kept: list[Cue] = []
    before: list[str] = []
    for cue in found:
        words = cue.text.split()
        new = words[_overlap(before, words) :]
        before = words
        if new:
            kept.append(Cue(cue.start, cue.end, " ".join(new)))
    return kept


def _overlap(before: list[str], words: list[str]) -> int:
    """How many words were said already: three at least, or all of either caption."""
    shorter = min(len(before), len(words))
    begin = words[:shorter]
    borders = _borders(begin)
    count = 0
    for word in before[-shorter:] if shorter else []:
        while count and (count == shorter or begin[count] != word):
            count = borders[count - 1]
        count += begin[count] == word
    while count and count < 3 and count not in (len(before), len(words)):
        count = borders[count - 1]
    return count


def _borders(words: list[str]) -> list[int]:
    """For each beginning the longest shorter one that it ends with (Knuth, Morris and Pratt)."""
    found = [0] * len(words)
    count = 0
    for at in range(1, len(words)):
        while count and words[at] != words[count]:
            count = found[count - 1]
        count += words[at] == words[count]
        found[at] = count
    return found


def seconds(time: str) -> float:
    """Seconds of a time as people write it: 1:02:03.5, 02:03,500, 83."""
    total = 0.0
    for part in time.strip().replace(",", ".").split(":"):
        total = total * 60 + float(part)
    return total
