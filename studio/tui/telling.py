"""Notes that say in words how bad the news is: the colour of their edge must not be all that tells."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.notifications import SeverityLevel

from studio.errors import StudioError, unexpected
from studio.text import display_line

_LONGEST = 400
_TITLES: dict[SeverityLevel, str] = {"information": "", "warning": "Careful", "error": "Failed"}


def tell_fault(app: App[Any], error: Exception) -> None:
    """Tell of an error that nobody took, and where it comes from; in the log too, where the app keeps one."""
    if isinstance(app, TellingApp):
        app.fault(error)
    else:
        raise error


class TellingApp(App[None]):
    """What every app of the studio is."""

    def fault(self, error: Exception) -> None:
        """Tell of an error that nobody took."""
        told = error if isinstance(error, StudioError) else unexpected(error)
        self.notify(display_line(f"{told.message}; {told.hint}" if told.hint else told.message, _LONGEST), severity="error", markup=False)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,  # noqa: ARG002  (Textual's signature)
    ) -> None:
        """Show a note; one without a title of its own gets the word for its severity. It is never read as markup."""
        super().notify(message, title=title or _TITLES[severity], severity=severity, timeout=timeout, markup=False)
