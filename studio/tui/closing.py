"""Screens that open once and close once, and editors that close when what they hold is stored.

Textual's own take the next screen off as well when escape is pressed twice before they are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen

from studio.errors import StudioError
from studio.text import display_line
from studio.tui.leaving import leaving

Result = TypeVar("Result")
Value = TypeVar("Value")


class Page(Screen[Result]):
    """A screen that lies over another and fills the window."""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close with `result`, unless it has closed already."""
        return super().dismiss(result) if self.is_active else AwaitComplete()


class Dialog(ModalScreen[Result]):
    """A screen that lies over another and lets it show through: a window with a title in its border, in the middle."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical {
        background: $panel; border: round $primary; padding: 0 1; border-title-color: $primary; border-title-style: bold;
    }
    """

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close with `result`, unless it has closed already."""
        return super().dismiss(result) if self.is_active else AwaitComplete()


def lay_over(owner: Screen[Any], above: Screen[Result], then: Callable[[Result | None], None] | None = None) -> bool:
    """Show `above` over `owner`; return whether. Not where another lies there already: keys that come together open one window.

    Nor when the app is being left: it would not be put together any more.
    """
    if owner.app.screen is not owner or leaving(owner):
        return False
    owner.app.push_screen(above, then)
    return True


Store = Callable[[Value, Callable[[], None], Callable[[StudioError], None]], None]
"""Stores a value, then calls the second; or tells the third why it could not."""


class Keeping(Generic[Value]):
    """How an editor closes: when what was typed is stored. Where it cannot be, the editor stays as it is, and `say` gets the reason."""

    def __init__(self, editor: Page[Any] | Dialog[Any], store: Store[Value], say: Callable[[str], object]) -> None:
        self._editor = editor
        self._store = store
        self._say = say
        self._storing = False
        self._stored: Value | None = None

    def keep(self, value: Value) -> None:
        """Store and close. Nothing is done while that is under way."""
        if value == self._stored:
            # Something lay over the editor when it was.
            self._editor.dismiss()
        elif not self._storing:
            self._storing = True
            self._store(value, lambda: self._done(value), self._failed)

    def leave(self) -> None:
        """Close; unless something is being stored, which may fail."""
        if not self._storing:
            self._editor.dismiss()

    def _done(self, value: Value) -> None:
        self._storing, self._stored = False, value
        self._editor.dismiss()

    def _failed(self, error: StudioError) -> None:
        self._storing = False
        words = f"{error.message}: {error.hint}" if error.hint else error.message
        if leaving(self._editor):
            self._editor.app.notify(display_line(words, 300), severity="warning", markup=False)
        else:
            self._say(words)
