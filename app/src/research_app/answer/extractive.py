"""Answers without a model: the sentences that say most about the question, each cited."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from research_app.answer.passage import Passage, without_references
from research_app.answer.sentences import readable, sentences, terms

MOST_SENTENCES = 3
MOST_OF_ONE_PASSAGE = 2
SATURATION, LENGTH_WEIGHT = 1.2, 0.5  # k1 and b of BM25
RANK_WEIGHT = 0.5  # what the search thought of the passage
RELEVANCE = 0.7  # the rest of 1 is for saying something new
ENOUGH = 0.45  # of the best sentence's score
# a word that most passages have is not worth little: it is what they were found for
LEAST_WEIGHT = 0.6
LEAST_COVERED = 0.5  # of the weight of the question's words, by all that is chosen together


@dataclass(frozen=True)
class Candidate:
    """A sentence, where it stands, and what it is worth."""

    text: str
    passage: int
    position: int
    terms: frozenset[str]
    score: float


class Extractive:
    """The provider that is always there."""

    name = "extractive"

    async def stream(self, question: str, passages: Sequence[Passage]) -> AsyncGenerator[str, None]:
        """The best sentences, sentence by sentence."""
        for number, sentence in await asyncio.to_thread(chosen, question, passages):
            yield f"{sentence} [{number}] "

    async def close(self) -> None:
        """Nothing to close."""


def chosen(question: str, passages: Sequence[Passage]) -> list[tuple[int, str]]:
    """The sentences of an answer in reading order, each with the number of its passage."""
    asked = frozenset(terms(question))
    candidates, weights = _scored(asked, passages)
    picked = _diverse(candidates)
    covered = frozenset().union(*(candidate.terms for candidate in picked)) & asked
    total = sum(weights[term] for term in asked)
    if not picked or sum(weights[term] for term in covered) < LEAST_COVERED * total:
        return []
    best = {candidate.passage: candidate.score for candidate in reversed(picked)}
    # the passage of the best sentence first; within a passage as its author ordered them
    picked.sort(key=lambda candidate: (-best[candidate.passage], candidate.position))
    return [(candidate.passage + 1, candidate.text) for candidate in picked]


def _scored(
    asked: frozenset[str], passages: Sequence[Passage]
) -> tuple[list[Candidate], dict[str, float]]:
    """Every sentence that takes up a word of the question, and how much each word weighs."""
    found = [
        (number, position, sentence, terms(sentence))
        for number, passage in enumerate(passages)
        for position, sentence in enumerate(sentences(without_references(passage.text)))
        if readable(sentence)
    ]
    count = len(found)
    frequency = Counter(term for *_, words in found for term in set(words) & asked)
    weights = {
        term: math.log(1 + (count - frequency[term] + 0.5) / (frequency[term] + 0.5))
        for term in asked
    }
    least = LEAST_WEIGHT * max(weights.values(), default=0.0)
    weights = {term: max(weight, least) for term, weight in weights.items()}
    usual = sum(len(words) for *_, words in found) / count if count else 1.0
    candidates = []
    for number, position, sentence, words in found:
        own = Counter(words)
        if not (hits := own.keys() & asked):
            continue
        length = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * len(words) / usual
        score = sum(
            weights[term] * own[term] * (SATURATION + 1) / (own[term] + SATURATION * length)
            for term in hits
        )
        score *= (len(hits) / len(asked)) ** 0.5 * (1 + RANK_WEIGHT / (1 + number))
        candidates.append(Candidate(sentence, number, position, frozenset(words), score))
    return candidates, weights


def _diverse(candidates: list[Candidate]) -> list[Candidate]:
    """The best, then what adds most to it, the best first."""
    left = sorted(candidates, key=lambda candidate: -candidate.score)
    if not left:
        return []
    best = left[0].score
    left = [candidate for candidate in left if candidate.score >= ENOUGH * best]
    picked: list[Candidate] = []
    while left and len(picked) < MOST_SENTENCES:
        worth = {id(candidate): _worth(candidate, picked, best) for candidate in left}
        following = max(left, key=lambda candidate: worth[id(candidate)])
        picked.append(following)
        of_each = Counter(candidate.passage for candidate in picked)
        left = [
            candidate
            for candidate in left
            if of_each[candidate.passage] < MOST_OF_ONE_PASSAGE
            and max(_alike(candidate, other) for other in picked) < 0.7
        ]
    return picked


def _worth(candidate: Candidate, picked: list[Candidate], best: float) -> float:
    repeats = max((_alike(candidate, other) for other in picked), default=0.0)
    return RELEVANCE * candidate.score / best - (1 - RELEVANCE) * repeats


def _alike(one: Candidate, other: Candidate) -> float:
    return len(one.terms & other.terms) / (len(one.terms | other.terms) or 1)
