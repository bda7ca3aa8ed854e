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
from studio.pool.comparison_records import ComparisonPlan
from studio.pool.queries import Queries
from studio.text import display_line
from studio.tui.busy import say_busy
from studio.tui.compare_dialog import CompareDialog
from studio.tui.compare_screen import CompareScreen
from studio.tui.dialogs import ErrorDialog
from studio.tui.review_dialog import ReviewDialog
from studio.tui.review_screen import ReviewScreen
from studio.tui.runner import Runner
from studio.tui.study_desk import Desk, desk_of_runner
from studio.tui.study_dialog import Asked, StudyDialog
from studio.tui.study_screen import StudyScreen

F = TypeVar("F")
P = TypeVar("P")
W = TypeVar("W")


def start_review(app: App[Any], runner: Runner) -> None:
    """Open the dialog of a review, and then the review that it asks for."""
    desk = desk_of_runner(runner, lambda steering: steering.reviews)
    _start(
        app,
        runner,
        desk,
        read=newest_plan,
        dialog=lambda plan: ReviewDialog(plan, check_rater(None)),
        begin=begin_reviewing,
        screen=lambda reviewing: ReviewScreen(reviewing, desk),
    )


def start_comparison(app: App[Any], runner: Runner) -> None:
    """Open the dialog of a comparison, and then the comparison that it asks for; where there is none to make, say what makes one."""
    desk = desk_of_runner(runner, lambda steering: steering.comparisons)

    def read(reader: Queries) -> tuple[list[Comparable], ComparisonPlan | None]:
        there = comparable(reader)
        return there, newest_or_first(reader, there)

    def dialog(found: tuple[list[Comparable], ComparisonPlan | None]) -> CompareDialog | None:
        there, plan = found
        if plan is None:
            command = f"studio evaluate {runner.asked.pool.name} --adapter FILE --against MODEL"
            app.notify(display_line(f"Nothing to compare yet. Let two models answer first: {command}", 200), timeout=15, markup=False)
            return None
        return CompareDialog(there, plan, check_rater(None))

    _start(
        app,
        runner,
        desk,
        read=read,
        dialog=dialog,
        begin=begin_grading,
        screen=lambda grading: CompareScreen(grading, desk),
    )


def _start(
    app: App[Any],
    runner: Runner,
    desk: Desk[Any],
    *,
    read: Callable[[Queries], F],
    dialog: Callable[[F], StudyDialog[P] | None],
    begin: Callable[[Queries, Any, P, str], W],
    screen: Callable[[W], StudyScreen[Any, Any]],
) -> None:
    def ask(found: F | StudioError) -> None:
        if isinstance(found, StudioError):
            app.push_screen(ErrorDialog(found))
        elif (fields := dialog(found)) is not None:
            app.push_screen(fields, answered)

    def answered(asked: Asked[P] | None) -> None:
        if asked is not None and not desk(lambda reader, sheets: begin(reader, sheets, asked.plan, asked.rater), show):
            say_busy(app, runner.state)

    def show(walk: W | StudioError) -> None:
        app.push_screen(ErrorDialog(walk) if isinstance(walk, StudioError) else screen(walk))

    if not desk(lambda reader, _: read(reader), ask):
        say_busy(app, runner.state)
