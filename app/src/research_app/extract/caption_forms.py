"""The forms in which captions are written: WebVTT, SubRip, SubViewer (YouTube's), SubStation.

A WebVTT file is read as W3C's parser reads it, so that a reader sees here what a browser shows;
the others, which nobody defines, as their players do. What is wrong costs the caption that it is
in, and is said.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from research_app.extract.decoding import marked, utf16_without_mark
from research_app.extract.mending import Faults
from research_app.plain_text import one_line
from research_app.refusal import RefusedError

ARROW = "-->"
MAX_COLUMNS = 50
NONE = "not captions: there is no time (00:00:01.000 --> 00:00:02.000) in it"

# the first is what Windows makes of an end of line that it has made once already
_BREAK = re.compile(r"\r\r?\n|\r|\n")
_SPACE = "\ufeff\n\r\t "
_NUMBER = re.compile(r"\s*\d{1,9}\s*")
_CLOCK = re.compile(r"\d\s?:\s?\d")

# two digits each below 60, and hours of any number; behind the end anything may stand
_W3C_TIME = r"(?:\d{1,6}:)?[0-5]\d:[0-5]\d\.\d{3}(?!\d)"
_W3C = re.compile(rf"\s*(?P<start>{_W3C_TIME})\s*-->\s*(?P<end>{_W3C_TIME})", re.A)
# what no browser shows, and can mean one thing only: SubRip's comma, and minutes from 100 on
_NEAR_TIME = r"(?:(?:\d{1,6}:)?[0-5]\d|[1-9]\d\d):[0-5]\d[.,]\d{3}(?!\d)"
_NEAR = re.compile(rf"\s*(?P<start>{_NEAR_TIME})\s*-->\s*(?P<end>{_NEAR_TIME})(?=\s|$)", re.A)

_SRT_TIME = r"(?:\d{1,6} ?: ?){1,2}\d{1,3}(?: ?[.,] ?\d{1,9}|[:;]\d{1,3})?"
_SRT = re.compile(rf"\s*(?P<start>{_SRT_TIME})\s*-->\s*(?P<end>{_SRT_TIME})(?=\s|$)")
_FOURTH = re.compile(r"((?:\d+ ?: ?){2}\d+):(\d{1,3})")

_SBV_TIME = r"\d{1,4}:\d{1,2}:\d{1,2}\.\d{1,3}"
_SBV = re.compile(rf"\s*(?P<start>{_SBV_TIME}),\s?(?P<end>{_SBV_TIME})\s*")

_SSA_TIME = re.compile(r"\s*\d{1,4}:\d{1,2}:\d{1,2}(?:\.\d{1,3})?\s*")
_SSA_HEAD = re.compile(r"\[(?:Script Info|Events|V4\+? Styles)\]", re.I)
_SSA_BREAK = re.compile(r"\\[Nnh]")
_SSA_MARKS = re.compile(r"\{[^{}]*\}")

_DESCRIBING = ("NOTE", "STYLE", "REGION", "Region:")


@dataclass(frozen=True, slots=True)
class Cue:
    """Some words, and the seconds in which they are said."""

    start: float
    end: float
    text: str


def parsed(text: str, faults: Faults) -> list[Cue]:
    """The captions of a file in any of the forms, with their markup, also those without words.

    :raises RefusedError: it has none of the forms
    """
    lines = _BREAK.split(text.lstrip(_SPACE))
    return _form_of(lines)(lines, faults)


def begins_captions(head: bytes) -> bool:
    """Whether a file whose first bytes these are may be captions, as far as these tell."""
    encoding = marked(head) or utf16_without_mark(head) or "latin-1"
    lines = _BREAK.split(head.decode(encoding, "ignore").lstrip(_SPACE))
    try:
        return _form_of(lines) is not _subrip or any(map(_SRT.match, lines))
    except RefusedError:
        return False


Form = Callable[[list[str], Faults], list[Cue]]


def _form_of(lines: list[str]) -> Form:
    """How a file is written: its name may say otherwise."""
    if lines[0][:6].upper() == "WEBVTT":
        return _webvtt
    if _SSA_HEAD.match(lines[0]):
        return _substation
    for line in lines:
        if ARROW in line:
            return _subrip
        if _SBV.fullmatch(line):
            return _subviewer
    raise RefusedError(NONE)


def _webvtt(lines: list[str], faults: Faults) -> list[Cue]:
    """W3C's parser (webvtt, 6.1 "WebVTT file parsing"), less what is about looks.

    One thing is kept that it leaves out: words of a caption that have an arrow among them.
    """
    found: list[Cue] = []
    sloppy = 0
    at = _behind(lines, 1)  # the header goes on to an empty line
    while at < len(lines):
        if not lines[at]:
            at += 1
            continue
        timing = at if ARROW in lines[at] else at + 1  # below the name of the caption
        if timing == len(lines) or ARROW not in lines[timing]:
            end = _behind(lines, at)
            _say_timeless(lines, at, end, faults)
            at = end
            continue
        strict = _W3C.match(lines[timing])
        times = strict or _NEAR.match(lines[timing])
        sloppy += times is not strict
        end = _behind(lines, timing + 1, arrows=times is not None)
        words = _without_next_number(lines, timing + 1, end)
        if times:
            found.append(_cue(times["start"], times["end"], words))
        else:
            _say_bad(lines, timing, words, faults)
        at = end
    if sloppy:
        faults.add(f"times of {sloppy:,} captions are not as WebVTT wants them, and are taken")
    return found


def _behind(lines: list[str], at: int, *, arrows: bool = False) -> int:
    """Where a block ends: at an empty line, or at a time.

    :param arrows: a line with an arrow that is like no time belongs to the block
    """
    while at < len(lines) and lines[at]:
        if ARROW in lines[at] and not (arrows and not _like_a_time(lines[at])):
            break
        at += 1
    return at


def _like_a_time(line: str) -> bool:
    """Whether a line with an arrow has what looks like a time before or behind it."""
    return _CLOCK.search(line) is not None


def _without_next_number(lines: list[str], first: int, end: int) -> list[str]:
    """Words without the number of the next caption, where a blank line that is not empty, and so
    ends nothing, stands before that."""
    if end - first > 1 and end < len(lines) and lines[end] and _NUMBER.fullmatch(lines[end - 1]):
        end -= not lines[end - 2].strip()
    return lines[first:end]


def _subrip(lines: list[str], faults: Faults) -> list[Cue]:
    """SubRip: captions with a number before each; empty lines may be anywhere, or missing."""
    found: list[Cue] = []
    framed = 0
    times = list(_srt_times(lines))
    if not any(match or _like_a_time(lines[at]) for at, match in times):
        raise RefusedError(NONE)
    _say_timeless(lines, 0, _before_number(lines, 0, times[0][0]), faults)
    for (at, match), (following, _) in pairwise([*times, (len(lines), None)]):
        last = _before_number(lines, at + 1, following) if following < len(lines) else following
        words = lines[at + 1 : last]
        if match:
            words = _without_lost_number(lines, at, words, faults)
            start = _whole(match["start"])
            found.append(_cue(start, _whole(match["end"]), words))
            framed += "." not in start and start != match["start"]
        else:
            _say_bad(lines, at, words, faults)
    if framed:
        faults.add(f"times of {framed:,} captions count frames, and are read to the second")
    return found


def _srt_times(lines: list[str]) -> Iterator[tuple[int, re.Match[str] | None]]:
    """Where a time stands, and what it says; None where that is nothing."""
    for at, line in enumerate(lines):
        if ARROW in line:
            match = _SRT.match(line)
            if match or _like_a_time(line) or _is_below_a_number(lines, at):
                yield at, match


def _is_below_a_number(lines: list[str], at: int) -> bool:
    """Whether a line stands where the time of a caption should."""
    if not at or not _NUMBER.fullmatch(lines[at - 1]):
        return False
    return at == 1 or not lines[at - 2].strip()


def _before_number(lines: list[str], first: int, timing: int) -> int:
    """Where the words before a time end: before its number, which an empty line may follow."""
    if timing > first and _NUMBER.fullmatch(lines[timing - 1]):
        return timing - 1
    last = timing
    while last > first and not lines[last - 1].strip():
        last -= 1
    alone = last - first > 1 and not lines[last - 2].strip()
    return last - 1 if alone and _NUMBER.fullmatch(lines[last - 1]) else last


def _without_lost_number(
    lines: list[str], timing: int, words: list[str], faults: Faults
) -> list[str]:
    """Without the number of a next caption that has no time; its words belong to this one."""
    own = lines[timing - 1].strip() if timing else ""
    if not own.isdecimal() or len(own) > 9:
        return words
    following = str(int(own) + 1)
    at = 0
    with contextlib.suppress(ValueError):  # there is no such line any more
        while at := words.index(following, at + 1, -1):
            if not words[at - 1].strip() and words[at + 1].strip():
                faults.add(
                    f"line {timing + 2 + at}: caption {following} has no time; its words are kept"
                    " with those before"
                )
                return words[:at] + words[at + 1 :]
    return words


def _whole(time: str) -> str:
    """A time of whose four parts the last are thousandths, or frames, as behind a semicolon.

    How long a frame is nobody says; they are left out.
    """
    time = time.partition(";")[0]
    parts = _FOURTH.fullmatch(time)
    if not parts:
        return time
    return f"{parts[1]}.{parts[2]}" if len(parts[2]) == 3 else parts[1]


def _subviewer(lines: list[str], faults: Faults) -> list[Cue]:
    """SubViewer, as YouTube gives it: 0:00:01.000,0:00:02.000, words, and an empty line."""
    found: list[Cue] = []
    at = 0
    while at < len(lines):
        match = _SBV.fullmatch(lines[at])
        end = at + 1
        while end < len(lines) and lines[end].strip() and not _SBV.fullmatch(lines[end]):
            end += 1
        if match:
            words = [line.replace("[br]", "\n") for line in lines[at + 1 : end]]
            found.append(_cue(match["start"], match["end"], words))
        else:
            _say_timeless(lines, at, end, faults)
        at = end
    return found


def _substation(lines: list[str], faults: Faults) -> list[Cue]:
    """SubStation Alpha and its successor: the lines of dialogue, whose columns a line names."""
    found: list[Cue] = []
    columns = ["", "start", "end", "", "", "", "", "", "", "text"]
    for at, line in enumerate(lines):
        key, _, value = line.strip().partition(":")
        if key == "Format":
            columns = [name.strip().lower() for name in value.split(",", MAX_COLUMNS)]
        elif key == "Dialogue" and "text" in columns:
            values = dict(zip(columns, value.split(",", len(columns) - 1), strict=False))
            start, end = values.get("start", ""), values.get("end", "")
            words = _SSA_BREAK.sub("\n", _SSA_MARKS.sub("", values.get("text", "")))
            if _SSA_TIME.fullmatch(start) and _SSA_TIME.fullmatch(end):
                found.append(_cue(start, end, [words]))
            else:
                _say_bad(lines, at, [words], faults)
    if not found and not faults.count:
        raise RefusedError("not captions: there is no line of dialogue in it")
    return found


def _cue(start: str, end: str, words: list[str]) -> Cue:
    begin = seconds(start)
    return Cue(begin, max(begin, seconds(end)), "\n".join(words))


def seconds(time: str) -> float:
    """Seconds of a time as people write it: 1:02:03.5, 02:03,500, 83."""
    total = 0.0
    for part in time.replace(" ", "").replace(",", ".").split(":"):
        total = total * 60 + float(part)
    return total


def _say_bad(lines: list[str], at: int, words: list[str], faults: Faults) -> None:
    if "".join(words).strip() or _like_a_time(lines[at]):
        said = one_line(lines[at][:500])[:60]
        faults.add(f'line {at + 1}: "{said}" is not a time; its caption is left out')


def _say_timeless(lines: list[str], at: int, end: int, faults: Faults) -> None:
    """Words that stand where no caption is; what a file says of itself is none."""
    words = one_line(" ".join(lines[at:end])[:500])
    if any(map(str.isalpha, words)) and not words.startswith(_DESCRIBING):
        faults.add(f'line {at + 1}: "{words[:60]}" has no time, and is left out')
