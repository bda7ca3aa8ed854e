"""A line to look for words in what is shown: each letter leads to the next place that has them, enter to the one after it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Input

from studio.tui.keys import bind
from studio.tui.widgets.fields import SafeInput


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
