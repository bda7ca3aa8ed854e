"""What a window shows that is too small to work in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual.content import Content
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

COLUMNS, LINES = 60, 20


def too_small(size: Size) -> bool:
    """Whether a window is too small to work in."""
    return size.width < COLUMNS or size.height < LINES


def hint_if_small(screens: Iterable[Screen[Any]], size: Size) -> None:
    """Let each screen say so while the window is too small to work in."""
    for screen in screens:
        screen.set_class(too_small(size), "-too-small")


class TooSmall(Widget):
    """Covers the screen below 60 columns or 20 lines; nothing is lost, and nothing runs differently."""

    DEFAULT_CSS = """
    TooSmall { display: none; layer: cover; width: 100%; height: 100%; background: $background; color: $foreground-muted;
        content-align: center middle; text-align: center; }
    """

    def render(self) -> Content:
        """How large the window is and how large it should be."""
        size = self.app.size
        return Content(f"This window has {size.width}x{size.height}.\nThe studio needs {COLUMNS}x{LINES}.\nThe session goes on as it was.")
