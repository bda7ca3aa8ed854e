"""A scroll view that never has the screen laid out."""

from __future__ import annotations

from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.widget import Widget


class StillView(ScrollView):
    """Its lines come and go, and its scrollbar stays where it is: unseen where everything fits.

    Textual's has the screen laid out when a scrollbar comes or goes, and draws the scrollbar anew, line by line, with every layout of the
    screen: that took a third of the time of a key.
    """

    DEFAULT_CSS = """
    StillView {
        overflow-y: scroll;
        scrollbar-background: transparent;
        scrollbar-background-hover: transparent;
        scrollbar-background-active: transparent;
    }
    """

    _laid_out: Size | None = None

    def set_lines(self, lines: int) -> None:
        """Let so many lines be scrolled over."""
        self.set_reactive(Widget.virtual_size, Size(self.virtual_size.width, lines))
        if self.is_mounted:
            self.vertical_scrollbar.window_virtual_size = lines
            self.scroll_y = min(self.scroll_y, self.max_scroll_y)

    def refresh_line(self, y: int) -> None:
        """Draw line `y` again, wherever it is scrolled to."""
        self.refresh_lines(y)

    def refresh_lines(self, y_start: int, line_count: int = 1) -> None:
        """Draw those of the lines again that are in sight, and not the scrollbar beside them."""
        area = self.scrollable_content_region
        top = max(y_start - self.scroll_offset.y, 0)
        bottom = min(y_start + line_count - self.scroll_offset.y, area.height)
        if bottom > top:
            self.refresh(Region(0, top, area.width, bottom - top))

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        if size == self._laid_out:
            return False
        self._laid_out = size
        return super()._size_updated(size, virtual_size, container_size, layout)
