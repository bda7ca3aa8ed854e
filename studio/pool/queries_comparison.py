"""Reading blind comparisons: their items, and what raters said."""

from __future__ import annotations

from studio.pool.comparison_records import ComparisonItem, ComparisonPlan, ComparisonRecord, Grading
from studio.pool.comparisons import Comparisons
from studio.pool.database import Row
from studio.pool.reading import Reader
from studio.pool.sheets import raters_of, said
from studio.text import storable

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
