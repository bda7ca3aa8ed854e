"""Where ratings are stored from: at once by the command's own writer, or on the runner's thread, which owns the pool of a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from studio.errors import StudioError
from studio.insight.review_sample import open_review
from studio.insight.reviewing import Reviewing
from studio.pool.queries import Queries
from studio.pool.review_records import ReviewPlan, ReviewRecord
from studio.pool.reviews import Reviews
from studio.pool.store import Pool
from studio.tui.runner import Runner

T = TypeVar("T")
W = TypeVar("W")
S = TypeVar("S", covariant=True)


class Desk(Protocol[S]):
    """Runs `act` with the pool's read side and a study's write side, then tells `then` its value, or the error that kept it from storing.

    False when the pool is busy with a stage: nothing was done then, and nothing will be.
    """

    def __call__(self, act: Callable[[Queries, S], T], then: Callable[[T | StudioError], None]) -> bool: ...


def desk_of_pool(pool: Pool) -> Desk[Reviews]:
    """A desk for reviews that stores before it returns; for whoever holds the writer's lock."""
    return desk_of(pool.reader, pool.reviews)


def desk_of(reader: Queries, writer: W) -> Desk[W]:
    """A desk that stores before it returns; for whoever holds the writer's lock."""

    def call(act: Callable[[Queries, W], T], then: Callable[[T | StudioError], None]) -> bool:
        then(_guarded(act, reader, writer))
        return True

    return call


def desk_of_runner(runner: Runner) -> Desk[Reviews]:
    """A desk for reviews that stores between stages."""

    def call(act: Callable[[Queries, Reviews], Any], then: Callable[[Any], None]) -> bool:
        return runner.call(lambda session, reader: _guarded(act, reader, session.steering.reviews), then)

    return call


def begin_reviewing(pool: Queries, reviews: Reviews, plan: ReviewPlan, rater: str) -> Reviewing:
    """Open the review of `plan`, drawn if need be, where `rater` left off. Raises PoolError."""
    return resume_reviewing(pool, open_review(pool, reviews, plan), rater)


def resume_reviewing(pool: Queries, review: ReviewRecord, rater: str) -> Reviewing:
    """Go on with a review. Of the other raters' answers nothing is read."""
    return Reviewing(review, rater, pool.review_items(review.id), pool.ratings(review.id, rater))


def _guarded(act: Callable[[Queries, W], T], reader: Queries, writer: W) -> T | StudioError:
    try:
        return act(reader, writer)
    except StudioError as error:
        return error
