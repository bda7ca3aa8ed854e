"""How long to wait before a request is sent again."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

ATTEMPTS = 6
"""Times a request is sent before the server is given up: with the waits below, about a quarter of a minute."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from `first` up to `longest` seconds, each shortened by up to `jitter` of itself.

    The jitter keeps requests that failed together from coming back together.
    """

    first: float = 0.5
    longest: float = 30.0
    jitter: float = 0.25
    longest_asked: float = 300.0
    """The longest wait that a server may ask for."""

    def wait(self, failures: int, asked: float | None, draw: float) -> float:
        """Return the seconds to wait after `failures` failures (at least 1); `draw` lies in [0, 1).

        What the server `asked` for is honoured, and never undercut.
        """
        if asked is not None:
            return min(asked, self.longest_asked) * (1 + self.jitter * draw)
        # The exponent is bounded so that no count of failures overflows a float.
        return min(self.first * 2.0 ** min(failures - 1, 32), self.longest) * (1 - self.jitter * draw)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or as a date (RFC 9110, 10.2.3); None where it does not say."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds()
    # A number that is not finite compares as false and counts as silence.
    return max(seconds, 0.0) if seconds < float("inf") else None
