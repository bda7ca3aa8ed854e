"""The keys that apply now, in the last line: the first ones, as many as fit, and always the way to help and the way out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

MOST = 8
"""Keys shown at once. The help names all of them."""
_AT_THE_END = frozenset({"f1", "q", "ctrl+q"})
ALWAYS = _AT_THE_END | {"escape"}
"""Keys that are never left out: help, and the ways back and out."""


class KeyBar(Footer):
    """A footer that is built anew only when its keys are others, and leaves out what does not fit.

    Textual's own makes all its widgets anew whenever the focus moves or a binding is looked at again, which takes longer than to draw
    what moved; and it lets a narrow window cut off its end, where help and quit stand.
    """

    def __init__(self, later: Collection[str] = ("tab",)) -> None:
        """Show the keys of `later` behind all others but the way out, so that they are the first to be left out."""
        super().__init__(show_command_palette=False)
        self._later = later
        self._told: tuple[tuple[str, str, str, bool], ...] | None = None
        self._kept: list[int] = []

    def compose(self) -> ComposeResult:
        """Textual's own widgets, of the keys that fit."""
        keys = self._keys()
        self._kept = self._fitting(keys)
        yield from (keys[place] for place in self._kept)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Look whether the keys are still those that are shown."""
        active = screen.active_bindings.values()
        told = tuple(
            (each.binding.key, each.binding.description, each.binding.action, each.enabled) for each in active if each.binding.show
        )
        if told != self._told and screen.app.app_focus:
            self._told = told
            super().bindings_changed(screen)

    def on_resize(self) -> None:
        """More keys fit, or fewer."""
        if self._bindings_ready and self._fitting(self._keys()) != self._kept:
            self.call_after_refresh(self.recompose)

    def _keys(self) -> list[FooterKey]:
        """All of them, what can be done before where one can go."""
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        return sorted(keys, key=lambda key: 2 if key.key in _AT_THE_END else key.key in self._later)

    def _fitting(self, keys: Sequence[FooterKey]) -> list[int]:
        # A key and its words, each between blanks.
        widths = [cell_len(key.key_display) + cell_len(key.description) + 3 for key in keys]
        return fitting(widths, [key.key in ALWAYS for key in keys], self.app.size.width)


def fitting(widths: Sequence[int], always: Sequence[bool], room: int) -> list[int]:
    """Return the places of the keys that fit `room` cells, `MOST` at most; the last ones go first, those of `always` stay."""
    kept = list(range(len(widths)))
    for place in reversed(range(len(widths))):
        if len(kept) <= MOST and sum(widths[each] for each in kept) <= room:
            break
        if not always[place]:
            kept.remove(place)
    return kept
