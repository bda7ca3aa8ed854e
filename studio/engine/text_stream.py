"""From token bytes to text: stop strings matched across token borders, UTF-8 put together across token borders."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Turns the bytes of one completion into text, piece by piece, and watches for stop strings.

    A stop string is matched on bytes. The one whose occurrence ends first fires; of several that end at the same byte the longest.
    The text excludes it, and no piece ever shows bytes that might still turn out to belong to one. Invalid bytes become U+FFFD.
    However the bytes are split into pieces, the joined text is the same. Empty stop strings are ignored.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stops = {text.encode("utf-8", "surrogatepass"): text for text in stop if text}
        self._by_length = sorted(self._stops, key=len, reverse=True)
        self._held = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stopped: str | None = None

    @property
    def stopped(self) -> str | None:
        """The stop string that fired, or None while none has."""
        return self._stopped

    def feed(self, piece: bytes) -> str:
        """Take more bytes and return the text that is now certain; after a stop has fired, bytes are ignored and nothing is returned."""
        if self._stopped is not None:
            return ""
        buffer = self._held + piece
        found = self._first_stop(buffer)
        if found is not None:
            start, stop = found
            self._stopped = self._stops[stop]
            self._held = b""
            return self._decoder.decode(buffer[:start], final=True)
        keep = self._possible_stop(buffer)
        self._held = buffer[len(buffer) - keep :]
        return self._decoder.decode(buffer[: len(buffer) - keep])

    def finish(self) -> str:
        """Return what was held back; the completion has ended without a stop string, or one has fired and nothing is left."""
        if self._stopped is not None:
            return ""
        held, self._held = self._held, b""
        return self._decoder.decode(held, final=True)

    def _first_stop(self, buffer: bytes) -> tuple[int, bytes] | None:
        best: tuple[int, int, bytes] | None = None
        for stop in self._by_length:
            start = buffer.find(stop)
            if start >= 0 and (best is None or (start + len(stop), start) < best[:2]):
                best = (start + len(stop), start, stop)
        return None if best is None else (best[1], best[2])

    def _possible_stop(self, buffer: bytes) -> int:
        """Return the length of the longest end of `buffer` that is a proper beginning of a stop string."""
        longest = len(self._by_length[0]) - 1 if self._by_length else 0
        for length in range(min(longest, len(buffer)), 0, -1):
            tail = buffer[-length:]
            if any(len(stop) > length and stop.startswith(tail) for stop in self._by_length):
                return length
        return 0
