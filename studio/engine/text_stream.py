"""From token bytes to a completion's text, and where it ends: at a stop string, or once it says nothing new.

Both are pure functions of the bytes, however they are split into pieces, so that every engine ends a completion at the same character.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from studio.engine.api import RepeatRule


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

    def give_back(self) -> bytes:
        """Return the bytes of which no text was returned yet; they are another stream's then."""
        pending, self._held = self._decoder.getstate()[0] + self._held, b""
        self._decoder.reset()
        return pending

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


_LINE_NUMBER = re.compile(r"\s*+(?:[*_#(\[（]{0,4}+\d++[*_]{0,3}+\s?+[.)\]、．）]{1,2}+[*_]{0,3}+|[-*•])?+\s*+")
_EXAMPLE = re.compile(r"example ?+\d*+[.:]?+")
_ITEMS_IN_A_ROW = 3
_LINES_IN_A_ROW = 5
_COPIES = 3
_MIN_CHARACTERS = 80
_MAX_PERIOD = 200
_PERIODS = 4
_STRIDE = 32


class RepeatWatch:
    """Watches one completion as it comes, in pieces of any size.

    Two rules, each looked at where a newline completes a line; blank lines never count, and a line's number or bullet, case and white
    space do not matter. `items`, for lists of instructions: the last three lines each repeat an earlier line of the completion or of the
    prompt's `suffix`, where the in-context tasks stand; or the last three are equal. `text`, for instances, whose outputs may repeat lines
    for good reason (a column of figures, rhymes): the last five lines or more each repeat an earlier line of the completion and have 80
    characters together; `Example 2` and its like neither count nor interrupt.

    Under both, the completion ends as well when its last characters are at least four copies of the same 1 to 200 characters and at least
    80 in all; an ellipsis, a rule of dashes or a large round number is none. That is looked at after every 32nd character.
    """

    def __init__(self, rule: RepeatRule, suffix: str = "") -> None:
        self._rule = rule
        self._seen = {_normal(line) for line in suffix.split("\n")[:-1]} if rule == "items" else set()
        self._seen.discard("")
        self._line = ""
        self._previous = ""
        self._copies = 0
        self._row = self._row_characters = 0
        self._tail = ""
        self._length = 0
        self.fired = False
        """Whether the completion is to end; its text then goes up to what `feed` has returned."""

    def feed(self, piece: str) -> str:
        """Take more text and return as much of it as belongs to the completion: all, or what comes up to the end."""
        if not self._rule:
            return piece
        for place, character in enumerate(piece):
            if self.fired:
                return piece[:place]
            self._take(character)
        return piece

    def _take(self, character: str) -> None:
        self._length += 1
        self._tail += character
        if character == "\n":
            self.fired = self._complete_line(_normal(self._line))
            self._line = ""
        else:
            self._line += character
        if self._length % _STRIDE == 0:
            self._tail = self._tail[-_MAX_PERIOD * _PERIODS :]
            self.fired = self.fired or is_periodic(self._tail)

    def _complete_line(self, line: str) -> bool:
        if not line or (self._rule == "text" and _EXAMPLE.fullmatch(line)):
            return False
        self._copies = self._copies + 1 if line == self._previous else 1
        self._previous = line
        if line in self._seen:
            self._row += 1
            self._row_characters += len(line)
        else:
            self._row = self._row_characters = 0
            self._seen.add(line)
        if self._rule == "items":
            return self._row >= _ITEMS_IN_A_ROW or self._copies >= _COPIES
        return self._row >= _LINES_IN_A_ROW and self._row_characters >= _MIN_CHARACTERS


def is_periodic(text: str) -> bool:
    """Return whether `text` ends in at least four copies of the same 1 to 200 characters, 80 characters in all or more.

    >>> is_periodic("It goes " + "on and on " * 8)
    True
    >>> is_periodic("And then" + "." * 20)
    False
    """
    # Whatever the period, these last characters stand once more one period further ahead: searching for them finds all periods.
    needle = text[-(_MIN_CHARACTERS * (_PERIODS - 1) // _PERIODS) :]
    end = len(text)
    while (found := text.rfind(needle, max(0, len(text) - len(needle) - _MAX_PERIOD), end - 1)) >= 0:
        end = found + len(needle)
        period = len(text) - end
        length = max(_PERIODS * period, _MIN_CHARACTERS)
        if length <= len(text) and text[-length + period :] == text[-length:-period]:
            return True
    return False


def _normal(line: str) -> str:
    return " ".join(_LINE_NUMBER.sub("", line, count=1).casefold().split())
