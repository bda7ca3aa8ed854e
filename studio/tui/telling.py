"""What every app of the studio is: it says in words how bad the news is, bears with its terminal, and ends with an exit code."""

from __future__ import annotations

import select
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable
from functools import partial
from typing import Any

from textual.app import App
from textual.notifications import SeverityLevel

from studio.errors import ExitCode, StudioError, unexpected
from studio.text import display_line

if sys.platform != "win32":
    from textual.drivers import linux_driver

    def _bearing(encoding: str) -> Callable[[], Any]:
        return partial(getincrementaldecoder(encoding), "replace")

    # A paste from a Latin-1 file, or a terminal set to it, sends bytes that are no UTF-8. Textual reads strictly and ends at the first of
    # them, and has no public place to say otherwise; reading anew after the error would lose the rest, or take it for keys.
    linux_driver.getincrementaldecoder = _bearing  # type: ignore[attr-defined, assignment]

_LONGEST = 400
_LOOK_S = 2.0
_TITLES: dict[SeverityLevel, str] = {"information": "", "warning": "Careful", "error": "Failed"}


def tell_fault(app: App[Any], error: Exception) -> None:
    """Tell of an error that nobody took, and where it comes from; in the log too, where the app keeps one."""
    if isinstance(app, TellingApp):
        app.fault(error)
    else:
        raise error


class TellingApp(App[None]):
    """What every app of the studio is."""

    quitting = False
    """Whether it is being left: nothing is opened any more, it would not be put together."""

    def show(self) -> None:
        """Run in the terminal until the user leaves.

        Raises SystemExit after an error of the app itself, which Textual has printed, and KeyboardInterrupt when SIGINT ended it.
        """
        self.run()
        if self.return_code is None:
            raise KeyboardInterrupt
        if self.return_code:
            raise SystemExit(ExitCode.UNEXPECTED)

    def on_ready(self) -> None:
        """Begin to look whether the terminal is still there."""
        if not self.is_headless and hasattr(select, "poll"):
            self.set_interval(_LOOK_S, self._leave_without_terminal)

    async def _leave_without_terminal(self) -> None:
        # One that vanishes sends no signal to a program that it does not control, as in a container: Textual would then read from it
        # for ever, with a core of its own, and the pool would stay locked.
        terminal = select.poll()
        terminal.register(0, 0)
        if any(said & (select.POLLHUP | select.POLLERR) for _, said in terminal.poll(0)):
            await self.action_quit()

    def fault(self, error: Exception) -> None:
        """Tell of an error that nobody took."""
        told = error if isinstance(error, StudioError) else unexpected(error)
        self.notify(display_line(f"{told.message}; {told.hint}" if told.hint else told.message, _LONGEST), severity="error", markup=False)

    def action_help_quit(self) -> None:
        """Ctrl-C copies; whoever meant to leave by it is told the way. Textual's own words hold markup."""
        self.notify("Press ctrl+q", title="Do you want to quit?", markup=False)

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
