"""Sentences and words of running text, as far as choosing sentences needs them."""

from __future__ import annotations

import re

MIN_WORDS, MAX_WORDS = 6, 60
LONGEST_ABBREVIATION = 12
SPOKEN_WORDS = 40

_BREAK = re.compile(r"(?<=[.!?])[\"')\]\u201d\u2019]*\s+(?=[\"'(\u201c\u2018]*[A-Z0-9])")
_ABBREVIATED = re.compile(
    r"(?:\b(?:al|e\.g|i\.e|cf|vs|etc|Fig|Figs|Eq|Eqs|Sec|Tab|No|Nos|Vol|pp|p|ca|approx|resp|"
    r"Dr|Prof|Mr|Mrs|Ms|St|Jr|Inc|Ltd|Univ|ed|eds)|\b[A-Z])\.$"
)
_SPACE = re.compile(r"\s+")
_HYPHENATED = re.compile(r"(?<=[a-z])-[^\S\n]*\n\s*(?=[a-z])")
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_SUFFIXES = ("ions", "ion", "ings", "ing", "ies", "ied", "ers", "ed", "er", "es", "ly", "s")

STOP_WORDS = frozenset(
    """
    a about above after again all also am an and any are as at be because been before being
    between both but by can could describe did do does doing done down during each explain few
    for from further
    get give had has have having he help helps her here hers him his how i if in into is it its
    itself
    just know let like make many may me might more most much must my no nor not now of off on
    once only or other our out over own people please same say she should so some such tell
    than that the their them then there these they thing this those through to too under until
    up us use used using very was way we well were what when where which while who whom why
    will with work works would you your
    """.split()  # noqa: SIM905
)


def sentences(text: str) -> list[str]:
    """The sentences of a text; speech without punctuation is cut every few words."""
    text = _SPACE.sub(" ", _HYPHENATED.sub("", text)).strip()
    found: list[str] = []
    start = 0
    for match in _BREAK.finditer(text):
        before = text[max(start, match.start() - LONGEST_ABBREVIATION) : match.start()]
        if not _ABBREVIATED.search(before):
            found.append(text[start : match.end()].strip())
            start = match.end()
    found.append(text[start:].strip())
    return [part for sentence in found for part in _cut(sentence)]


def _cut(sentence: str) -> list[str]:
    parts = sentence.split()
    if len(parts) <= MAX_WORDS:
        return [sentence] if sentence else []
    return [
        "\u2026 " * bool(at)
        + " ".join(parts[at : at + SPOKEN_WORDS])
        + " \u2026" * (at + SPOKEN_WORDS < len(parts))
        for at in range(0, len(parts), SPOKEN_WORDS)
    ]


def readable(sentence: str) -> bool:
    """Whether it can stand alone: no heading, table row, formula or entry of a bibliography."""
    words = sentence.split()
    if not MIN_WORDS <= len(words) <= MAX_WORDS:
        return False
    letters = sum(character.isalpha() or character.isspace() for character in sentence)
    if letters < 0.8 * len(sentence):
        return False
    # names in a row, initials, page ranges: a reference, not a statement
    capitals = sum(word[:1].isupper() for word in words)
    return capitals <= 0.5 * len(words) and "http" not in sentence and "et al., " not in sentence


def stem(word: str) -> str:
    """A word without its ending, roughly: enough to see that two words are the same one."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)] + ("y" if suffix in ("ies", "ied") else "")
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def terms(text: str) -> list[str]:
    """The words of a text that mean something, without their endings."""
    words = (word.lower() for word in _WORD.findall(text))
    return [
        stem(part)
        for word in words
        for part in word.replace("\u2019", "'").removesuffix("'s").split("-")
        if part not in STOP_WORDS and len(part) > 1
    ]
