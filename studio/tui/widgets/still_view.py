"""A scroll view that leaves its scrollbar alone when others have the screen laid out."""

from __future__ import annotations

from textual.geometry import Size
from textual.scroll_view import ScrollView


class StillView(ScrollView):
    """Textual's draws its scrollbar anew with every layout of the screen, line by line: that took a third of the time of a key."""

    _laid_out: tuple[Size, Size] | None = None

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        sizes = (size, self.virtual_size)
        if sizes == self._laid_out:
            return False
        self._laid_out = sizes
        return super()._size_updated(size, virtual_size, container_size, layout)
