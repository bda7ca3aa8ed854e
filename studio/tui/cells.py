"""Foreign text brought to an exact width in terminal cells, and the bars beside it."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from studio.text import display_line

POINTER = "▸"
"""Stands before the line under a cursor, so that its background is not all that tells."""
_LONGEST = 4000
"""Characters of a text that a single line looks at: a line of 100 KB must not cost anything."""


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
