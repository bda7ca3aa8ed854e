"""Foreign text: brought to an exact width in terminal cells, and the panes that show it."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual.binding import BindingType
from textual.containers import VerticalScroll

from studio.records import Source
from studio.text import display, display_line
from studio.tui.keys import bind

POINTER = "▸"
"""Stands before the line under a cursor, so that its background is not all that tells."""
_LONGEST = 4_000
"""Characters of a text that a single line looks at: a line of 100 KB must not cost anything."""

SOURCES = {
    Source.IN_CONTEXT: ("context", "ctx"),
    Source.TEMPLATE: ("template", "tmpl"),
    Source.BACKTRANSLATION: ("request", "reqs"),
    Source.QUESTION: ("question", "ques"),
}
"""A source of instructions in eight cells, and in four."""

LONG = 20_000
"""Characters that are drawn of a text that somebody has to judge, and SHOWN of all others: wrapping 100 KB takes a second."""
SHOWN = 4_000


def cut(text: str, most: int = SHOWN) -> str:
    """Return the first `most` characters of `text` made harmless, newlines kept, and how many more there are."""
    if len(text) <= most:
        return display(text)
    return f"{display(text[:most])} … and {len(text) - most:,} characters more, which `studio show` and the editor have"


def fit(text: str, width: int) -> str:
    """Return `text` as one harmless line of exactly `width` cells, padded or cut with `…`."""
    if width <= 0:
        return ""
    line = display_line(text[:_LONGEST])
    if cell_len(line) <= width and len(text) <= _LONGEST:
        return set_cell_size(line, width)
    return set_cell_size(line, width - 1) + "…"


def pad(text: str, width: int) -> str:
    """Return words of the studio's own in exactly `width` cells, their spaces kept."""
    return set_cell_size(text, max(width, 0))


def clip(text: str, width: int) -> str:
    """Return `text` as one harmless line of at most `width` cells, cut with `…`."""
    return fit(text, width).rstrip(" ") if width > 0 else ""


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
    _end: int | None = None
    """The line that was the last to be at the top while the text was followed; None: it is not."""

    def begin(self, *, at_its_end: bool = False) -> None:
        """Another text is shown: read it from its beginning, or follow its end until somebody scrolls away from there."""
        if any(widget.text_selection is not None for widget in self.query("*")):
            self.screen.clear_selection()
        self._end = 0 if at_its_end else None
        self.scroll_to(y=0, animate=False, force=True, immediate=True)

    def follow(self) -> None:
        """More of the text is shown: go to its new end, unless it is read from its beginning or somebody has scrolled away from its end.

        Textual's own anchor puts a text that is shorter than its pane at the bottom.
        """
        if self._end is not None and self.scroll_offset.y >= self._end:
            self.call_after_refresh(self._go_to_end)

    def _go_to_end(self) -> None:
        self._end = self.max_scroll_y
        self.scroll_to(y=self._end, animate=False, force=True, immediate=True)
