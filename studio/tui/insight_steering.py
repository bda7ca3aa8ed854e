"""What a person may do on the insight screen: let hold what another rule would have decided, and take it back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.widgets import TabbedContent

from studio.tui.steering import SteeredScreen
from studio.tui.widgets.what_if import WhatIfPane


class InsightSteering(SteeredScreen):
    """The steering half of the insight screen; without a `steerer` no key of it is there."""

    STEERING: ClassVar[list[BindingType]] = [
        Binding("a", "apply", "Apply", id="insight.apply", tooltip="Decide these candidates so: one action, which u takes back"),
        Binding("u", "undo", "Undo", id="insight.undo", tooltip="Take back the newest of your actions"),
        Binding("U,ctrl+y", "redo", "Redo", id="insight.redo", tooltip="Do again what was taken back last", show=False),
    ]

    def steers(self, action: str) -> bool | None:
        """Whether a steering action applies now; None when `action` is none."""
        if action not in ("apply", "undo", "redo"):
            return None
        if self.steerer is None or not self.is_mounted or self.query_one(TabbedContent).active != "what-if":
            return False
        preview = self.query_one(WhatIfPane).preview
        return action != "apply" or (preview is not None and bool(preview.flips))

    def action_apply(self) -> None:
        """Let hold what is previewed."""
        preview = self.query_one(WhatIfPane).preview
        if preview is not None:
            self._steer(lambda steering: f"{steering.apply_what_if(preview.change, preview.flips)} · u takes it back")

    def steering_commands(self) -> Iterator[SystemCommand]:
        """The palette's entries for what applies now."""
        offers = (
            ("apply", "What if: apply", "Decide the candidates that would flip so, as one action", self.action_apply),
            ("undo", "Pool: undo", "Take back the newest of your actions", self.action_undo),
            ("redo", "Pool: redo", "Do again what was taken back last", self.action_redo),
        )
        return self._offered(offers)
