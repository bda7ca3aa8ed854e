"""What the panes of a screen have in common, and the line that looks for words in what they show."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Input

from studio.tui.keys import bind
from studio.tui.widgets.fields import SafeInput

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


class FindLine(SafeInput):
    """Out of sight until it is opened; its screen looks, and takes the focus back when it is left."""

    DEFAULT_CSS = """
    FindLine, FindLine:focus { dock: bottom; border: none; height: 1; padding: 0 1; margin-bottom: 1; background: $panel; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [bind("back", "leave", "Done", "Back to what was found.")]

    class Wanted(Message):
        """Other words are looked for, or the same `again`, one place further on."""

        def __init__(self, words: str, *, again: bool) -> None:
            super().__init__()
            self.words = words.lower().split()
            self.again = again

        def fits(self, text: str) -> bool:
            """Whether a text has all the words, in any case."""
            return all(word in text.lower() for word in self.words)

    class Left(Message):
        """The words are done with."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True, id="find-line")
        self.display = False

    def open(self) -> None:
        """Show it, and type into it."""
        self.display = True
        # At once: `focus()` waits for a turn of its own, and letters that come by then would be keys.
        self.screen.set_focus(self)

    def on_input_changed(self, event: Input.Changed) -> None:
        """As one types."""
        event.stop()
        self.post_message(self.Wanted(self.text, again=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The next one."""
        event.stop()
        self.post_message(self.Wanted(self.text, again=True))

    def action_leave(self) -> None:
        """Go back to what was found."""
        self.display = False
        self.post_message(self.Left())
