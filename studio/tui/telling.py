"""Notes that say in words how bad the news is: the colour of their edge must not be all that tells."""

from __future__ import annotations

from textual.app import App
from textual.notifications import SeverityLevel

_TITLES: dict[SeverityLevel, str] = {"information": "", "warning": "Careful", "error": "Failed"}


class TellingApp(App[None]):
    """What every app of the studio is."""

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
