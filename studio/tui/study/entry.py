"""The ways to a study: from the studio, which asks who and what and draws the sample on the thread that owns the pool, and from
`studio review` and `studio compare`, which show its screen on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from textual.app import App
from textual.binding import BindingType
from textual.events import Resize

from studio.errors import StudioError
from studio.insight.studies.comparison import Comparable, GradingWalk, begin_grading, comparable, newest_or_first, resume_grading
from studio.insight.studies.raters import check_rater
from studio.insight.studies.review import Reviewing, begin_reviewing, newest_plan, resume_reviewing
from studio.pool.evaluations import ComparisonPlan, ComparisonRecord, Comparisons
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import ReviewRecord, Reviews
from studio.text import display_line
from studio.tui.base import Store, TellingApp, lay_over
from studio.tui.help_log import HelpDialog
from studio.tui.keys import bind
from studio.tui.runner import Told
from studio.tui.steering import Steerer
from studio.tui.study.compare import CompareScreen
from studio.tui.study.dialogs import Asked, CompareDialog, ReviewDialog, StudyDialog
from studio.tui.study.review import ReviewScreen
from studio.tui.study.screen import Desk, StudyScreen, desk_of, desk_of_steerer
from studio.tui.theme import wear_theme
from studio.tui.widgets.header import hint_if_small

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


class StudyApp(TellingApp):
    """One screen, the help, and the way out."""

    CSS_PATH = "../studio.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("help", "help", "Help", "Explain the screen."),
        bind("quit", "quit", "Quit", "Quit; everything is stored.", show=False),
        bind("quit-now", "quit", "Quit", "Quit, also while one types; everything else is stored.", show=False, priority=True),
    ]

    def __init__(self, screen: StudyScreen[Any, Any]) -> None:
        super().__init__()
        self._first = screen

    def on_mount(self) -> None:
        """The screen; when it is left, so is the app."""
        wear_theme(self)
        self.push_screen(self._first, lambda _: self.exit())

    def on_resize(self, event: Resize) -> None:
        """Say so in a window that is too small."""
        hint_if_small(self.screen_stack, event.size)

    def action_help(self) -> None:
        """Explain the screen."""
        lay_over(self._first, HelpDialog(self.screen))


def rate(pool: Pool, review: ReviewRecord, rater: str) -> None:
    """Show the review to `rater` until he leaves it; `pool` is open for writing and stays so. Raises PoolError."""
    ReviewApp(resume_reviewing(pool, review, rater), desk_of(pool, pool.reviews)).show()


class ReviewApp(StudyApp):
    """The review."""

    TITLE = "Self-Instruct Studio: review"

    def __init__(self, reviewing: Reviewing, desk: Desk[Reviews]) -> None:
        super().__init__(ReviewScreen(reviewing, desk))


def grade(pool: Pool, comparison: ComparisonRecord, rater: str) -> None:
    """Show the comparison to `rater` until he leaves it; `pool` is open for writing and stays so. Raises PoolError."""
    CompareApp(resume_grading(pool, comparison, rater), desk_of(pool, pool.comparisons)).show()


class CompareApp(StudyApp):
    """The comparison."""

    TITLE = "Self-Instruct Studio: compare"

    def __init__(self, grading: GradingWalk, desk: Desk[Comparisons]) -> None:
        super().__init__(CompareScreen(grading, desk))
