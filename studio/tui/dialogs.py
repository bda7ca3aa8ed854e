"""Small windows over a screen: an error that stays until it is read."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from studio.errors import StudioError
from studio.text import display
from studio.tui.closing import Dialog
from studio.tui.copying import send_to_clipboard
from studio.tui.widgets.key_bar import KeyBar

HELP_KEY = Binding("f1", "app.help", "Help", id="dialog.help", key_display="F1", tooltip="Explain this window.")
"""For every dialog: a modal screen hides the app's own keys."""


class ErrorDialog(Dialog[None]):
    """What went wrong, where, and what to do: it lasts, and can be copied."""

    HELP = "An error, and the next step. `c` sends the text to the terminal's clipboard, `escape` closes the window."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close", id="error.close", key_display="esc", tooltip="Close this window."),
        Binding("c", "copy", "Copy", id="error.copy", tooltip="Send the text to the clipboard."),
        HELP_KEY,
    ]

    DEFAULT_CSS = """
    ErrorDialog > Vertical {
        width: 80%; max-width: 90; min-width: 50; height: auto; max-height: 80%;
        border: round $error; padding: 1 2; border-title-color: $error;
    }
    ErrorDialog VerticalScroll { height: auto; max-height: 12; }
    ErrorDialog #hint { margin-top: 1; color: $foreground-muted; }
    """

    def __init__(self, error: StudioError) -> None:
        super().__init__()
        self._error = error

    def compose(self) -> ComposeResult:
        """Message, hint, and the keys."""
        with Vertical() as window:
            window.border_title = Content("Something went wrong")
            with VerticalScroll():
                yield Static(Content(display(self._error.message)), markup=False, id="message")
                if self._error.hint:
                    yield Static(Content(display(self._error.hint)), markup=False, id="hint")
        yield KeyBar()

    def action_copy(self) -> None:
        """Copy message and hint."""
        send_to_clipboard(self.app, f"{self._error.message}\n{self._error.hint}".strip())
