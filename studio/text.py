"""The one boundary between text that someone else wrote and a terminal.

Model output and imported data are stored and exported as they are; whatever is shown passes through `display` first, so that
no escape sequence, invisible or direction-changing character takes effect and the reader sees that it was there.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_SURROGATES = re.compile("[\ud800-\udfff]")

# Bidirectional controls, zero-width and other invisible characters. ZWJ and ZWNJ (U+200D, U+200C) are left alone: scripts need them.
_INVISIBLE = (
    0x00AD,
    0x061C,
    0x115F,
    0x1160,
    0x180E,
    0x200B,
    *range(0x200E, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0x3164,
    0xFEFF,
    0xFFA0,
    *range(0xFFF9, 0xFFFC),
    *range(0xE0000, 0xE0080),
)


def _display_table() -> dict[int, str]:
    table = {code: chr(0x2400 + code) for code in range(0x20) if code != 0x0A}
    table[0x7F] = "\u2421"
    table.update({code: f"<{code:02X}>" for code in range(0x80, 0xA0)})
    table.update({code: f"<U+{code:04X}>" for code in _INVISIBLE})
    table.update(dict.fromkeys(range(0xD800, 0xE000), "\ufffd"))
    return table


_TABLE = _display_table()
# JSON escapes the other control characters itself.
_JSON_TABLE = {code: json.dumps(chr(code))[1:-1] if code > 0x7F else "\\u007f" for code in _TABLE if code > 0x1F}


def display(text: str) -> str:
    """Return `text` with every character that could act on a terminal replaced by a visible one; newlines stay.

    Works character by character, so a sequence split over two calls is as harmless as one in a single call.
    """
    return text.translate(_TABLE)


def display_line(text: str, width: int = sys.maxsize) -> str:
    """Return `text` as one harmless line of at most `width` characters, white space collapsed and the cut marked with `…`."""
    line = display(" ".join(text.split()))
    return line if len(line) <= width else line[: max(width - 1, 0)] + "…"


def display_json(document: str) -> str:
    """Return a JSON document that means the same, every character that could act on a terminal escaped."""
    return document.translate(_JSON_TABLE)


def say(console: Console, line: str) -> None:
    """Print a line as it is: nothing of it is markup, and a terminal wraps it."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def storable(text: str) -> str:
    """Return `text` with lone surrogates replaced by U+FFFD: SQLite and UTF-8 files refuse them."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def spoken(code: str) -> str:
    """Return the code of a reason or a question as people write it."""
    return code.replace("_", " ")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def utf16_of(head: bytes) -> str | None:
    """Return which UTF-16 (or UTF-32) the beginning of a text file is in, as Python and iconv name it, or None.

    By its byte order mark, or by its zero bytes: markup, JSON and headers begin with ASCII, every second byte of which is zero there.
    """
    for mark, name in ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if head.startswith(mark):
            return name
    start = head[: min(len(head), 64) & ~1]
    if len(start) >= 4 and start[1::2].count(0) * 2 > len(start) // 2 and 0 not in start[::2]:
        return "UTF-16LE"
    if len(start) >= 4 and start[::2].count(0) * 2 > len(start) // 2 and 0 not in start[1::2]:
        return "UTF-16BE"
    return None


def bar(share: float, width: int, mark: float) -> str:
    """Return a bar of `width` cells for `share` (0 to 1), with a cross where `mark` is.

    Heavy is the share and light the rest, so that it reads without colour: `━━━━┿━──` lies above its mark, `━━──┼───` below.
    """
    filled = min(max(round(share * width), 0), width)
    if share > 0:
        filled = max(filled, 1)
    at = min(int(mark * width), width - 1)
    # Rounding must not move a score to the other side of its mark.
    filled = min(filled, at) if share < mark else max(filled, at + 1)
    cells = ["━" if place < filled else "─" for place in range(width)]
    cells[at] = "┿" if at < filled else "┼"
    return "".join(cells)
