"""The review screen on its own, as `studio review` shows it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size

from studio.insight.reviewing import Reviewing
from studio.pool.review_records import ReviewRecord
from studio.pool.store import Pool
from studio.tui.help_dialog import HelpDialog
from studio.tui.review_desk import Desk, desk_of_pool, resume_reviewing
from studio.tui.review_screen import ReviewScreen
from studio.tui.theme import THEME
from studio.tui.widgets.too_small import too_small


def rate(pool: Pool, review: ReviewRecord, rater: str) -> None:
    """Show the review to `rater` until he leaves it; `pool` is open for writing and stays so. Raises PoolError."""
    ReviewApp(resume_reviewing(pool.reader, review, rater), desk_of_pool(pool)).run()


class ReviewApp(App[None]):
    """One screen, the help, and the way out."""

    TITLE = "Self-Instruct Studio: review"
    CSS_PATH = "studio.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,question_mark", "help", "Help", id="review-app.help", key_display="F1", tooltip="Explain the screen."),
        Binding("q", "quit", "Quit", id="review-app.quit", tooltip="Quit; everything is stored.", show=False),
    ]

    def __init__(self, reviewing: Reviewing, desk: Desk) -> None:
        super().__init__()
        self._first = ReviewScreen(reviewing, desk)

    def on_mount(self) -> None:
        """The screen; when it is left, so is the app."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.push_screen(self._first, lambda _: self.exit())

    def on_resize(self, event: Resize) -> None:
        """Say so in a window that is too small."""
        self._hint_if_small(event.size)

    def _hint_if_small(self, size: Size) -> None:
        for screen in self.screen_stack:
            screen.set_class(too_small(size), "-too-small")

    def action_help(self) -> None:
        """Explain the screen."""
        if not isinstance(self.screen, HelpDialog):
            self.push_screen(HelpDialog(self.screen))
