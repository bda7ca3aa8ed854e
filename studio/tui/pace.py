"""How often text that streams is drawn: as often as is pleasant, as long as the model hardly notices."""

from __future__ import annotations

import time
from collections.abc import Callable

from studio.engine.options import usable_cores

LEAST_S = 1 / 6
"""Between two frames. More of them are no easier to read."""
MOST_S = 1 / 3
SHARE = 0.005
"""Of the machine, for drawing; where the model computes on all cores, that is what it loses."""


class Pace:
    """Spaces frames by what they take of the calling thread's CPU time: a slow machine or a large window gets fewer.

    `clock` tells that time in seconds.
    """

    def __init__(self, cores: int | None = None, clock: Callable[[], float] = time.thread_time) -> None:
        self._allowed = SHARE * (cores or usable_cores())
        self._clock = clock
        self._spent = clock()

    def delay(self) -> float:
        """Return the seconds until the next frame, by what was spent since the last call."""
        before, self._spent = self._spent, self._clock()
        return min(max((self._spent - before) / self._allowed, LEAST_S), MOST_S)
