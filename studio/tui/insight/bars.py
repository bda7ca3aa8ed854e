"""Tracks on which a limit of the rule is moved: the threshold of ROUGE-L, the nats a token, the agreement of answers."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from studio.tui.cells import POINTER
from studio.tui.keys import bind


class LimitBar(Widget, can_focus=True):
    """A track from 0 to `top`; `own` is where the run has it, and there the bar changes nothing."""

    DEFAULT_CSS = """
    LimitBar { height: 1; padding: 0 1 0 0; }
    LimitBar:focus { background: $block-cursor-background; color: $block-cursor-foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left", "move(-0.01)", "-0.01", "A little lower", show=False),
        bind("right", "move(0.01)", "Move", "A little higher"),
        bind("far-left", "move(-0.05)", "-0.05", "Lower by 0.05", show=False),
        bind("far-right", "move(0.05)", "+0.05", "Higher by 0.05", show=False),
        bind("drop", "reset", "Run's own", "Back to where the run has it"),
    ]
    TITLE: ClassVar[str] = ""
    OWNER: ClassVar[str] = "the run's"
    """Whose `own` is."""
    value: reactive[float] = reactive(0.0)
    own: reactive[float] = reactive(0.0)
    top: reactive[float] = reactive(1.0)

    class Changed(Message):
        """The limit was moved."""

        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

    @property
    def changed(self) -> float | None:
        """Where the limit is; None where the run has it."""
        return None if self.value == round(self.own, 2) else self.value

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def validate_value(self, value: float) -> float:
        return round(min(max(value, 0.0), self.top), 2)

    def watch_value(self, before: float, after: float) -> None:
        if before != after:
            self.post_message(self.Changed(after))

    def action_move(self, by: float) -> None:
        self.value += by

    def action_reset(self) -> None:
        self.value = self.own

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None and 0 <= (at := offset.x - self._left) < self._track:
            self.value = at / max(self._track - 1, 1) * self.top

    @property
    def _left(self) -> int:
        return len(f" {self.TITLE}  0.70  ")

    @property
    def _right(self) -> str:
        return f"  {self.OWNER} {self.own:.2f}"

    @property
    def _track(self) -> int:
        return max(self.content_size.width - self._left - len(self._right) - 1, 10)

    def render(self) -> Content:
        track, top = self._track, self.top or 1.0
        value = self.own if self.changed is None else self.value
        at, own = (round(min(where / top, 1.0) * (track - 1)) for where in (value, self.own))
        cells = ["━" if place < at else "─" for place in range(track)]
        cells[own] = "┼"
        cells[at] = "●"
        return Content.assemble(
            POINTER if self.has_focus else " ",
            (f"{self.TITLE}  ", "$text-muted"),
            (f"{self.value:.2f}  ", "bold"),
            "".join(cells),
            (self._right, "$text-muted"),
        )


class ThresholdBar(LimitBar):
    """The highest ROUGE-L that is novel: higher, and more candidates are."""

    TITLE = "threshold"
    value: reactive[float] = reactive(0.7)
    own: reactive[float] = reactive(0.7)


class NatsBar(LimitBar):
    """The nats a token that an instruction may have as a user's turn: higher, and fewer candidates are unlikely.

    `own` is the limit of the newest round; as long as the bar stands there, each round has its own.
    """

    TITLE = "requests "
    OWNER = "nats, newest"


class AgreementBar(LimitBar):
    """The agreement that an answer must have with the others drawn: higher, and fewer instances are kept."""

    TITLE = "agreement"


class AnswerNatsBar(LimitBar):
    """The nats a token that the first answer drawn may have: higher, and fewer answers are unlikely. `own` is as of `NatsBar`."""

    TITLE = "answers  "
    OWNER = "nats, newest"
