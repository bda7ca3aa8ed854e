"""Blind comparisons of two contestants: the items with their sides, and the grades that raters give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from studio.errors import PoolError
from studio.pool.comparison_records import UNGRADED, ComparisonItem, ComparisonPlan, Grade, Grading
from studio.pool.lock import now
from studio.pool.sheets import Sheets
from studio.text import storable


class Comparisons(Sheets[Grading]):
    """The write side of the comparisons of one pool."""

    study = "comparison"
    items = "comparison_items"
    ratings = "grades"
    steps = "grade_steps"
    columns = ("first_grade", "second_grade", "skipped", "note")

    def add(self, plan: ComparisonPlan, items: Sequence[ComparisonItem]) -> int:
        """Store a comparison and return its id. Raises PoolError when the pool has it already."""
        database = self._database
        with database.transaction():
            sql = (
                "INSERT INTO comparisons (first_contestant_id, second_contestant_id, seed, size, created_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING RETURNING id"
            )
            row = database.execute(sql, (plan.first, plan.second, storable(plan.seed), plan.size, now())).fetchone()
            if row is None:
                raise PoolError("this comparison has been drawn already", "go on with it, or choose another seed")
            columns = ("comparison_id", "position", "item", "instruction", "input", "first_answer", "second_answer", "swapped")
            database.insert("comparison_items", columns, ((row[0], *_item_values(item)) for item in items))
        return int(row[0])

    @staticmethod
    def as_values(rating: Grading) -> list[Any]:
        """Return a grading as the values of `columns`."""
        return [*(None if grade is None else grade.value for grade in rating.answers), int(rating.skipped), storable(rating.note)]

    @staticmethod
    def rating_of(values: Sequence[Any] | None) -> Grading:
        """Return the grading that the values of `columns` stand for; an empty one for None."""
        if values is None:
            return UNGRADED
        first, second, skipped, note = values
        return Grading((first and Grade(first), second and Grade(second)), bool(skipped), note)


def _item_values(item: ComparisonItem) -> tuple[Any, ...]:
    texts = (storable(item.instruction), storable(item.input), *map(storable, item.answers))
    return (item.position, item.item, *texts, int(item.swapped))
