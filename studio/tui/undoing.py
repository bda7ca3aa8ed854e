"""What every screen that steers has: undo and redo, and a palette that offers what applies."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator

from textual.app import SystemCommand
from textual.reactive import Reactive
from textual.widget import Widget

from studio.loop.steering import Steering
from studio.text import display_line
from studio.tui.kept_screen import KeptScreen

Offer = tuple[str, str, str, Callable[[], None]]
"""An action's name, what the palette calls it, what it says of it, and what it calls."""


class UndoingScreen(KeptScreen):
    """Base of the steering halves of screens."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As Textual has it, but for drawing the whole screen anew: the widgets that lose and take the focus draw themselves."""

    @abstractmethod
    def steers(self, action: str) -> bool | None:
        """Whether a steering action applies now; None when `action` is none."""

    def action_undo(self) -> None:
        """Take back the newest action."""
        self._steer(lambda steering: _told("took back", steering.undo()))

    def action_redo(self) -> None:
        """Do it again."""
        self._steer(lambda steering: _told("did again", steering.redo()))

    def _offered(self, offers: Iterable[Offer]) -> Iterator[SystemCommand]:
        for action, title, words, callback in offers:
            if self.steers(action):
                yield SystemCommand(title, words, callback)

    @abstractmethod
    def _steer(self, act: Callable[[Steering], str | None]) -> None:
        """Let `act` be done and tell what it did; the log keeps it."""

    def _tell_done(self, words: str | None) -> None:
        self.app.notify(display_line(words or "There is nothing to take back.", 200), timeout=3, markup=False)


def _told(verb: str, words: str | None) -> str | None:
    return f"{verb}: {words}" if words else None
