"""What is asked before a study: who rates, and fields that say which sample."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static

from studio.errors import UsageError
from studio.insight.walk import check_rater
from studio.text import display_line
from studio.tui.closing import Dialog, Keeping, Store
from studio.tui.dialogs import HELP_KEY
from studio.tui.safe import SafeInput
from studio.tui.widgets.key_bar import KeyBar

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Asked(Generic[P]):
    """Who rates, and the plan of what."""

    rater: str
    plan: P


class StudyDialog(Dialog[None], Generic[P]):
    """`store` begins what its fields ask for. A subclass has the fields below the rater's and reads them."""

    heading: ClassVar[str]
    """What stands above the fields."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "begin", "Begin", id="study-dialog.begin", tooltip="Open the sample"),
        Binding("escape", "leave", "Close", id="study-dialog.close", key_display="esc", tooltip="Close; nothing is drawn"),
        HELP_KEY,
    ]
    DEFAULT_CSS = """
    StudyDialog > Vertical { width: 64; max-width: 95%; height: auto; }
    StudyDialog Horizontal { height: 1; }
    StudyDialog Label { width: 9; color: $text-muted; }
    StudyDialog Input { width: 1fr; border: none; height: 1; padding: 0; background: $surface; }
    StudyDialog Input:focus { background: $background; }
    StudyDialog Select { width: 1fr; height: 1; }
    StudyDialog #fault { height: auto; color: $text-error; }
    """

    def __init__(self, rater: str, store: Store[Asked[P]]) -> None:
        super().__init__()
        self._rater = rater
        self._keeping = Keeping(self, store, self._say)

    @abstractmethod
    def fields(self) -> Iterable[tuple[str, Widget]]:
        """Return the fields with what stands before each."""

    @abstractmethod
    def plan(self) -> P:
        """Return what the fields ask for. Raises UsageError when they cannot be used."""

    def compose(self) -> ComposeResult:
        """The rater, the fields, and what is wrong with them."""
        with Vertical() as window:
            window.border_title = Content(self.heading)
            for words, field in [("rater", SafeInput(self._rater, id="rater", compact=True)), *self.fields()]:
                with Horizontal():
                    yield Label(words, markup=False)
                    yield field
            yield Static(id="fault", markup=False)
            yield Button("Begin", id="begin", compact=True, variant="primary")
        yield KeyBar()

    @on(Input.Submitted)
    @on(Button.Pressed)
    def action_begin(self) -> None:
        """Close with what the fields say, if it can be used."""
        try:
            asked = Asked(check_rater(self.text_of("rater")), self.plan())
        except UsageError as error:
            self._say(error.message)
            return
        self._keeping.keep(asked)

    def action_leave(self) -> None:
        """Draw nothing."""
        self._keeping.leave()

    def _say(self, words: str) -> None:
        self.query_one("#fault", Static).update(Content(display_line(words, 300)))

    def text_of(self, field: str) -> str:
        """What an input holds."""
        return self.query_one(f"#{field}", SafeInput).text

    def number_of(self, field: str, what: str) -> int:
        """The number from 1 that an input holds. Raises UsageError naming `what` when it holds anything else."""
        text = self.text_of(field).strip()
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
            raise UsageError(f"{what} is a number from 1")
        return int(text)
