"""A blind comparison: whose answers can be compared, which are drawn, on which sides they stand, and a rater's way through them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.errors import PoolError, UsageError
from studio.insight.studies.walk import Walk
from studio.pool.pool import Queries
from studio.pool.studies.comparisons import UNGRADED, ComparisonItem, ComparisonPlan, ComparisonRecord, Comparisons, Grade, Grading
from studio.pool.studies.evaluations import ContestantRecord, EvaluationRecord
from studio.text import storable

Pair = tuple[ContestantRecord, ContestantRecord]
MEANING: Mapping[Grade, str] = {
    Grade.A: "correct and satisfying",
    Grade.B: "acceptable, with minor faults",
    Grade.C: "relevant, with major faults",
    Grade.D: "irrelevant or invalid",
}
"""The four grades of Wang et al. 2022, section 4.4."""


@dataclass(frozen=True, slots=True)
class Comparable:
    """An evaluation with the contestants, two at least, who have answered all of it, in the order they came."""

    evaluation: EvaluationRecord
    contestants: tuple[ContestantRecord, ...]


def comparable(pool: Queries) -> list[Comparable]:
    """Return the evaluations of which two contestants can be compared, the newest first."""
    found = []
    for record in pool.evaluations.all():
        done = tuple(each for each in pool.evaluations.contestants(record.id) if each.answered >= record.items)
        if len(done) > 1:
            found.append(Comparable(record, done))
    return found


def newest_or_first(pool: Queries, there: Sequence[Comparable]) -> ComparisonPlan | None:
    """Return the plan of the newest comparison, or else of one of all items of the newest of `there`; None where there is neither."""
    if comparisons := pool.comparisons.all():
        return comparisons[0].plan
    if not there:
        return None
    first, second = likely_pair(there[0].contestants) or there[0].contestants[:2]
    return ComparisonPlan(first.id, second.id, "0", there[0].evaluation.items)


def likely_pair(there: Sequence[ContestantRecord]) -> Pair | None:
    """Return the first contestant that has no adapter, as the base, and the last one that has, as the tuned; or the only two there are."""
    base = next((each for each in there if not each.contestant.adapter), None)
    tuned = next((each for each in reversed(there) if each.contestant.adapter), None)
    if base is not None and tuned is not None:
        return base, tuned
    return (there[0], there[1]) if len(there) == 2 else None


def paired(pool: Queries, evaluation: int | None = None, between: tuple[int, int] | None = None) -> Pair:
    """Return the two contestants to compare, of an evaluation or else the newest.

    `between` are their numbers in it, from 1 in the order they came; without it the `likely_pair`. Raises PoolError when there is no
    evaluation, UsageError when the choice is not clear.
    """
    evaluations = pool.evaluations.all()
    if not evaluations:
        raise PoolError("nothing has been evaluated with this pool yet", "studio evaluate POOL --adapter FILE --against MODEL")
    there = pool.evaluations.contestants(pool.evaluations.get(evaluation).id if evaluation is not None else evaluations[0].id)
    if between is not None:
        if between[0] == between[1] or not all(1 <= number <= len(there) for number in between):
            raise UsageError(f"there are no two contestants {between[0]} and {between[1]}", "studio compare POOL --list shows them")
        return there[between[0] - 1], there[between[1] - 1]
    pair = likely_pair(there)
    if pair is None:
        raise UsageError(f"{len(there)} contestants answered: which two?", "studio compare POOL --list shows them, --between 1 2 chooses")
    return pair


def plan_for(pool: Queries, pair: Pair, seed: str, size: int | None) -> ComparisonPlan:
    """Return the plan of a comparison of `size` items, None being all. Raises PoolError when one of the two is not done answering."""
    total = pool.evaluations.get(pair[0].evaluation_id).items
    for each in pair:
        if each.answered < total:
            raise PoolError(
                f"{each.contestant.label} has answered {each.answered} of {total} items", "let it finish: studio evaluate, as before"
            )
    return ComparisonPlan(pair[0].id, pair[1].id, storable(seed), min(size or total, total))


class GradingWalk(Walk[ComparisonItem, Grading]):
    """A rater's way through a comparison: a grade for each answer, the left one first."""

    def __init__(self, comparison: ComparisonRecord, rater: str, items: Sequence[ComparisonItem], gradings: Mapping[int, Grading]) -> None:
        self.comparison = comparison
        super().__init__(comparison.id, rater, items, gradings, UNGRADED)

    @property
    def order(self) -> tuple[int, ...]:
        """Whose answer stands on the left, and whose on the right."""
        return self.item.sides


def begin_grading(pool: Queries, comparisons: Comparisons, plan: ComparisonPlan, rater: str) -> GradingWalk:
    """Open the comparison of `plan`, drawn if need be, where `rater` left off. Raises PoolError."""
    return resume_grading(pool, open_comparison(pool, comparisons, plan), rater)


def resume_grading(pool: Queries, comparison: ComparisonRecord, rater: str) -> GradingWalk:
    """Go on with a comparison. Of the other raters' grades nothing is read."""
    return GradingWalk(comparison, rater, pool.comparisons.items(comparison.id), pool.comparisons.said(comparison.id, rater))


def open_comparison(pool: Queries, comparisons: Comparisons, plan: ComparisonPlan) -> ComparisonRecord:
    """Return the comparison of `plan`, drawn now if the pool has none. Raises PoolError."""
    found = pool.comparisons.find(plan)
    if found is None:
        comparisons.add(plan, draw(pool, plan))
        found = pool.comparisons.find(plan)
    assert found is not None
    return found


def draw(pool: Queries, plan: ComparisonPlan) -> list[ComparisonItem]:
    """Draw `plan.size` items that both contestants have answered, shuffled, and for each whose answer stands on the left.

    Equal answers and plans give equal comparisons. Raises PoolError when there is no such item.
    """
    first, second = pool.evaluations.answers(plan.first), pool.evaluations.answers(plan.second)
    both = first.keys() & second.keys()
    items = [each for each in pool.evaluations.items(pool.evaluations.contestant(plan.first).evaluation_id) if each.position in both]
    if not items:
        raise PoolError("there is no item that both contestants have answered", "studio evaluate POOL lets them answer")
    chosen = random.Random(f"{plan.seed}/comparison/items").sample(items, min(plan.size, len(items)))
    return [
        ComparisonItem(
            place,
            each.position,
            each.instruction,
            each.input,
            (first[each.position].completion.text, second[each.position].completion.text),
            # Drawn for each item alone: which others are compared changes nothing.
            random.Random(f"{plan.seed}/comparison/side/{each.position}").random() < 0.5,
        )
        for place, each in enumerate(chosen)
    ]
