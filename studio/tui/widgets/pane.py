"""What the four panes of the studio screen have in common."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll


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
        Binding("j", "scroll_down", "Down", show=False, id="pane.down", tooltip="Scroll down a line."),
        Binding("k", "scroll_up", "Up", show=False, id="pane.up", tooltip="Scroll up a line."),
        Binding("g", "scroll_home", "Top", show=False, id="pane.top", tooltip="Scroll to the top."),
        Binding("G", "scroll_end", "Bottom", show=False, id="pane.bottom", tooltip="Scroll to the bottom."),
        Binding("ctrl+d", "page_down", "Page down", show=False, id="pane.page_down", tooltip="Scroll down a page."),
        Binding("ctrl+u", "page_up", "Page up", show=False, id="pane.page_up", tooltip="Scroll up a page."),
    ]
