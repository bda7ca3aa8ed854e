"""What is asked before a review: who rates, and which sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Footer, Input, Label, Select, Static

from studio.errors import UsageError
from studio.insight.walk import check_rater
from studio.pool.review_records import ReviewPlan, Strata
from studio.text import display_line
from studio.tui.closing import Dialog
from studio.tui.dialogs import HELP_KEY
from studio.tui.safe import SafeInput
from studio.tui.widgets.choice import Choice

_STRATA = {
    Strata.NONE: "not stratified",
    Strata.ROUND: "by round, in five bands",
    Strata.CLASS: "by classification or not",
    Strata.DEPTH: "by generation depth",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who rates what."""

    rater: str
    plan: ReviewPlan


class ReviewDialog(Dialog[Asked | None]):
    """Four fields; closes with what was asked for, or with None."""

    HELP = """\
## Review

A random sample of the generated tasks, one instance of each, drawn once: the same number, seed and strata open it again, for every rater,
where each left off. Another seed draws another sample. Raters do not see each other's answers.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "begin", "Begin", id="review-dialog.begin", tooltip="Open the sample"),
        Binding("escape", "leave", "Close", id="review-dialog.close", key_display="esc", tooltip="Close; nothing is drawn"),
        HELP_KEY,
    ]
    DEFAULT_CSS = """
    ReviewDialog { align: center middle; }
    ReviewDialog > Vertical {
        width: 64; max-width: 95%; height: auto; background: $panel; border: round $primary; padding: 0 1;
        border-title-color: $primary; border-title-style: bold;
    }
    ReviewDialog Horizontal { height: 1; }
    ReviewDialog Label { width: 9; color: $text-muted; }
    ReviewDialog Input { width: 1fr; border: none; height: 1; padding: 0; background: $surface; }
    ReviewDialog Input:focus { background: $background; }
    ReviewDialog Select { width: 1fr; height: 1; }
    ReviewDialog #fault { height: auto; color: $text-error; }
    """

    def __init__(self, plan: ReviewPlan, rater: str) -> None:
        super().__init__()
        self._plan = plan
        self._rater = rater

    def compose(self) -> ComposeResult:
        """The newest review's fields, or the paper's."""
        with Vertical() as window:
            window.border_title = Content("Rate a sample of the pool")
            with Horizontal():
                yield Label("rater")
                yield SafeInput(self._rater, id="rater", compact=True)
            with Horizontal():
                yield Label("tasks")
                yield SafeInput(str(self._plan.size), id="size", compact=True)
            with Horizontal():
                yield Label("seed")
                yield SafeInput(self._plan.seed, id="seed", compact=True)
            with Horizontal():
                yield Label("strata")
                options = [(words, strata.value) for strata, words in _STRATA.items()]
                yield Choice(options, value=self._plan.strata.value, allow_blank=False, compact=True, id="strata")
            yield Static(id="fault", markup=False)
            yield Button("Begin", id="begin", compact=True, variant="primary")
        yield Footer(show_command_palette=False)

    @on(Input.Submitted)
    @on(Button.Pressed)
    def action_begin(self) -> None:
        """Close with what the fields say, if it can be used."""
        size = self.query_one("#size", Input).value.strip()
        try:
            if not (size.isascii() and size.isdigit() and 0 < int(size) < 10**9):
                raise UsageError("the number of tasks is a number from 1")
            rater = check_rater(self.query_one("#rater", Input).value)
        except UsageError as error:
            self.query_one("#fault", Static).update(Content(display_line(error.message)))
            return
        strata = Strata(str(self.query_one("#strata", Select).value))
        self.dismiss(Asked(rater, ReviewPlan(int(size), self.query_one("#seed", Input).value, strata)))

    def action_leave(self) -> None:
        """Draw nothing."""
        self.dismiss(None)
