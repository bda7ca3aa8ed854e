"""The ways to a study: from the studio, which asks who and what and draws the sample on the thread that owns the pool, and from
`studio review` and `studio compare`, which show its screen on its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Button, Select

from studio.errors import StudioError, UsageError
from studio.insight.studies.comparison import (
    Comparable,
    begin_grading,
    comparable,
    likely_pair,
    newest_or_first,
    resume_grading,
)
from studio.insight.studies.raters import check_rater
from studio.insight.studies.review import begin_reviewing, newest_plan, resume_reviewing
from studio.pool.evaluations import ComparisonPlan, ComparisonRecord
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import ReviewPlan, ReviewRecord, Strata
from studio.text import display_line
from studio.tui.base import Editor, Row, Store, lay_over
from studio.tui.help_log import HelpDialog
from studio.tui.keys import bind
from studio.tui.runner import Told
from studio.tui.steering import Steerer
from studio.tui.study.answers import CompareScreen, ReviewScreen
from studio.tui.study.screen import Desk, StudyScreen, desk_of, desk_of_steerer
from studio.tui.terminal import TellingApp, wear_theme
from studio.tui.widgets.fields import Choice, SafeInput
from studio.tui.widgets.frame import hint_if_small

P = TypeVar("P")
W = TypeVar("W")


class StudyDialog(Editor[tuple[str, P]], Generic[P]):
    """`store` begins what its fields ask for: who rates, and a plan of what. A subclass has the fields below the rater's and reads them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "accept", "Begin", "Open the sample", priority=True),
        bind("back", "back", "Close", "Close; nothing is drawn"),
    ]
    DEFAULT_CSS = """
    StudyDialog > Vertical { width: 64; max-width: 95%; height: auto; }
    """

    @abstractmethod
    def fields(self) -> Iterable[tuple[str, Widget]]:
        """Return the fields with what stands before each."""

    @abstractmethod
    def plan(self) -> P:
        """Return what the fields ask for. Raises UsageError when they cannot be used."""

    def body(self) -> ComposeResult:
        for words, field in [("rater", SafeInput(check_rater(None), id="rater")), *self.fields()]:
            yield Row(words, field)
        yield Button("Begin", id="begin", compact=True, variant="primary")

    @on(Button.Pressed)
    def _begin(self) -> None:
        self.action_accept()

    def changed(self) -> tuple[str, P]:
        return check_rater(self.text_of("rater")), self.plan()

    @property
    def unsaved(self) -> str:
        """Nothing: who leaves has only not begun."""
        return ""

    def text_of(self, field: str) -> str:
        return self.query_one(f"#{field}", SafeInput).text

    def number_of(self, field: str, what: str) -> int:
        """The number from 1 that an input holds. Raises UsageError naming `what` when it holds anything else."""
        text = self.text_of(field).strip()
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
            raise UsageError(f"{what} is a number from 1")
        return int(text)


_STRATA = {
    Strata.NONE: "not stratified",
    Strata.ROUND: "by round, in five bands",
    Strata.CLASS: "by classification or not",
    Strata.DEPTH: "by generation depth",
}


class ReviewDialog(StudyDialog[ReviewPlan]):
    """Made with the newest review's plan, or the paper's."""

    TITLE = "Rate a sample of the pool"
    HELP = """\
## Review

A random sample of the generated tasks, one instance of each, drawn once: the same number, seed and strata open it again, for every rater,
where each left off. Another seed draws another sample. Raters do not see each other's answers.
"""

    def __init__(self, plan: ReviewPlan, store: Store[tuple[str, ReviewPlan]]) -> None:
        super().__init__(store)
        self._offered = plan

    def fields(self) -> Iterable[tuple[str, Widget]]:
        yield "tasks", SafeInput(str(self._offered.size), id="size")
        yield "seed", SafeInput(self._offered.seed, id="seed")
        options = [(words, strata.value) for strata, words in _STRATA.items()]
        yield "strata", Choice(options, value=self._offered.strata.value, allow_blank=False, id="strata")

    def plan(self) -> ReviewPlan:
        strata = Strata(str(self.query_one("#strata", Select).value))
        return ReviewPlan(self.number_of("size", "the number of tasks"), self.text_of("seed"), strata)


_SIDES = ("first", "second")


