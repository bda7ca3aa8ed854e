"""The field of the picker that says how many seeds are kept apart."""

from __future__ import annotations

import math

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Label, Static

from studio.tui.widgets.fields import SafeInput

EXPLAINED = "seeds to evaluate on: 20, or 0.2 of all"
REFUSED = "neither a number of seeds nor a share"


class HoldOutField(Vertical):
    """One line to write in, and under it what belongs there, or what is wrong with what stands there."""

    DEFAULT_CSS = """
    HoldOutField { height: 2; }
    HoldOutField Horizontal { height: 1; }
    HoldOutField Label { width: 10; color: $foreground-muted; }
    HoldOutField #hold-out-note {
        margin-left: 10; padding: 0 1; height: 1; color: $foreground-muted; text-wrap: nowrap; text-overflow: ellipsis;
    }
    HoldOutField #hold-out-note.-refused { color: $text-error; text-style: bold; }
    """

    def __init__(self, asked: float) -> None:
        super().__init__()
        self._asked = asked

    def compose(self) -> ComposeResult:
        """The line and its explanation."""
        with Horizontal():
            yield Label("hold out", markup=False)
            yield SafeInput(f"{self._asked:g}" if self._asked else "", id="hold-out", placeholder="none", compact=True)
        yield Static(EXPLAINED, markup=False, id="hold-out-note")

    @property
    def asked(self) -> float | None:
        """What was written: a number, a share below 1, or 0 for none; None when it is neither."""
        return parse_hold_out(self.query_one(SafeInput).text)

    def on_descendant_focus(self) -> None:
        """Its second line belongs to it."""
        self.call_after_refresh(self.scroll_visible, animate=False)

    def on_input_changed(self) -> None:
        """Say at once when something else stands there."""
        refused = self.asked is None
        note = self.query_one("#hold-out-note", Static)
        note.set_class(refused, "-refused")
        note.update(Content(REFUSED if refused else EXPLAINED))


def parse_hold_out(text: str) -> float | None:
    """Return the number of seeds or the share of them that `text` names, 0 for an empty one or `none`; None when it is neither."""
    if text.strip() in ("", "none"):
        return 0.0
    try:
        asked = float(text)
    except ValueError:
        return None
    whole = asked < 1 or asked.is_integer()
    return asked if math.isfinite(asked) and asked >= 0 and whole else None
