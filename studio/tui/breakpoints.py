"""The classes that say how wide and high the window is."""

from __future__ import annotations

from typing import Any

from textual.geometry import Size
from textual.screen import Screen


def fit_classes(screen: Screen[Any], size: Size) -> None:
    """Give `screen` the classes of a window of `size` cells, as a `Resize` does."""
    widths = screen.HORIZONTAL_BREAKPOINTS
    heights = screen.VERTICAL_BREAKPOINTS
    for length, breakpoints in (
        (size.width, screen.app.HORIZONTAL_BREAKPOINTS if widths is None else widths),
        (size.height, screen.app.VERTICAL_BREAKPOINTS if heights is None else heights),
    ):
        reached = [name for least, name in sorted(breakpoints or ()) if length >= least][-1:]
        for _, name in breakpoints or ():
            screen.set_class(name in reached, name)
