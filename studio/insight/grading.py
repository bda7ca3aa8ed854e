"""A blind comparison: which answers are drawn, on which sides they stand, and a rater's way through them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from studio.errors import PoolError
from studio.insight.walk import Walk
from studio.pool.pool import Queries
from studio.pool.studies.comparisons import UNGRADED, ComparisonItem, ComparisonPlan, ComparisonRecord, Comparisons, Grade, Grading

MEANING: Mapping[Grade, str] = {
    Grade.A: "correct and satisfying",
    Grade.B: "acceptable, with minor faults",
    Grade.C: "relevant, with major faults",
    Grade.D: "irrelevant or invalid",
}
"""The four grades of Wang et al. 2022, section 4.4."""


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
    return GradingWalk(comparison, rater, pool.comparison_items(comparison.id), pool.gradings(comparison.id, rater))


def open_comparison(pool: Queries, comparisons: Comparisons, plan: ComparisonPlan) -> ComparisonRecord:
    """Return the comparison of `plan`, drawn now if the pool has none. Raises PoolError."""
    found = pool.find_comparison(plan)
    if found is None:
        comparisons.add(plan, draw(pool, plan))
        found = pool.find_comparison(plan)
    assert found is not None
    return found


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
