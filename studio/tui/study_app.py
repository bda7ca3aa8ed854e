"""A study's screen on its own, as `studio review` and `studio compare` show it."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.events import Resize

from studio.tui.closing import lay_over
from studio.tui.help_dialog import HelpDialog
from studio.tui.study_screen import StudyScreen
from studio.tui.telling import TellingApp
from studio.tui.theme import THEME
from studio.tui.widgets.too_small import hint_if_small


class StudyApp(TellingApp):
    """One screen, the help, and the way out."""

    CSS_PATH = "studio.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,question_mark", "help", "Help", id="review-app.help", key_display="F1", tooltip="Explain the screen."),
        Binding("q", "quit", "Quit", id="review-app.quit", tooltip="Quit; everything is stored.", show=False),
    ]

    def __init__(self, screen: StudyScreen[Any, Any]) -> None:
        super().__init__()
        self._first = screen

    def on_mount(self) -> None:
        """The screen; when it is left, so is the app."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.push_screen(self._first, lambda _: self.exit())

    def on_resize(self, event: Resize) -> None:
        """Say so in a window that is too small."""
        hint_if_small(self.screen_stack, event.size)

    def action_help(self) -> None:
        """Explain the screen."""
        lay_over(self._first, HelpDialog(self.screen))
