"""A rater's way through a review of the pool's tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studio.insight.walk import Walk
from studio.pool.queries import Queries
from studio.pool.review_records import BLANK, Rating, ReviewItem, ReviewPlan, ReviewRecord


def newest_plan(pool: Queries) -> ReviewPlan:
    """Return the plan of the newest review, or the paper's when there is none yet: 200 tasks."""
    reviews = pool.reviews()
    return reviews[0].plan if reviews else ReviewPlan()


class Reviewing(Walk[ReviewItem, Rating]):
    """A rater's way through a sample: three questions a task."""

    def __init__(self, review: ReviewRecord, rater: str, items: Sequence[ReviewItem], ratings: Mapping[int, Rating]) -> None:
        self.review = review
        super().__init__(review.id, rater, items, ratings, BLANK)
