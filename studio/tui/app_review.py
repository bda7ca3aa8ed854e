"""The way from the studio to a review: ask who and what, draw the sample on the thread that owns the pool, show the screen."""

from __future__ import annotations

from typing import Any

from textual.app import App

from studio.errors import StudioError
from studio.insight.reviewing import Reviewing, newest_plan
from studio.insight.walk import check_rater
from studio.pool.review_records import ReviewPlan
from studio.tui.dialogs import ErrorDialog
from studio.tui.review_desk import begin_reviewing, desk_of_runner
from studio.tui.review_dialog import Asked, ReviewDialog
from studio.tui.review_screen import ReviewScreen
from studio.tui.runner import Runner


def start_review(app: App[Any], runner: Runner) -> None:
    """Open the dialog, and then the review that it asks for."""
    desk = desk_of_runner(runner)

    def ask(plan: ReviewPlan | StudioError) -> None:
        if isinstance(plan, StudioError):
            app.push_screen(ErrorDialog(plan))
        else:
            app.push_screen(ReviewDialog(plan, check_rater(None)), begin)

    def begin(asked: Asked | None) -> None:
        if asked is not None and not desk(lambda reader, reviews: begin_reviewing(reader, reviews, asked.plan, asked.rater), show):
            _busy(app)

    def show(reviewing: Reviewing | StudioError) -> None:
        app.push_screen(ErrorDialog(reviewing) if isinstance(reviewing, StudioError) else ReviewScreen(reviewing, desk))

    if not desk(lambda reader, _: newest_plan(reader), ask):
        _busy(app)


def _busy(app: App[Any]) -> None:
    app.notify("A stage is being played: stop it first, or wait until it ends.", severity="warning", markup=False)
