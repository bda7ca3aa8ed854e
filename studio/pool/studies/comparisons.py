"""Blind comparisons of two contestants: the items with their sides, and the grades that raters give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from studio.errors import PoolError
from studio.pool.core.database import Reader, Row
from studio.pool.core.files import now
from studio.pool.studies.sheets import Said, Sheets, raters_of, said
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


_COMPARISON = "SELECT id, first_contestant_id, second_contestant_id, seed, size, created_at FROM comparisons"


class ComparisonQueries(Reader):
    """What the comparison screen and its report are made of."""

    def comparisons(self) -> list[ComparisonRecord]:
        """Return all comparisons, the newest first."""
        return [_comparison(row) for row in self._database.rows(f"{_COMPARISON} ORDER BY id DESC")]

    def find_comparison(self, plan: ComparisonPlan) -> ComparisonRecord | None:
        """Return the comparison of this plan, None while it is not drawn."""
        row = self._database.row(
            f"{_COMPARISON} WHERE first_contestant_id = ? AND second_contestant_id = ? AND seed = ? AND size = ?",
            (plan.first, plan.second, storable(plan.seed), plan.size),
        )
        return None if row is None else _comparison(row)

    def comparison_items(self, comparison_id: int) -> list[ComparisonItem]:
        """Return the items of a comparison in their order; positions count from 0."""
        sql = (
            "SELECT position, item, instruction, input, first_answer, second_answer, swapped"
            " FROM comparison_items WHERE comparison_id = ? ORDER BY position"
        )
        return [
            ComparisonItem(position, item, instruction, given, (first, second), bool(swapped))
            for position, item, instruction, given, first, second, swapped in self._database.rows(sql, (comparison_id,))
        ]

    def graders(self, comparison_id: int) -> list[str]:
        """Return who says anything of a comparison, in the order they came; not who took everything back."""
        return raters_of(self._database, Comparisons, comparison_id)

    def gradings(self, comparison_id: int, rater: str) -> dict[int, Grading]:
        """Return what one rater said, by position; of the others' grades nothing."""
        return said(self._database, Comparisons, comparison_id, rater)


def _comparison(row: Row) -> ComparisonRecord:
    found, first, second, seed, size, created_at = row
    return ComparisonRecord(found, ComparisonPlan(first, second, seed, size), created_at)
