"""A rater's way through a review of the pool's tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studio.insight.review_sample import open_review
from studio.insight.walk import Walk
from studio.pool.pool import Queries
from studio.pool.studies.reviews import BLANK, Rating, ReviewItem, ReviewPlan, ReviewRecord, Reviews


def newest_plan(pool: Queries) -> ReviewPlan:
    """Return the plan of the newest review, or the paper's when there is none yet: 200 tasks."""
    reviews = pool.reviews()
    return reviews[0].plan if reviews else ReviewPlan()


class Reviewing(Walk[ReviewItem, Rating]):
    """A rater's way through a sample: three questions a task."""

    def __init__(self, review: ReviewRecord, rater: str, items: Sequence[ReviewItem], ratings: Mapping[int, Rating]) -> None:
        self.review = review
        super().__init__(review.id, rater, items, ratings, BLANK)


def begin_reviewing(pool: Queries, reviews: Reviews, plan: ReviewPlan, rater: str) -> Reviewing:
    """Open the review of `plan`, drawn if need be, where `rater` left off. Raises PoolError."""
    return resume_reviewing(pool, open_review(pool, reviews, plan), rater)


def resume_reviewing(pool: Queries, review: ReviewRecord, rater: str) -> Reviewing:
    """Go on with a review. Of the other raters' answers nothing is read."""
    return Reviewing(review, rater, pool.review_items(review.id), pool.ratings(review.id, rater))
