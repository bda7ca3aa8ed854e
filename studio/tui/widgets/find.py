"""A line to look for words in what is shown: each letter leads to the next place that has them, enter to the one after it."""

from __future__ import annotations

from textual.events import Key
from textual.message import Message
from textual.widgets import Input

from studio.tui.widgets.fields import SafeInput


class FindLine(SafeInput):
    """Out of sight until it is opened; its screen looks, and takes the focus back when it is left."""

    DEFAULT_CSS = """
    FindLine, FindLine:focus { display: none; dock: bottom; border: none; height: 1; padding: 0 1; margin-bottom: 1; background: $panel; }
    FindLine.-open { display: block; }
    """

    class Wanted(Message):
        """Other words are looked for, or the same `again`, one place further on."""

        def __init__(self, words: str, *, again: bool) -> None:
            super().__init__()
            self.words = words.lower().split()
            self.again = again

    class Left(Message):
        """The words are done with."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True, id="find-line")

    def open(self) -> None:
        """Show it, and type into it."""
        self.add_class("-open")
        self.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """As one types."""
        event.stop()
        self.post_message(self.Wanted(self.text, again=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The next one."""
        event.stop()
        self.post_message(self.Wanted(self.text, again=True))

    def on_key(self, event: Key) -> None:
        """Escape leaves it, and what was found under the cursor."""
        super().on_key(event)
        if event.key == "escape":
            event.stop()
            self.remove_class("-open")
            self.post_message(self.Left())
