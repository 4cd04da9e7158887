"""The words of captions: without markup, and without what rolling captions say again."""

from __future__ import annotations

import html
import re

from research_app.extract.caption_forms import Cue, parsed
from research_app.extract.mending import Faults
from research_app.plain_text import one_line
from research_app.refusal import RefusedError

_STYLING = re.compile(r"\{\\[^{}]*\}|\{[biu]\}", re.I)  # SubStation marks in SRT files
# a tag begins with its name, or is a time; what people say of numbers does neither
_TAG = re.compile(
    r"<(?P<end>/?)(?P<name>[A-Za-z]{1,8})(?:[.\s/][^<>]*)?>"
    r"|<\s{0,3}\d{1,9}(?::\d{1,9}){1,2}(?:\.\d{1,9})?\s{0,3}>"
)
_ENDS = re.compile(r"</([A-Za-z]{1,8})\s*>")
# W3C's in lower case, SubRip's in any; every other name is a word, as in List<String>
_OF_W3C = frozenset(["c", "v", "lang", "ruby", "rt"])
_OF_SUBRIP = frozenset(["b", "i", "u", "s", "font", "span", "br"])
# these are also names of types and variables
_LETTERS = frozenset(["b", "c", "i", "s", "u", "v"])
_SPEAKER = re.compile(r"<v(?:\.[\w.-]+)?\s+([^<>]{1,100})>")
_TURN = re.compile(r"^[^\S\n]*(?:-|>>+)", re.M)
# with its semicolon, or one of those that have a meaning without: AT&T says &copy this
_ENTITY = re.compile(
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
    r"|&(?:amp|lt|gt|nbsp|quot)(?![A-Za-z0-9=])"
)


def cues(text: str, faults: Faults | None = None) -> list[Cue]:
    """The captions of a file, without markup and repetitions, and without those of no word.

    :param faults: takes what was wrong and cost a caption, or was repaired
    :raises RefusedError: there is none
    """
    faults = faults if faults is not None else Faults()
    timed = parsed(text, faults)
    found = [Cue(cue.start, cue.end, words) for cue in timed if (words := plain(cue.text))]
    if found:
        return without_repetitions(found)
    if faults.count and not timed:
        raise RefusedError(f"no captions: none of them can be read ({faults.sentences[0]})")
    what = "there are times in it, and no words" if timed else "there is not one in it"
    raise RefusedError(f"no captions: {what}")


def plain(text: str) -> str:
    """The words of a caption: no markup, the speaker's name before what is said."""
    if "<" in text:
        text = _SPEAKER.sub(r"\1: ", text)
        closed = {name.lower() for name in _ENDS.findall(text)}
        text = _TAG.sub(lambda tag: _untagged(tag, closed), text)
    if "{" in text:
        text = _STYLING.sub("", text)
    if "&" in text:
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if "-" in text or ">" in text:
        text = _TURN.sub("", text)
    return one_line(text)


def _untagged(tag: re.Match[str], closed: set[str]) -> str:
    """What stands for a tag: nothing, an end of line, or itself where it is a word."""
    if tag["name"] is None:  # a time
        return ""
    name = tag["name"].lower()
    if name not in _OF_SUBRIP and tag["name"] not in _OF_W3C:
        return tag[0]
    before = tag.string[tag.start() - 1 : tag.start()]
    if name in _LETTERS and not tag["end"] and before.isalnum() and name not in closed:
        return tag[0]  # vector<c>
    return "\n" if name == "br" else ""


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
