"""What has happened in this session of the studio, for the log screen: the last lines, whoever tells them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

_KEPT = 5_000


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `at` is local time; `text` may be anything, it is cleaned where it is shown."""

    at: datetime
    text: str
    error: bool


class ActivityLog:
    """The last lines, oldest first. `count` counts all there ever were; only the thread of the screens may use it."""

    def __init__(self, now: Callable[[], datetime] = datetime.now) -> None:
        self._now = now
        self._lines: deque[Line] = deque(maxlen=_KEPT)
        self.count = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(self._lines)

    def add(self, text: str, *, error: bool = False) -> None:
        """Note that something happened now."""
        self._lines.append(Line(self._now(), text, error))
        self.count += 1
