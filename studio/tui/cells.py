"""Foreign text brought to an exact width in terminal cells."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from studio.records import Source
from studio.text import display, display_line

POINTER = "▸"
"""Stands before the line under a cursor, so that its background is not all that tells."""
_LONGEST = 4_000
"""Characters of a text that a single line looks at: a line of 100 KB must not cost anything."""

SOURCES = {
    Source.IN_CONTEXT: ("context", "ctx"),
    Source.TEMPLATE: ("template", "tmpl"),
    Source.BACKTRANSLATION: ("request", "reqs"),
    Source.QUESTION: ("question", "ques"),
}
"""A source of instructions in eight cells, and in four."""

LONG = 20_000
"""Characters that are drawn of a text that somebody has to judge, and SHOWN of all others: wrapping 100 KB takes a second."""
SHOWN = 4_000


def cut(text: str, most: int = SHOWN) -> str:
    """Return the first `most` characters of `text` made harmless, newlines kept, and how many more there are."""
    if len(text) <= most:
        return display(text)
    return f"{display(text[:most])} … and {len(text) - most:,} characters more, which `studio show` and the editor have"


def fit(text: str, width: int) -> str:
    """Return `text` as one harmless line of exactly `width` cells, padded or cut with `…`."""
    if width <= 0:
        return ""
    line = display_line(text[:_LONGEST])
    if cell_len(line) <= width and len(text) <= _LONGEST:
        return set_cell_size(line, width)
    return set_cell_size(line, width - 1) + "…"


def pad(text: str, width: int) -> str:
    """Return words of the studio's own in exactly `width` cells, their spaces kept."""
    return set_cell_size(text, max(width, 0))


def clip(text: str, width: int) -> str:
    """Return `text` as one harmless line of at most `width` cells, cut with `…`."""
    return fit(text, width).rstrip(" ") if width > 0 else ""
