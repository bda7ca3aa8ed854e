"""Screens that close once. Textual's own take the next screen off as well when escape is pressed twice before they are gone."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen

Result = TypeVar("Result")


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
