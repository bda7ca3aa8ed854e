"""Reviews of the pool's tasks: the samples, and what raters say of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from studio.errors import PoolError
from studio.pool.lock import now
from studio.pool.review_records import BLANK, QUESTIONS, Rating, ReviewItem, ReviewPlan
from studio.pool.sheets import Sheets
from studio.text import storable


class Reviews(Sheets[Rating]):
    """The write side of the reviews of one pool."""

    study = "review"
    items = "review_items"
    ratings = "ratings"
    steps = "rating_steps"
    columns = (*(question.value for question in QUESTIONS), "skipped", "note")

    def add(self, plan: ReviewPlan, items: Sequence[ReviewItem]) -> int:
        """Store a sample and return the review's id. Raises PoolError when the pool has this review already."""
        database = self._database
        with database.transaction():
            sql = "INSERT INTO reviews (seed, size, strata, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"
            row = database.execute(sql, (storable(plan.seed), plan.size, plan.strata.value, now())).fetchone()
            if row is None:
                raise PoolError("this sample has been drawn already", "go on with it, or choose another seed")
            columns = ("review_id", "position", "task_id", "instance_id", "stratum", "instruction", "input", "output")
            database.insert("review_items", columns, ((row[0], *_item_values(item)) for item in items))
        return int(row[0])

    @staticmethod
    def as_values(rating: Rating) -> list[Any]:
        """Return a rating as the values of `columns`."""
        answers = [None if answer is None else int(answer) for answer in rating.answers]
        return [*answers, int(rating.skipped), storable(rating.note)]

    @staticmethod
    def rating_of(values: Sequence[Any] | None) -> Rating:
        """Return the rating that the values of `columns` stand for; a blank one for None."""
        if values is None:
            return BLANK
        *answers, skipped, note = values
        first, second, third = (None if answer is None else bool(answer) for answer in answers)
        return Rating((first, second, third), bool(skipped), note)


def _item_values(item: ReviewItem) -> tuple[Any, ...]:
    texts = (storable(item.instruction), storable(item.input), storable(item.output))
    return (item.position, item.task_id, item.instance_id, item.stratum, *texts)
