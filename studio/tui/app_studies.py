"""The ways from the studio to its studies: ask who and what, draw the sample on the thread that owns the pool, show the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from textual.app import App

from studio.errors import StudioError
from studio.insight.grading import begin_grading
from studio.insight.pairing import Comparable, comparable, newest_or_first
from studio.insight.reviewing import begin_reviewing, newest_plan
from studio.insight.walk import check_rater
from studio.pool.pool import Queries
from studio.pool.studies.comparisons import ComparisonPlan
from studio.text import display_line
from studio.tui.closing import Store, lay_over
from studio.tui.compare_dialog import CompareDialog
from studio.tui.compare_screen import CompareScreen
from studio.tui.review_dialog import ReviewDialog
from studio.tui.review_screen import ReviewScreen
from studio.tui.runner import Told
from studio.tui.steering import Steerer
from studio.tui.study_desk import Desk, desk_of_steerer
from studio.tui.study_dialog import Asked, StudyDialog
from studio.tui.study_screen import StudyScreen

F = TypeVar("F")
P = TypeVar("P")
W = TypeVar("W")


def start_review(app: App[Any], steerer: Steerer) -> None:
    """Open the dialog of a review, and then the review that it asks for."""
    desk = desk_of_steerer(app, steerer, lambda steering: steering.reviews)
    _start(
        app,
        steerer,
        desk,
        read=newest_plan,
        dialog=lambda plan, store: ReviewDialog(plan, check_rater(None), store),
        begin=begin_reviewing,
        screen=lambda reviewing: ReviewScreen(reviewing, desk),
    )


def start_comparison(app: App[Any], steerer: Steerer, pool: str) -> None:
    """Open the dialog of a comparison, and then the comparison that it asks for; where there is none to make, say what makes one.

    `pool` is the name of its file.
    """
    desk = desk_of_steerer(app, steerer, lambda steering: steering.comparisons)

    def read(reader: Queries) -> tuple[list[Comparable], ComparisonPlan | None]:
        there = comparable(reader)
        return there, newest_or_first(reader, there)

    def dialog(found: tuple[list[Comparable], ComparisonPlan | None], store: Store[Asked[ComparisonPlan]]) -> CompareDialog | None:
        there, plan = found
        if plan is None:
            command = f"studio evaluate {pool} --adapter FILE --against MODEL"
            app.notify(display_line(f"Nothing to compare yet. Let two models answer first: {command}", 200), timeout=15, markup=False)
            return None
        return CompareDialog(there, plan, check_rater(None), store)

    _start(
        app,
        steerer,
        desk,
        read=read,
        dialog=dialog,
        begin=begin_grading,
        screen=lambda grading: CompareScreen(grading, desk),
    )


def _start(
    app: App[Any],
    steerer: Steerer,
    desk: Desk[Any],
    *,
    read: Callable[[Queries], F],
    dialog: Callable[[F, Store[Asked[P]]], StudyDialog[P] | None],
    begin: Callable[[Queries, Any, P, str], W],
    screen: Callable[[W], StudyScreen[Any, Any]],
) -> None:
    below = app.screen

    def store(asked: Asked[P], stored: Callable[[], None], failed: Told) -> None:
        def then(walk: W | StudioError) -> None:
            if isinstance(walk, StudioError):
                failed(walk)
            else:
                stored()
                lay_over(below, screen(walk))

        desk(lambda reader, sheets: begin(reader, sheets, asked.plan, asked.rater), then)

    steerer.open(below, lambda _, reader: read(reader), lambda found: dialog(found, store))
