"""What the dialogs have in common in which something is typed or asked: they close when it is stored, and lose nothing unasked."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from studio.errors import UsageError
from studio.text import display_line
from studio.tui.base import Dialog, Keeping, Store
from studio.tui.keys import bind
from studio.tui.widgets.key_bar import KeyBar

Value = TypeVar("Value")


class Editor(Dialog[None], Generic[Value]):
    """Closes when `store` has what was typed, or nothing was. Where it cannot be stored, the editor stays and says why."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "accept", "Keep", "Store what stands here, and close.", priority=True),
        bind("back", "back", "Leave as it was", "Close and change nothing."),
    ]

    def __init__(self, store: Store[Value]) -> None:
        super().__init__()
        self._keeping = Keeping(self, store, self.say)

    @abstractmethod
    def changed(self) -> Value | None:
        """What is to be stored, None where everything is as it was. Raises UsageError for what does not fit."""

    def say(self, words: str) -> None:
        """Tell why something cannot be stored; an editor that has a place for it says it there."""
        self.notify(display_line(words, 300), severity="warning", markup=False)

    @property
    def unsaved(self) -> str:
        """What would be lost if the studio ended now, in words; empty for nothing."""
        try:
            changed = self.changed() is not None
        except UsageError:
            changed = True
        return "What you typed is not stored." if changed else ""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field of one line is as good."""
        event.stop()
        self.action_accept()

    def action_accept(self) -> None:
        """Store and close."""
        try:
            value = self.changed()
        except UsageError as error:
            self.say(error.message)
            return
        if value is None:
            self._keeping.leave()
        else:
            self._keeping.keep(value)

    def action_back(self) -> None:
        """Change nothing."""
        self._keeping.leave()


class Confirm(Dialog[bool]):
    """A question that is asked before something is lost; closes with whether the answer was yes."""

    HELP = "Something would be lost. `y` goes on all the same, `n` or `escape` goes back."

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("yes", "answer(True)", "Yes", "Go on."),
        bind("no", "answer(False)", "No", "Go back; nothing has happened."),
        bind("back", "answer(False)", "Back", "Go back; nothing has happened.", show=False),
    ]
    DEFAULT_CSS = """
    Confirm > Vertical { width: 64; max-width: 95%; height: auto; padding: 1 2; border: round $warning; border-title-color: $warning; }
    """

    def __init__(self, question: str, words: str) -> None:
        """`words` say what would be lost; both are the studio's own, with names from outside already cleaned."""
        super().__init__()
        self.question = question
        self._words = words

    def compose(self) -> ComposeResult:
        """The question, and what it is about."""
        with Vertical() as window:
            window.border_title = Content(self.question)
            yield Static(Content(self._words), markup=False)
        yield KeyBar()

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)
