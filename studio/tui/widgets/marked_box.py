"""A checkbox that can be read without colour."""

from __future__ import annotations

from textual.widgets import Checkbox


class MarkedBox(Checkbox):
    """Its mark is there or not; Textual's own differs by colour alone."""

    BUTTON_INNER = " "

    def watch_value(self) -> None:
        """Draw the other mark, and tell."""
        self.BUTTON_INNER = "X" if self.value else " "
        super().watch_value()
