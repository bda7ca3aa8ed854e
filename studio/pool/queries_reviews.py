"""Reading reviews: the samples, what raters said of them, and what people hung on tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studio.pool.database import Row
from studio.pool.faults import explained
from studio.pool.keeping import QUALITY, RATED
from studio.pool.reading import Reader, chunks
from studio.pool.review_records import Annotation, Rating, ReviewItem, ReviewPlan, ReviewRecord, Strata
from studio.pool.reviews import Reviews
from studio.pool.sheets import raters_of, said
from studio.text import storable

_REVIEW = "SELECT id, size, seed, strata, created_at FROM reviews"
_TAGS = "SELECT tag, count(*) FROM task_tags GROUP BY tag ORDER BY tag"


class ReviewQueries(Reader):
    """What the review screen, its report and the samples are made of."""

    def reviews(self) -> list[ReviewRecord]:
        """Return all reviews, the newest first."""
        return [_review(row) for row in self._database.rows(f"{_REVIEW} ORDER BY id DESC")]

    def find_review(self, plan: ReviewPlan) -> ReviewRecord | None:
        """Return the review of this plan, None while it is not drawn."""
        row = self._database.row(
            f"{_REVIEW} WHERE seed = ? AND size = ? AND strata = ?", (storable(plan.seed), plan.size, plan.strata.value)
        )
        return None if row is None else _review(row)

    def review_items(self, review_id: int) -> list[ReviewItem]:
        """Return the items of a sample in their order; positions count from 0."""
        sql = (
            "SELECT position, task_id, instance_id, stratum, instruction, input, output"
            " FROM review_items WHERE review_id = ? ORDER BY position"
        )
        return [ReviewItem(*row) for row in self._database.rows(sql, (review_id,))]

    def raters(self, review_id: int) -> list[str]:
        """Return who says anything of a review, in the order they came; not who took everything back."""
        return raters_of(self._database, Reviews, review_id)

    def ratings(self, review_id: int, rater: str) -> dict[int, Rating]:
        """Return what one rater said, by position; of the others' answers nothing."""
        return said(self._database, Reviews, review_id, rater)

    def strata_values(self, strata: Strata) -> Iterator[tuple[int, int]]:
        """Yield (task id, round number or classification flag) of the active generated tasks, in the order of ids.

        Nothing for the other strata: depth is of the whole family, see `parents_of_all`.
        """
        column = {Strata.ROUND: "number", Strata.CLASS: "coalesce(is_classification, 0)"}.get(strata)
        if column is not None:
            yield from self._pairs(
                f"SELECT tasks.id, {column} FROM tasks CROSS JOIN rounds ON rounds.id = round_id"
                " WHERE state = 'active' AND origin = 'generated' ORDER BY tasks.id"
            )

    def parents_of_all(self) -> Iterator[tuple[int, int]]:
        """Yield (task id, id of a parent) for every task that has parents, in the order of ids."""
        yield from self._pairs(
            "SELECT tasks.id, request_parents.task_id FROM tasks JOIN candidates ON candidates.id = tasks.candidate_id"
            " JOIN request_parents ON request_parents.request_id = candidates.request_id ORDER BY tasks.id"
        )

    def quality(self, task_ids: Sequence[int]) -> dict[int, float]:
        """Return the quality of those of these tasks that were rated, as `Keep` defines it but not rounded."""
        found: dict[int, float] = {}
        for piece, places in chunks(task_ids):
            sql = f"SELECT review_items.task_id, {QUALITY} {RATED} AND review_items.task_id IN ({places})"
            found.update((task_id, share) for task_id, share in self._database.rows(sql, piece))
        return found

    def annotation(self, task_id: int) -> Annotation:
        """Return the tags and the note of a task."""
        tags = self._database.rows("SELECT tag FROM task_tags WHERE task_id = ? ORDER BY place", (task_id,))
        note = self._database.row("SELECT note FROM task_notes WHERE task_id = ?", (task_id,))
        return Annotation(tuple(tag for (tag,) in tags), note[0] if note else "")

    def tags(self) -> dict[str, int]:
        """Return every tag in use and the number of tasks that have it, in the order of the alphabet."""
        rows: list[tuple[str, int]] = [(tag, number) for tag, number in self._database.rows(_TAGS)]
        return dict(rows)

    def _pairs(self, sql: str) -> Iterator[tuple[int, int]]:
        with explained(self._database.path):
            yield from self._database.connection.execute(sql)


def _review(row: Row) -> ReviewRecord:
    found, size, seed, strata, created_at = row
    return ReviewRecord(found, ReviewPlan(size, seed, Strata(strata)), created_at)
