"""A screen that one goes away from and comes back to."""

from __future__ import annotations

from textual.events import ScreenResume
from textual.screen import Screen


class KeptScreen(Screen[None]):
    """Is painted as it was left when one comes back to it. It may be put together before it is shown."""

    _shown = False

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Do not work out all styles once more, which takes longer than the painting; a new theme or another size sees to its own."""
        event.refresh_styles = False
        if self.is_current:
            first, self._shown = not self._shown, True
            self.came(first=first)

    def came(self, *, first: bool) -> None:
        """It is on the screen, for the first time or again: the time to read what it shows."""
