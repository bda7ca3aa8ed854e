"""The comparison screen on its own, as `studio compare` shows it."""

from __future__ import annotations

from studio.insight.grading import GradingWalk, resume_grading
from studio.pool.pool import Pool
from studio.pool.studies.comparisons import ComparisonRecord, Comparisons
from studio.tui.compare_screen import CompareScreen
from studio.tui.study_app import StudyApp
from studio.tui.study_desk import Desk, desk_of


def grade(pool: Pool, comparison: ComparisonRecord, rater: str) -> None:
    """Show the comparison to `rater` until he leaves it; `pool` is open for writing and stays so. Raises PoolError."""
    CompareApp(resume_grading(pool.reader, comparison, rater), desk_of(pool.reader, pool.comparisons)).show()


class CompareApp(StudyApp):
    """The comparison."""

    TITLE = "Self-Instruct Studio: compare"

    def __init__(self, grading: GradingWalk, desk: Desk[Comparisons]) -> None:
        super().__init__(CompareScreen(grading, desk))
