"""Measures of a ranking, as trec_eval defines them.

Each takes the identities found, the best first, and what the judges said: identity → grade,
where zero or less, and whatever nobody judged, is not relevant. A measure is over one question;
the figure of a collection is the mean over the questions that have a relevant document.

nDCG is that of Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques"
(ACM TOIS 20, 2002), with the grade as gain and log2(rank + 1) as discount, which is what
trec_eval's ndcg_cut and the BEIR benchmark report. Average precision and recall are defined in
Manning, Raghavan and Schütze, "Introduction to Information Retrieval" (2008), chapter 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Grades = Mapping[str, int]
Measure = Callable[[Sequence[str], Grades], float]


def relevant(grades: Grades) -> set[str]:
    """The documents that answer the question at all."""
    return {identity for identity, grade in grades.items() if grade > 0}


def _gain(grades: Sequence[int]) -> float:
    return sum(max(grade, 0) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))


def ndcg(found: Sequence[str], grades: Grades, depth: int = 10) -> float:
    """The gain of the first results, as a share of what the best order would gain."""
    best = _gain(sorted(grades.values(), reverse=True)[:depth])
    if best == 0:
        return 0.0
    return _gain([grades.get(identity, 0) for identity in found[:depth]]) / best


def average_precision(found: Sequence[str], grades: Grades) -> float:
    """The mean, over the relevant documents, of the precision where each is found."""
    wanted = relevant(grades)
    if not wanted:
        return 0.0
    hits, total = 0, 0.0
    for rank, identity in enumerate(found, 1):
        if identity in wanted:
            hits += 1
            total += hits / rank
    return total / len(wanted)


def recall(found: Sequence[str], grades: Grades, depth: int = 100) -> float:
    """The share of the relevant documents that the first results have."""
    wanted = relevant(grades)
    return len(wanted.intersection(found[:depth])) / len(wanted) if wanted else 0.0


MEASURES: dict[str, Measure] = {"nDCG@10": ndcg, "MAP": average_precision, "recall@100": recall}


def mean(
    measure: Measure, found: Mapping[str, Sequence[str]], judged: Mapping[str, Grades]
) -> float:
    """A measure over all questions that have an answer; one that found nothing counts zero."""
    values = [
        measure(found.get(question, ()), grades)
        for question, grades in judged.items()
        if relevant(grades)
    ]
    return sum(values) / len(values) if values else 0.0
