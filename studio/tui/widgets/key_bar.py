"""The keys that apply now, in the last line: the first ones, as many as fit, and always the way to help and the way out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from textual.content import Content
from textual.events import MouseDown, MouseMove
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget

MOST = 8
"""Keys shown at once. The help names all of them."""
_AT_THE_END = {"back": 2, "help": 3, "quit": 3, "quit-now": 3}
"""Verbs that stand behind all others."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, its verb, how it is written, what it does in a word and in a sentence, and whether it does it now."""

    key: str
    verb: str
    display: str
    word: str
    sentence: str
    enabled: bool

    @property
    def stays(self) -> bool:
        """Whether it is never left out: help, and the ways back and out."""
        return self.verb in _AT_THE_END

    @property
    def width(self) -> int:
        """Cells that it takes: key and word, each between blanks."""
        return cell_len(self.display) + cell_len(self.word) + 3


class KeyBar(Widget):
    """One line that draws its keys itself; a click on one presses it.

    Textual's footer makes a widget for each key, and all of them anew whenever the focus moves: that takes longer than to draw what
    moved. And it lets a narrow window cut off its end, where help and quit stand.
    """

    DEFAULT_CSS = """
    KeyBar {
        dock: bottom; height: 1; text-wrap: nowrap;
        color: $footer-foreground; background: $footer-background;
        &:hover { pointer: pointer; }
    }
    """

    keys: reactive[tuple[Key, ...]] = reactive(())
    """All that apply, in the order in which they are shown."""
    hovered: reactive[Key | None] = reactive(None)

    def __init__(self, later: Collection[str] = ("next-part",)) -> None:
        """Show the verbs of `later` behind all others but the way out, so that they are the first to be left out."""
        super().__init__()
        self._later = later

    @property
    def shown(self) -> list[Key]:
        """The keys that fit."""
        return [self.keys[place] for place in fitting([key.width for key in self.keys], [key.stays for key in self.keys], self.size.width)]

    def on_mount(self) -> None:
        """Hear when other keys apply."""
        self.screen.bindings_updated_signal.subscribe(self, self._look)

    def _look(self, screen: Screen[Any]) -> None:
        # While another window has the terminal's focus, no key applies; they are not taken away for that.
        if screen.app.app_focus:
            self.keys = tuple(sorted(_keys(screen), key=lambda key: _AT_THE_END.get(key.verb, key.verb in self._later)))

    def render(self) -> Content:
        """The line."""
        return Content.assemble(*(part for key in self.shown for part in self._parts(key)))

    def _parts(self, key: Key) -> Iterator[tuple[str, str]]:
        dim = "" if key.enabled else " dim"
        over = " on $block-hover-background" if key == self.hovered else ""
        yield f" {key.display} ", f"$footer-key-foreground bold{dim}{over}"
        yield f"{key.word} ", f"$footer-description-foreground{dim}{over}"

    def _at(self, x: int) -> Key | None:
        for key in self.shown:
            if 0 <= x < key.width:
                return key
            x -= key.width
        return None

    def on_mouse_move(self, event: MouseMove) -> None:
        """Say of the key under the pointer what it does."""
        self.hovered = self._at(event.x)

    def on_leave(self) -> None:
        """The pointer is elsewhere."""
        self.hovered = None

    def watch_hovered(self) -> None:
        """The sentence appears where the pointer rests."""
        self.tooltip = Content(self.hovered.sentence) if self.hovered is not None else None

    def on_mouse_down(self, event: MouseDown) -> None:
        """Press the key under the pointer."""
        key = self._at(event.x)
        if key is None:
            return
        if key.enabled:
            self.app.simulate_key(key.key)
        else:
            self.app.bell()


def _keys(screen: Screen[Any]) -> Iterator[Key]:
    """The keys that have a place in the bar, the first one of each action."""
    seen: set[str] = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        action = binding.action.removeprefix("app.")
        if binding.show and action not in seen:
            seen.add(action)
            yield Key(
                binding.key, binding.id or "", screen.app.get_key_display(binding), binding.description, active.tooltip, active.enabled
            )


def fitting(widths: Sequence[int], always: Sequence[bool], room: int) -> list[int]:
    """Return the places of the keys that fit `room` cells, `MOST` at most; the last ones go first, those of `always` stay."""
    kept = list(range(len(widths)))
    for place in reversed(range(len(widths))):
        if len(kept) <= MOST and sum(widths[each] for each in kept) <= room:
            break
        if not always[place]:
            kept.remove(place)
    return kept
