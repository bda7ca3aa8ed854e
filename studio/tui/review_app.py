"""The review screen on its own, as `studio review` shows it."""

from __future__ import annotations

from studio.insight.reviewing import Reviewing, resume_reviewing
from studio.pool.pool import Pool
from studio.pool.studies.reviews import ReviewRecord, Reviews
from studio.tui.review_screen import ReviewScreen
from studio.tui.study_app import StudyApp
from studio.tui.study_desk import Desk, desk_of


def rate(pool: Pool, review: ReviewRecord, rater: str) -> None:
    """Show the review to `rater` until he leaves it; `pool` is open for writing and stays so. Raises PoolError."""
    ReviewApp(resume_reviewing(pool.reader, review, rater), desk_of(pool.reader, pool.reviews)).show()


class ReviewApp(StudyApp):
    """The review."""

    TITLE = "Self-Instruct Studio: review"

    def __init__(self, reviewing: Reviewing, desk: Desk[Reviews]) -> None:
        super().__init__(ReviewScreen(reviewing, desk))
