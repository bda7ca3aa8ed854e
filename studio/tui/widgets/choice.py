"""A list to choose from that takes keys from its first moment."""

from __future__ import annotations

from typing import TypeVar

from textual.app import ComposeResult
from textual.widgets import Select
from textual.widgets._select import SelectCurrent, SelectOverlay

from studio.tui.widgets.listing import Listing

Value = TypeVar("Value")


class Choice(Select[Value]):
    """A `Select`. Textual's own fails on page up and page down that come before its list is laid out."""

    def compose(self) -> ComposeResult:
        """The current value, and the list that lies over it."""
        yield SelectCurrent(self.prompt)
        yield _Overlay(type_to_search=self._type_to_search).data_bind(compact=Select.compact)


# Textual takes a widget's styles from its first base.
class _Overlay(SelectOverlay, Listing):
    """The list of a `Select`, with the page keys of a `Listing`."""
