"""Passages of a recording or a transcript: long enough to be found, short enough to jump to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from research_app.extract.caption_forms import Cue

WORDS = 80  # from here on the end of a sentence ends the passage
MAX_WORDS = 200
MIN_WORDS = 60
SILENCE_SECONDS = 10.0


def from_cues(cues: Iterable[Cue]) -> list[dict[str, Any]]:
    """Cues merged, each passage with the seconds at which it starts and ends."""
    passages: list[dict[str, Any]] = []
    words: list[str] = []
    start = last = 0.0
    for cue in _short(cues):
        new = cue.text.split()
        silent = cue.start - last > SILENCE_SECONDS and len(words) >= MIN_WORDS
        if words and (silent or len(words) + len(new) > MAX_WORDS or _is_done(words)):
            passages.append({"text": " ".join(words), "start": start, "end": last})
            words = []
        if not words:
            start = round(cue.start, 3)
        words += new
        last = cue.end
    if words:
        _end(passages, words, start, last)
    return passages


def from_paragraphs(paragraphs: Iterable[str]) -> list[dict[str, Any]]:
    """A transcript without times in passages of the same length."""
    cues = (Cue(0, 0, text) for text in paragraphs if text)
    return [{"text": passage["text"]} for passage in from_cues(cues)]


def _is_done(words: list[str]) -> bool:
    return len(words) >= WORDS and _ends_a_sentence(words[-1])


def _ends_a_sentence(word: str) -> bool:
    """Whether one of these is in what follows its last letter."""
    for letter in reversed(word):
        if letter in ".?!…":
            return True
        if letter.isalnum() or letter == "_":
            break
    return False


def _end(passages: list[dict[str, Any]], words: list[str], start: float, end: float) -> None:
    """A last passage of a few words belongs to the one before."""
    if passages and len(words) < MIN_WORDS:
        before = passages[-1]["text"].split()
        if len(before) + len(words) <= MAX_WORDS:
            passages[-1] |= {"text": " ".join(before + words), "end": end}
            return
    passages.append({"text": " ".join(words), "start": start, "end": end})


def _short(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Cues of which none is a passage of its own: long ones in parts, their time with them."""
    for cue in cues:
        words = cue.text.split()
        if len(words) <= WORDS:
            yield cue
            continue
        pace = (cue.end - cue.start) / len(words)
        for first, last in _parts(words):
            yield Cue(
                cue.start + first * pace, cue.start + last * pace, " ".join(words[first:last])
            )


def _parts(words: list[str]) -> Iterator[tuple[int, int]]:
    """Ranges of words that end with a sentence where one ends."""
    first = 0
    for at, word in enumerate(words, 1):
        long_enough = at - first >= MIN_WORDS and _ends_a_sentence(word)
        if long_enough or at - first == WORDS or at == len(words):
            yield first, at
            first = at
