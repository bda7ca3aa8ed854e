"""Steering lent to a screen that has no runner of its own."""

from __future__ import annotations

from collections.abc import Callable

from studio.loop.steering import Steering
from studio.tui.busy import say_busy
from studio.tui.undoing import UndoingScreen

Steer = Callable[[Callable[[Steering], str | None], Callable[[str | None], None]], bool]
"""Runs the first function between stages, on the thread that owns the pool, then tells the second what it did; False while a stage plays.

`Runner.steer` is one.
"""


class LentSteering(UndoingScreen):
    """Decides through `steer` and reads again what is shown; without it no key that decides is there."""

    steer: Steer | None = None

    def changed(self) -> None:
        """Something was decided: read again what is shown."""

    def _steer(self, act: Callable[[Steering], str | None]) -> None:
        def then(words: str | None) -> None:
            self._tell_done(words)
            if self.is_mounted:
                self.changed()

        if self.steer is not None and not self.steer(act, then):
            say_busy(self.app)
