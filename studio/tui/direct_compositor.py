"""Paints what changed within one widget from that widget alone: Textual asks every widget of the screen for every change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.control import Control
from textual._compositor import Compositor, CompositorUpdate
from textual.geometry import Offset, Region
from textual.strip import Strip
from textual.widget import Widget


class LinesUpdate(CompositorUpdate):
    """Pieces of lines, each at its place on the screen."""

    def __init__(self, pieces: Sequence[tuple[Offset, Strip]]) -> None:
        self.pieces = pieces

    def render_segments(self, console: Console) -> str:
        """What a terminal is sent for them."""
        return "".join(f"{Control.move_to(x, y).segment.text}{strip.render(console)}" for (x, y), strip in self.pieces)


class DirectCompositor(Compositor):
    """A few of the widgets of the studio screen change with a token; the others would be asked for their lines as well, and these cut
    up and put together again for nothing: half of the time of a frame."""

    def render_partial_update(self) -> LinesUpdate | None:  # type: ignore[override]  # Textual asks for no more than a `CompositorUpdate`
        """What changed, drawn by the widgets that are seen there; what lies over others, like a scrollbar, is drawn after them."""
        screen = self.size.region
        dirty = [region for each in self._dirty_regions if (region := each.intersection(screen))]
        self._dirty_regions.clear()
        pieces = [piece for region in dirty for piece in self._pieces(region)]
        return LinesUpdate(pieces) if pieces else None

    def _pieces(self, region: Region) -> Iterator[tuple[Offset, Strip]]:
        seen: list[tuple[Widget, Region, Region]] = []
        for widget, (place, clip) in self.visible_widgets.items():
            part = place.intersection(clip).intersection(region)
            if part:
                seen.append((widget, place, part))
                if part == region:
                    break
        for widget, place, part in reversed(seen):
            strips = widget.render_lines(part.translate(-place.offset))
            yield from ((Offset(part.x, y), strip) for y, strip in zip(part.line_range, strips, strict=True))
