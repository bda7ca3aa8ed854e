"""What the panes of a screen have in common."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll

from studio.tui.keys import bind

MUTED = "$foreground-muted"


class Pane(VerticalScroll):
    """A scrolling pane with a rule and a title on top, and vim's movements beside the arrows."""

    DEFAULT_CSS = """
    Pane {
        border-top: solid $border-blurred;
        border-title-color: $foreground-muted;
        border-title-style: none;
        border-title-align: left;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
    }
    Pane:focus, Pane:focus-within {
        border-top: solid $primary;
        border-title-color: $primary;
        border-title-style: bold;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("down", "scroll_down", "Down", "Scroll down a line.", show=False),
        bind("up", "scroll_up", "Up", "Scroll up a line.", show=False),
        bind("first", "scroll_home", "Top", "Scroll to the top.", show=False),
        bind("last", "scroll_end", "Bottom", "Scroll to the bottom.", show=False),
        bind("page-down", "page_down", "Page down", "Scroll down a page.", show=False),
        bind("page-up", "page_up", "Page up", "Scroll up a page.", show=False),
    ]

    def begin(self, *, at_its_end: bool = False) -> None:
        """Another text is shown: read it from its beginning, or follow its end until somebody scrolls away from there."""
        if any(widget.text_selection is not None for widget in self.query("*")):
            self.screen.clear_selection()
        self.anchor(False)
        self.scroll_to(y=0, animate=False, force=True, immediate=True)
        # Only then it is known where the end of this text is.
        self.call_after_refresh(self.anchor, at_its_end)
