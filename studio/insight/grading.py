"""A blind comparison: which answers are drawn, on which sides they stand, and a rater's way through them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from studio.errors import PoolError, UsageError
from studio.insight.walk import Walk
from studio.pool.comparison_records import UNGRADED, ComparisonItem, ComparisonPlan, ComparisonRecord, Grade, Grading
from studio.pool.comparisons import Comparisons
from studio.pool.evaluation_records import ContestantRecord
from studio.pool.queries import Queries
from studio.text import storable

MEANING: Mapping[Grade, str] = {
    Grade.A: "correct and satisfying",
    Grade.B: "acceptable, with minor faults",
    Grade.C: "relevant, with major faults",
    Grade.D: "irrelevant or invalid",
}
"""The four grades of Wang et al. 2022, section 4.4."""


Pair = tuple[ContestantRecord, ContestantRecord]


class GradingWalk(Walk[ComparisonItem, Grading]):
    """A rater's way through a comparison: a grade for each answer, the left one first."""

    def __init__(self, comparison: ComparisonRecord, rater: str, items: Sequence[ComparisonItem], gradings: Mapping[int, Grading]) -> None:
        self.comparison = comparison
        super().__init__(comparison.id, rater, items, gradings, UNGRADED)

    @property
    def order(self) -> tuple[int, ...]:
        """Whose answer stands on the left, and whose on the right."""
        return self.item.sides


def paired(pool: Queries, evaluation: int | None = None, between: tuple[int, int] | None = None) -> Pair:
    """Return the two contestants to compare, of an evaluation or else the newest.

    `between` are their numbers in it, from 1 in the order they came; without it the first one that has no adapter, as the base, and the
    last one that has, as the tuned; or the only two there are. Raises PoolError when there is no evaluation, UsageError when the choice
    is not clear.
    """
    evaluations = pool.evaluations()
    if not evaluations:
        raise PoolError("nothing has been evaluated with this pool yet", "studio evaluate POOL --adapter FILE --against MODEL")
    there = pool.contestants(pool.evaluation(evaluation).id if evaluation is not None else evaluations[0].id)
    if between is not None:
        if between[0] == between[1] or not all(1 <= number <= len(there) for number in between):
            raise UsageError(f"there are no two contestants {between[0]} and {between[1]}", "studio compare POOL --list shows them")
        return there[between[0] - 1], there[between[1] - 1]
    base = next((each for each in there if not each.contestant.adapter), None)
    tuned = next((each for each in reversed(there) if each.contestant.adapter), None)
    if base is not None and tuned is not None:
        return base, tuned
    if len(there) != 2:
        raise UsageError(f"{len(there)} contestants answered: which two?", "studio compare POOL --list shows them, --between 1 2 chooses")
    return there[0], there[1]


def open_comparison(pool: Queries, comparisons: Comparisons, plan: ComparisonPlan) -> ComparisonRecord:
    """Return the comparison of `plan`, drawn now if the pool has none. Raises PoolError."""
    found = pool.find_comparison(plan)
    if found is None:
        comparisons.add(plan, draw(pool, plan))
        found = pool.find_comparison(plan)
    assert found is not None
    return found


def plan_for(pool: Queries, pair: Pair, seed: str, size: int | None) -> ComparisonPlan:
    """Return the plan of a comparison of `size` items, None being all. Raises PoolError when one of the two is not done answering."""
    total = pool.evaluation(pair[0].evaluation_id).items
    for each in pair:
        if each.answered < total:
            raise PoolError(
                f"{each.contestant.label} has answered {each.answered} of {total} items", "let it finish: studio evaluate, as before"
            )
    return ComparisonPlan(pair[0].id, pair[1].id, storable(seed), min(size or total, total))


def draw(pool: Queries, plan: ComparisonPlan) -> list[ComparisonItem]:
    """Draw `plan.size` items that both contestants have answered, shuffled, and for each whose answer stands on the left.

    Equal answers and plans give equal comparisons. Raises PoolError when there is no such item.
    """
    first, second = pool.contestant_answers(plan.first), pool.contestant_answers(plan.second)
    both = first.keys() & second.keys()
    items = [each for each in pool.evaluation_items(pool.contestant(plan.first).evaluation_id) if each.position in both]
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
