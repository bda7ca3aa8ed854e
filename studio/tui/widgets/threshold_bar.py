"""A threshold between 0 and 1 to be moved by keys or mouse."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from studio.tui.cells import POINTER

_LEFT = len(" threshold  0.70  ")
_RIGHT = len("  the run's 0.70 ")


class ThresholdBar(Widget, can_focus=True):
    """A track from 0 to 1; `own` is where the run has it."""

    DEFAULT_CSS = """
    ThresholdBar { height: 1; padding: 0 1 0 0; }
    ThresholdBar:focus { background: $block-cursor-background; color: $block-cursor-foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-0.01)", "-0.01", id="threshold.less", tooltip="A little lower: fewer candidates are novel", show=False),
        Binding(
            "right,l", "move(0.01)", "Move", key_display="←→", id="threshold.more", tooltip="A little higher: more candidates are novel"
        ),
        Binding("shift+left,H", "move(-0.05)", "-0.05", id="threshold.much-less", tooltip="Lower by 0.05", show=False),
        Binding("shift+right,L", "move(0.05)", "+0.05", id="threshold.much-more", tooltip="Higher by 0.05", show=False),
        Binding("home", "reset", "Run's own", id="threshold.reset", tooltip="Back to where the run has it"),
    ]
    value: reactive[float] = reactive(0.7)
    own: reactive[float] = reactive(0.7)

    class Changed(Message):
        """The threshold was moved."""

        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def validate_value(self, value: float) -> float:
        return round(min(max(value, 0.0), 1.0), 2)

    def watch_value(self, before: float, after: float) -> None:
        if before != after:
            self.post_message(self.Changed(after))

    def action_move(self, by: float) -> None:
        self.value += by

    def action_reset(self) -> None:
        self.value = self.own

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None and 0 <= (at := offset.x - _LEFT) < self._track:
            self.value = at / max(self._track - 1, 1)

    @property
    def _track(self) -> int:
        return max(self.content_size.width - _LEFT - _RIGHT, 10)

    def render(self) -> Content:
        track = self._track
        at, own = (round(where * (track - 1)) for where in (self.value, self.own))
        cells = ["━" if place < at else "─" for place in range(track)]
        cells[own] = "┼"
        cells[at] = "●"
        return Content.assemble(
            POINTER if self.has_focus else " ",
            ("threshold  ", "$text-muted"),
            (f"{self.value:.2f}  ", "bold"),
            "".join(cells),
            (f"  the run's {self.own:.2f}", "$text-muted"),
        )
