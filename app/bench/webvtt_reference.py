"""The cues of a WebVTT file by the W3C's algorithm (section 6.1 of the recommendation), literally.

It stands beside our own reader, which is kinder and forgets where cues begin, as what to expect.
"""

from __future__ import annotations

import re

_TIMING = re.compile(
    r"[ \t\f]*(?P<start>(?:\d+:)?[0-5]\d:[0-5]\d\.\d{3})[ \t\f]*-->[ \t\f]*"
    r"(?P<end>(?:\d+:)?[0-5]\d:[0-5]\d\.\d{3})(?!\d)"
)
_TAG = re.compile(r"<[^>]*>?")


def words_of_cues(content: bytes) -> list[str]:
    """The text of each cue, without its tags; nothing where the file is no WebVTT."""
    text = content.decode("utf-8", "replace").replace("\0", "\ufffd").removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not re.match(r"WEBVTT(?:[ \t]|$)", lines[0]):
        return []
    found: list[str] = []
    at = 1
    # a header goes on until an empty line or a time
    if at < len(lines) and lines[at]:
        at = _block(lines, at, [], in_header=True)
    while at < len(lines):
        if lines[at]:
            at = _block(lines, at, found)
        else:
            at += 1
    return [_TAG.sub("", cue) for cue in found]


def _block(lines: list[str], at: int, found: list[str], *, in_header: bool = False) -> int:
    """Collect one block; the number of the line behind it."""
    seen_lines, cue, text = 0, False, list[str]()
    while at < len(lines):
        line = lines[at]
        if "-->" in line:
            if in_header or cue or seen_lines > 1:
                break
            if not _TIMING.match(line):
                return _behind(lines, at)
            cue, seen_lines = True, seen_lines + 1
        elif not line:
            break
        else:
            seen_lines += 1
            text = [*text, line] if cue else []
        at += 1
    if cue:
        found.append("\n".join(text))
    return at


def _behind(lines: list[str], at: int) -> int:
    """A block whose time is bad is no cue; what follows up to an empty line goes with it."""
    at += 1
    while at < len(lines) and lines[at] and "-->" not in lines[at]:
        at += 1
    return at
