"""Blind comparisons of two contestants: the items with their sides, and the grades that raters give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from studio.errors import PoolError
from studio.pool.core.database import Row, record_of
from studio.pool.core.files import now
from studio.pool.studies.sheets import Said, Sheets
from studio.text import storable


class Grade(StrEnum):
    """The four grades of Wang et al. 2022, section 4.4, best first."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


GRADES: tuple[Grade, ...] = tuple(Grade)


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """Which comparison: equal plans are one. `first` and `second` are ids of contestants of one evaluation."""

    first: int
    second: int
    seed: str
    size: int


@dataclass(frozen=True, slots=True)
class ComparisonRecord:
    """A comparison; `created_at` is an ISO 8601 time in UTC."""

    id: int
    plan: ComparisonPlan
    created_at: str


@dataclass(frozen=True, slots=True)
class ComparisonItem:
    """An item of an evaluation with both answers, as they were when it was drawn. `item` is its position in the evaluation.

    `swapped`: the second contestant's answer stands on the left.
    """

    position: int
    item: int
    instruction: str
    input: str
    answers: tuple[str, str]
    swapped: bool

    @property
    def sides(self) -> tuple[int, int]:
        """Whose answers stand on the left and on the right: 0 is the first contestant, 1 the second."""
        return (1, 0) if self.swapped else (0, 1)


@dataclass(frozen=True, slots=True)
class Grading(Said[Grade]):
    """What one rater says of one item. `answers` are the grades of the first and the second contestant, whatever their sides."""

    answers: tuple[Grade | None, Grade | None] = (None, None)


UNGRADED = Grading()


_COMPARISON = "SELECT *, first_contestant_id AS first, second_contestant_id AS second FROM comparisons"


class Comparisons(Sheets[Grading]):
    """The blind comparisons of a pool."""

    study = "comparison"
    item_table = "comparison_items"
    rating_table = "grades"
    columns = ("first_grade", "second_grade", "skipped", "note")

    def all(self) -> list[ComparisonRecord]:
        """Return all comparisons, the newest first."""
        return [_comparison(row) for row in self._database.rows(f"{_COMPARISON} ORDER BY id DESC")]

    def find(self, plan: ComparisonPlan) -> ComparisonRecord | None:
        """Return the comparison of this plan, None while it is not drawn."""
        sql = f"{_COMPARISON} WHERE first_contestant_id = ? AND second_contestant_id = ? AND seed = ? AND size = ?"
        row = self._database.row(sql, (plan.first, plan.second, storable(plan.seed), plan.size))
        return None if row is None else _comparison(row)

    def items(self, comparison_id: int) -> list[ComparisonItem]:
        """Return the items of a comparison in their order; positions count from 0."""
        sql = "SELECT * FROM comparison_items WHERE comparison_id = ? ORDER BY position"
        rows = self._database.rows(sql, (comparison_id,))
        return [record_of(ComparisonItem, row, answers=(row["first_answer"], row["second_answer"])) for row in rows]

    def add(self, plan: ComparisonPlan, items: Sequence[ComparisonItem]) -> int:
        """Store a comparison and return its id. Raises PoolError when the pool has it already."""
        database = self._database
        with database.transaction():
            contestants = {"first_contestant_id": plan.first, "second_contestant_id": plan.second}
            values = {**contestants, "seed": storable(plan.seed), "size": plan.size, "created_at": now()}
            comparison_id = database.insert_new("comparisons", values)
            if comparison_id is None:
                raise PoolError("this comparison has been drawn already", "go on with it, or choose another seed")
            rows = (
                {
                    "comparison_id": comparison_id,
                    "position": each.position,
                    "item": each.item,
                    "swapped": each.swapped,
                    "instruction": storable(each.instruction),
                    "input": storable(each.input),
                    "first_answer": storable(each.answers[0]),
                    "second_answer": storable(each.answers[1]),
                }
                for each in items
            )
            database.insert("comparison_items", rows)
        return comparison_id

    @staticmethod
    def as_values(rating: Grading) -> list[Any]:
        """Return a grading as the values of `columns`."""
        return [*rating.answers, rating.skipped, storable(rating.note)]

    @staticmethod
    def rating_of(values: Sequence[Any] | None) -> Grading:
        """Return the grading that the values of `columns` stand for; an empty one for None."""
        if values is None:
            return UNGRADED
        first, second, skipped, note = values
        return Grading((first and Grade(first), second and Grade(second)), bool(skipped), note)


def _comparison(row: Row) -> ComparisonRecord:
    return record_of(ComparisonRecord, row, plan=record_of(ComparisonPlan, row))
