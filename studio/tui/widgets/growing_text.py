"""A pane for a text that grows while it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from textual.content import Content
from textual.strip import Strip

from studio.tui.growing_lines import GrowingLines
from studio.tui.widgets.drawn_text import DrawnText

Look = Callable[[str, int], Content]
"""Cleans a paragraph, which is anyone's text, and colours it; the number is its place in the text, from 0 on. Equal ones do the same."""


class GrowingText(DrawnText):
    """A token costs the line that it stands on.

    `follows`: whether the end is kept in sight as it grows.
    """

    def __init__(self, text: str, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.follows = False
        self._text = text
        self._look = look
        self._lines = GrowingLines(lambda paragraph, place: self.wrapped(self._look(paragraph, place), place, self.line_width))

    @property
    def strips(self) -> Sequence[Strip]:
        """Its lines."""
        return self._lines.strips

    def paragraphs(self) -> Iterator[Content]:
        """The text as it looks."""
        return (self._look(paragraph, place) for place, paragraph in enumerate(self._text.split("\n")))

    def draw(self, text: str, look: Look) -> None:
        """Show `text`, painted by `look`; a text that goes on where the one before ended costs only what is new of it."""
        if look != self._look:
            self._lines.clear()
        if self.text_selection is not None and not text.startswith(self._text):
            self.screen.clear_selection()
        self._text, self._look = text, look
        self._fill()

    def make_strips(self) -> None:
        """Wrap everything anew."""
        self._lines.clear()
        self._fill()

    def on_resize(self) -> None:
        """In a lower pane the end is elsewhere."""
        self._fill()

    def _fill(self) -> None:
        """Bring the lines up to date; those that are other than before are painted again, and no more."""
        if not self.line_width:
            return
        before = len(self.strips)
        first = self._lines.show(self._text)
        count = len(self.strips)
        self.set_lines(count)
        if self.follows:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        if first < max(before, count):
            self.refresh_lines(first, max(before, count) - first)
