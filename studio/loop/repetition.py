"""When a completion has stopped saying anything new."""

from __future__ import annotations

import re

_LINE_NUMBER = re.compile(r"\s*+(?:\d++\s?+[.)]|[-*•])?+\s*+")
_MIN_PERIODIC_CHARACTERS = 80
_WINDOW = 8192


def repeats(text: str, *, copies: int = 3, max_period: int = 200) -> bool:
    """Return whether the tail of `text` only repeats itself, so that waiting for more is of no use.

    True in two cases. The last completed lines, blank ones apart, are `copies` copies of the same one to eight lines; case, white space
    and the number or bullet in front do not count. Or the last characters are at least four copies of the same 1 to `max_period`
    characters, and at least 80 in all: an ellipsis, a rule of dashes or a large round number is no repetition. The last line counts
    for the first case only when a newline ends it: until then it may still become something else. Outputs of instances may repeat lines
    for good reason (a column of figures), so the early stop is meant for lists of instructions.
    """
    tail = text[-_WINDOW:]
    return _lines_repeat(tail, copies) or _characters_repeat(tail, max_period)


def _lines_repeat(text: str, copies: int, max_lines: int = 8) -> bool:
    completed = [line for line in text.split("\n")[:-1] if line.strip()][-copies * max_lines :]
    lines = [" ".join(_LINE_NUMBER.sub("", line, count=1).casefold().split()) for line in completed]
    return any(lines[-period * copies :] == lines[-period:] * copies for period in range(1, min(max_lines, len(lines) // copies) + 1))


def _characters_repeat(text: str, max_period: int) -> bool:
    for period in range(1, max_period + 1):
        length = max(4 * period, _MIN_PERIODIC_CHARACTERS)
        if length > len(text):
            return False
        tail = text[-length:]
        if tail[period:] == tail[:-period]:
            return True
    return False