class CompareDialog(StudyDialog[ComparisonPlan]):
    """Made with the evaluations that can be compared, and the plan of a comparison of one of them to begin from."""

    TITLE = "Compare two models' answers, blind"
    HELP = """\
## Compare

The answers that two contestants gave in a stored evaluation, side by side, to be graded A to D without being told whose is which. A
comparison is drawn once: the same contestants, number of items and seed open it again, for every rater, where each left off. Another seed
draws other items and sides. Raters do not see each other's grades.
"""
    DEFAULT_CSS = """
    CompareDialog > Vertical { width: 90; }
    CompareDialog Label { width: 12; }
    """

    def __init__(self, there: Sequence[Comparable], plan: ComparisonPlan, store: Store[tuple[str, ComparisonPlan]]) -> None:
        super().__init__(store)
        self._there = {each.evaluation.id: each for each in there}
        self._offered = plan
        self._shown = next(each for each in there if plan.first in {one.id for one in each.contestants})

    def fields(self) -> Iterable[tuple[str, Widget]]:
        evaluations = [
            (_line(f"{number}: {each.evaluation.name}, {each.evaluation.items} items"), number) for number, each in self._there.items()
        ]
        yield "evaluation", Choice(evaluations, value=self._shown.evaluation.id, allow_blank=False, id="evaluation")
        for side, contestant in zip(_SIDES, (self._offered.first, self._offered.second), strict=True):
            yield side, Choice(self._contestants(), value=contestant, allow_blank=False, id=side)
        yield "items", SafeInput(str(self._offered.size), id="size")
        yield "seed", SafeInput(self._offered.seed, id="seed")

    def plan(self) -> ComparisonPlan:
        first, second = (int(str(self.query_one(f"#{side}", Select).value)) for side in _SIDES)
        if first == second:
            raise UsageError("one contestant is not compared with itself")
        size = min(self.number_of("size", "the number of items"), self._shown.evaluation.items)
        return ComparisonPlan(first, second, self.text_of("seed"), size)

    @on(Select.Changed, "#evaluation")
    def follow_evaluation(self, event: Select.Changed) -> None:
        """Offer the contestants of the chosen evaluation, and all of its items."""
        chosen = self._there[int(str(event.value))]
        if chosen is self._shown:
            return
        self._shown = chosen
        pair = likely_pair(chosen.contestants) or chosen.contestants[:2]
        for side, contestant in zip(_SIDES, pair, strict=True):
            choice = self.query_one(f"#{side}", Select)
            choice.set_options(self._contestants())
            choice.value = contestant.id
        self.query_one("#size", SafeInput).text = str(chosen.evaluation.items)

    def _contestants(self) -> list[tuple[Content, int]]:
        return [(_line(each.contestant.label), each.id) for each in self._shown.contestants]


def _line(text: str) -> Content:
    return Content(display_line(text, 90))


def start_review(app: App[Any], steerer: Steerer) -> None:
    """Open the dialog of a review, and then the review that it asks for."""
    desk = desk_of_steerer(app, steerer, lambda steering: steering.reviews)

    def dialog(plan: ReviewPlan) -> ReviewDialog:
        return ReviewDialog(plan, _beginning(app, desk, begin_reviewing, ReviewScreen))

    steerer.open(app.screen, lambda _, reader: newest_plan(reader), dialog)


def start_comparison(app: App[Any], steerer: Steerer, pool: str) -> None:
    """Open the dialog of a comparison, and then the comparison that it asks for; where there is none to make, say what makes one.

    `pool` is the name of its file.
    """
    desk = desk_of_steerer(app, steerer, lambda steering: steering.comparisons)

    def read(_: object, reader: Queries) -> tuple[list[Comparable], ComparisonPlan | None]:
        there = comparable(reader)
        return there, newest_or_first(reader, there)

    def dialog(found: tuple[list[Comparable], ComparisonPlan | None]) -> CompareDialog | None:
        there, plan = found
        if plan is None:
            command = f"studio evaluate {pool} --adapter FILE --against MODEL"
            app.notify(display_line(f"Nothing to compare yet. Let two models answer first: {command}", 200), timeout=15, markup=False)
            return None
        return CompareDialog(there, plan, _beginning(app, desk, begin_grading, CompareScreen))

    steerer.open(app.screen, read, dialog)


def _beginning(
    app: App[Any], desk: Desk, begin: Callable[[Queries, Any, P, str], W], screen: Callable[[W, Desk], StudyScreen[Any, Any]]
) -> Store[tuple[str, P]]:
    """How a dialog over the screen that is shown now begins its study: drawn at the desk, and laid over in its place."""
    below = app.screen

    def store(asked: tuple[str, P], stored: Callable[[], None], failed: Told) -> None:
        rater, plan = asked

        def then(walk: W | StudioError) -> None:
            if isinstance(walk, StudioError):
                failed(walk)
            else:
                stored()
                lay_over(below, screen(walk, desk))

        desk(lambda reader, sheets: begin(reader, sheets, plan, rater), then)

    return store


class StudyApp(TellingApp):
    """One screen, the help, and the way out."""

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
        hint_if_small(self.screen_stack, event.size)

    def action_help(self) -> None:
        lay_over(self._first, HelpDialog(self.screen))


def rate(pool: Pool, review: ReviewRecord, rater: str) -> None:
    """Show the review to `rater` until he leaves it; `pool` is open for writing and stays so. Raises PoolError."""
    StudyApp(ReviewScreen(resume_reviewing(pool, review, rater), desk_of(pool, pool.reviews))).show()


def grade(pool: Pool, comparison: ComparisonRecord, rater: str) -> None:
    """Show the comparison to `rater` until he leaves it; `pool` is open for writing and stays so. Raises PoolError."""
    StudyApp(CompareScreen(resume_grading(pool, comparison, rater), desk_of(pool, pool.comparisons))).show()
