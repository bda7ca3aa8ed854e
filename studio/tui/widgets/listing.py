"""A list of options that takes keys from its first moment."""

from __future__ import annotations

from textual.widgets import OptionList


class Listing(OptionList):
    """Textual's own fails on page up and page down that come before it is laid out, which filling it anew is, too."""

    def action_page_up(self) -> None:
        """Nothing to leaf through before there are lines."""
        if self._lines:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        """As above."""
        if self._lines:
            super().action_page_down()  # type: ignore[no-untyped-call]
