"""Lists of options that take keys from their first moment. Textual's own fail on page keys that come before there are lines."""

from __future__ import annotations

from typing import ClassVar

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.widgets import Input, OptionList


class Listing(OptionList):
    """A list on its own. Filling it anew is a time without lines, too."""

    def action_page_up(self) -> None:
        """Nothing to leaf through before there are lines."""
        if self._lines:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        """As above."""
        if self._lines:
            super().action_page_down()  # type: ignore[no-untyped-call]


class Palette(CommandPalette):
    """The commands. Textual's own fails on page keys, too, on words that are still looked for as it closes, and on closing twice."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "page(1)", "Page down", id="palette.page-down", tooltip="A page of commands down", show=False),
        Binding("pageup", "page(-1)", "Page up", id="palette.page-up", tooltip="A page of commands up", show=False),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The page keys are this one's."""
        return not (action == "command_list" and str(*parameters).startswith("page")) and super().check_action(action, parameters)

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close, unless it has closed already; look for nothing more."""
        self.workers.cancel_node(self)
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look for nothing that was typed before it closed."""
        if not self.is_active:
            event.prevent_default()

    def action_page(self, pages: int) -> None:
        """Go a page of commands, of two lines each, up or down."""
        listing = self.query_one(OptionList)
        if listing.option_count:
            place = (listing.highlighted or 0) + pages * max(listing.size.height // 2, 1)
            listing.highlighted = min(max(place, 0), listing.option_count - 1)
