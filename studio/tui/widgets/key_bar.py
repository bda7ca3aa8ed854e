"""The keys that apply now, in the last line."""

from __future__ import annotations

from textual.screen import Screen
from textual.widgets import Footer


class KeyBar(Footer):
    """A footer that is built anew only when its keys are others.

    Textual's own makes all its widgets anew whenever the focus moves or a binding is looked at again, which takes longer than to draw
    what moved.
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._told: tuple[tuple[str, str, str, bool], ...] | None = None

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Look whether the keys are still those that are shown."""
        active = screen.active_bindings.values()
        told = tuple(
            (each.binding.key, each.binding.description, each.binding.action, each.enabled) for each in active if each.binding.show
        )
        if told != self._told and screen.app.app_focus:
            self._told = told
            super().bindings_changed(screen)
