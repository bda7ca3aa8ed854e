"""How two contestants differ on the items that both have answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from studio.pool.studies.evaluations import EvaluationItem
from studio.tuning.bootstrap import Estimate, estimate
from studio.tuning.paired_tests import mcnemar_p, permutation_p
from studio.tuning.scores import Sheet, cut_to_words, rouge_l


class Named(Protocol):
    """Whoever has an id and a label."""

    @property
    def id(self) -> int: ...
    @property
    def label(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """The first's mean minus the second's over the same items, with its paired bootstrap interval and the p-value of a permutation test."""

    first: float
    second: float
    difference: Estimate
    p: float


@dataclass(frozen=True, slots=True)
class ExactDifference:
    """Right answers to classification items: how many only the first has, how many only the second, and McNemar's exact p-value."""

    items: int
    first_only: int
    second_only: int
    p: float


@dataclass(frozen=True, slots=True)
class PairFigures:
    """Two contestants over the `items` that both answered. All ROUGE-L figures are 0 to 1.

    `wins` and `losses` count the items on which the first has the higher and the lower ROUGE-L. `equal_length` is the control for length:
    both answers to an item cut to as many words as the shorter one has. What is left of a difference there is not that one of them stops.
    """

    first_id: int
    second_id: int
    first: str
    second: str
    items: int
    rouge_l: Difference
    wins: int
    losses: int
    equal_length: Difference
    exact_match: ExactDifference | None


def compare(items: Sequence[EvaluationItem], one: tuple[Named, Sheet], two: tuple[Named, Sheet], seed: str) -> PairFigures | None:
    """Compare two contestants; None when no item has both their answers. Equal arguments give equal figures."""
    (first, our), (second, their) = one, two
    both = [item for item in items if item.position in our.scores and item.position in their.scores]
    if not both:
        return None
    ours = [our.scores[item.position].rouge_l for item in both]
    theirs = [their.scores[item.position].rouge_l for item in both]
    return PairFigures(
        first_id=first.id,
        second_id=second.id,
        first=first.label,
        second=second.label,
        items=len(both),
        rouge_l=_difference(both, ours, theirs, seed),
        wins=sum(a > b for a, b in zip(ours, theirs, strict=True)),
        losses=sum(a < b for a, b in zip(ours, theirs, strict=True)),
        equal_length=_at_equal_length(both, our, their, seed),
        exact_match=_exact(both, our, their),
    )


def _difference(items: Sequence[EvaluationItem], ours: Sequence[float], theirs: Sequence[float], seed: str) -> Difference:
    tasks = [item.task for item in items]
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    count = len(items)
    return Difference(sum(ours) / count, sum(theirs) / count, estimate(differences, tasks, seed), permutation_p(differences, tasks, seed))


def _at_equal_length(items: Sequence[EvaluationItem], our: Sheet, their: Sheet, seed: str) -> Difference:
    ours: list[float] = []
    theirs: list[float] = []
    for item in items:
        words = min(our.scores[item.position].words, their.scores[item.position].words)
        for scores, sheet in ((ours, our), (theirs, their)):
            whole = sheet.scores[item.position]
            cut = whole.words > words
            scores.append(rouge_l(cut_to_words(sheet.texts[item.position], words), item.outputs) if cut else whole.rouge_l)
    return _difference(items, ours, theirs, seed)


def _exact(items: Sequence[EvaluationItem], our: Sheet, their: Sheet) -> ExactDifference | None:
    pairs = [(our.scores[each.position].exact, their.scores[each.position].exact) for each in items if each.is_classification]
    if not pairs:
        return None
    first_only, second_only = (sum(pair == wanted for pair in pairs) for wanted in ((True, False), (False, True)))
    return ExactDifference(len(pairs), first_only, second_only, mcnemar_p(first_only, second_only))
