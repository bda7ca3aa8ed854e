"""A pane for a text that grows while it is looked at."""

from __future__ import annotations

from collections.abc import Callable

from textual.content import Content
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

from studio.tui.growing_lines import GrowingLines
from studio.tui.repaint import set_lines
from studio.tui.widgets.pane import Pane
from studio.tui.widgets.still_view import StillView

Look = Callable[[str, int], Content]
"""Cleans a paragraph, which is anyone's text, and colours it; the number is its place in the text, from 0 on. Equal ones do the same."""


class GrowingText(Pane, StillView):
    """Draws its lines itself: a token costs the line that it stands on, where a widget that grows has the screen laid out again.

    `follows`: whether the end is kept in sight as it grows.
    """

    def __init__(self, text: str, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.follows = False
        self._text = text
        self._look = look
        self._lines = GrowingLines(self._wrapped)

    def on_resize(self) -> None:
        """Another width has other lines."""
        self._draw_again()

    def notify_style_update(self) -> None:
        """Lines carry their colours, which another theme changes."""
        super().notify_style_update()
        if self.is_mounted:
            self._draw_again()

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002  (Textual's own signature)
        """Show what is selected."""
        self._draw_again()

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        """What is selected, as it is shown, and what parts it from other panes' texts."""
        shown = (self._look(paragraph, place).plain for place, paragraph in enumerate(self._text.split("\n")))
        return selection.extract("\n".join(shown)), "\n"

    def render_line(self, y: int) -> Strip:
        """A line in sight."""
        line = self.scroll_offset.y + y
        lines = self._lines.strips
        return lines[line] if line < len(lines) else Strip.blank(self.size.width, self.visual_style.rich_style)

    def draw(self, text: str, look: Look) -> None:
        """Show `text`, painted by `look`; a text that goes on where the one before ended costs only what is new of it."""
        if look != self._look:
            self._lines.clear()
        if self.text_selection is not None and not text.startswith(self._text):
            self.screen.clear_selection()
        self._text, self._look = text, look
        self._fill()

    def _draw_again(self) -> None:
        self._lines.clear()
        self._fill()
        self.refresh()

    def _fill(self) -> None:
        """Bring the lines up to date; those that are other than before are painted again, and no more."""
        if self.scrollable_content_region.width <= 0:
            return
        before = len(self._lines.strips)
        first = self._lines.show(self._text)
        count = len(self._lines.strips)
        set_lines(self, count)
        if self.follows:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        if first < max(before, count):
            self.refresh_lines(first, max(before, count) - first)

    def _wrapped(self, paragraph: str, place: int) -> list[Strip]:
        """The lines of a paragraph. They know where in the text they stand: what is copied with the mouse is found by that."""
        content = self._look(paragraph, place)
        selection = self.text_selection
        span = selection.get_span(place) if selection is not None else None
        if span is not None:
            style = Style.from_styles(self.screen.get_component_styles("screen--selection"))
            content = content.stylize(style, span[0], span[1] if span[1] >= 0 else None)
        width = self.scrollable_content_region.width
        strips = Visual.to_strips(self, content, width, None, self.visual_style, apply_selection=False)
        return [strip.apply_offsets(_first_character(strip), place) for strip in strips]


def _first_character(strip: Strip) -> int:
    """Where in its paragraph a line begins."""
    style = next((segment.style for segment in strip), None)
    return int(style.meta.get("offset", (0, 0))[0]) if style is not None else 0
