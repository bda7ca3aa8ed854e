"""What stands on every screen: foreign text brought to an exact width in terminal cells, and the panes that show it; above, where one is
and what is running; below, the keys that apply now; and what covers a window that is too small to work in.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rich.cells import cell_len, set_cell_size
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Click, MouseDown, MouseMove
from textual.geometry import Size
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from studio.errors import StudioError
from studio.pool.pool import Queries
from studio.records import Source
from studio.text import display, display_line
from studio.tui.keys import bind

POINTER = "▸"
"""Stands before the line under a cursor, so that its background is not all that tells."""
_LONGEST = 4_000
"""Characters of a text that a single line looks at: a line of 100 KB must not cost anything."""

SOURCES = {
    Source.IN_CONTEXT: ("context", "ctx"),
    Source.TEMPLATE: ("template", "tmpl"),
    Source.BACKTRANSLATION: ("request", "reqs"),
    Source.QUESTION: ("question", "ques"),
}
"""A source of instructions in eight cells, and in four."""

LONG = 20_000
"""Characters that are drawn of a text that somebody has to judge, and SHOWN of all others: wrapping 100 KB takes a second."""
SHOWN = 4_000


def cut(text: str, most: int = SHOWN) -> str:
    """Return the first `most` characters of `text` made harmless, newlines kept, and how many more there are."""
    if len(text) <= most:
        return display(text)
    return f"{display(text[:most])} … and {len(text) - most:,} characters more, which `studio show` and the editor have"


def fit(text: str, width: int) -> str:
    """Return `text` as one harmless line of exactly `width` cells, padded or cut with `…`."""
    if width <= 0:
        return ""
    line = display_line(text[:_LONGEST])
    if cell_len(line) <= width and len(text) <= _LONGEST:
        return set_cell_size(line, width)
    return set_cell_size(line, width - 1) + "…"


def pad(text: str, width: int) -> str:
    """Return words of the studio's own in exactly `width` cells, their spaces kept."""
    return set_cell_size(text, max(width, 0))


def clip(text: str, width: int) -> str:
    """Return `text` as one harmless line of at most `width` cells, cut with `…`."""
    return fit(text, width).rstrip(" ") if width > 0 else ""


MUTED = "$foreground-muted"


class Pane(VerticalScroll):
    """A scrolling pane with a rule and a title on top, and vim's movements beside the arrows."""

    DEFAULT_CSS = """
    Pane {
        border-top: solid $border-blurred;
        border-title-color: $foreground-muted;
        border-title-style: none;
        border-title-align: left;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
    }
    Pane:focus, Pane:focus-within {
        border-top: solid $primary;
        border-title-color: $primary;
        border-title-style: bold;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("down", "scroll_down", "Down", "Scroll down a line.", show=False),
        bind("up", "scroll_up", "Up", "Scroll up a line.", show=False),
        bind("first", "scroll_home", "Top", "Scroll to the top.", show=False),
        bind("last", "scroll_end", "Bottom", "Scroll to the bottom.", show=False),
        bind("page-down", "page_down", "Page down", "Scroll down a page.", show=False),
        bind("page-up", "page_up", "Page up", "Scroll up a page.", show=False),
    ]
    _end: int | None = None
    """The line that was the last to be at the top while the text was followed; None: it is not."""

    def begin(self, *, at_its_end: bool = False) -> None:
        """Another text is shown: read it from its beginning, or follow its end until somebody scrolls away from there."""
        if any(widget.text_selection is not None for widget in self.query("*")):
            self.screen.clear_selection()
        self._end = 0 if at_its_end else None
        self.scroll_to(y=0, animate=False, force=True, immediate=True)

    def follow(self) -> None:
        """More of the text is shown: go to its new end, unless it is read from its beginning or somebody has scrolled away from its end.

        Textual's own anchor puts a text that is shorter than its pane at the bottom.
        """
        if self._end is not None and self.scroll_offset.y >= self._end:
            self.call_after_refresh(self._go_to_end)

    def _go_to_end(self) -> None:
        self._end = self.max_scroll_y
        self.scroll_to(y=self._end, animate=False, force=True, immediate=True)


SCREENS = (("studio", "1 Studio"), ("pool", "2 Pool"), ("insight", "3 Insight"))
"""Mode of the app and its label."""


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What the header tells. Empty texts and zeros are left out; `target` 0 is none, and `accepted` is None until the pool was read."""

    pool: str = ""
    model: str = ""
    quantisation: str = ""
    place: str = ""
    answers: str = ""
    """The name of the model that answers, where it is another one."""
    profile: str = ""
    round: int = 0
    accepted: int | None = None
    drafts: int = 0
    target: int = 0


class StudioHeader(Widget):
    """The screens to go to, the pool and how full it is; below, model and profile."""

    DEFAULT_CSS = """
    StudioHeader { height: 2; dock: top; background: $surface; padding: 0 1; text-wrap: nowrap; }
    """
    facts: reactive[HeaderFacts] = reactive(HeaderFacts())
    mode: reactive[str] = reactive("studio")

    def __init__(self, facts: HeaderFacts | None = None, mode: str = "studio") -> None:
        super().__init__()
        self.set_reactive(StudioHeader.facts, facts or HeaderFacts())
        self.set_reactive(StudioHeader.mode, mode)

    def render(self) -> Content:
        """Both lines; what does not fit is left out from the least telling on."""
        width = max(self.content_size.width, 1)
        tabs: list[tuple[str, str]] = []
        for mode, label in SCREENS:
            tabs += [(f" {label} ", "$foreground on $panel bold" if mode == self.mode else "$foreground-muted"), (" ", "")]
        used = sum(len(text) for text, _ in tabs)
        right = progress_words(self.facts, width - used)
        pool = clip(self.facts.pool, max(width - used - len(right) - 3, 0))
        gap = max(width - used - cell_len(pool) - len(right) - (2 if pool and right else 0), 0)
        first = Content.assemble(*tabs, " " * gap, (pool, "$foreground"), ("  " if pool and right else "", ""), (right, "$success bold"))
        second = Content.assemble((second_line(self.facts, width), "$foreground-muted"))
        return Content("\n").join([first, second])

    async def on_click(self, event: Click) -> None:
        at = event.x - self.styles.padding.left
        if event.y != 0:
            return
        for mode, label in SCREENS:
            if 0 <= at < len(label) + 2:
                await self.run_action(f"app.show_mode('{mode}')")
                return
            at -= len(label) + 3


def progress_words(facts: HeaderFacts, width: int) -> str:
    """How many tasks the pool has generated, of how many, in at most `width` cells."""
    if not facts.pool or facts.accepted is None:
        return ""
    of_target = f" of {facts.target}" if facts.target else ""
    drafts = f" · {facts.drafts} drafts" if facts.drafts else ""
    count = f"{facts.accepted}{of_target}"
    return next((text for text in (f"{count} accepted{drafts}", f"{count} accepted", count) if len(text) <= width), "")


def second_line(facts: HeaderFacts, width: int) -> str:
    """The facts of the second line, the first ones first."""
    named = facts.quantisation and facts.quantisation.lower() in facts.model.lower()
    model = facts.model if named else f"{facts.model} {facts.quantisation}".strip()
    place = facts.place if facts.place != facts.model else ""
    profile, number = f"profile {facts.profile}" if facts.profile else "", f"round {facts.round}" if facts.round else ""
    words = [model, place, profile, number, f"answers by {facts.answers}" if facts.answers else ""]
    line = ""
    for word in filter(None, words):
        longer = f"{line} · {word}" if line else f" {word}"
        if line and cell_len(clip(longer, 10_000)) >= width:
            break
        line = longer
    return " " + clip(line.strip(), width - 1) if line else ""


def header_facts(pool: Queries, path: Path) -> HeaderFacts:
    """The pool's name, the tasks it has generated and the drafts of its unfinished round, and the model and profile of its newest run."""
    accepted, drafts = pool.figures.generated(), pool.figures.drafts()
    run = pool.runs.latest()
    if run is None:
        return HeaderFacts(pool=path.name, accepted=accepted, drafts=drafts)
    settings = json.loads(run.settings)
    method = settings.get("method", {}) if isinstance(settings, dict) else {}
    profile = str(method.get("profile", "")) if isinstance(method, dict) else ""
    model, answering = run.model, run.answering
    answers = "" if answering is None else answering.name
    return HeaderFacts(path.name, model.name, model.quantisation, answers=answers, profile=profile, accepted=accepted, drafts=drafts)


class SaidLine(Static):
    """Under the header: what is shown, in a line or more, or why it cannot be."""

    DEFAULT_CSS = """
    SaidLine { height: auto; max-height: 3; padding: 0 1; color: $text-muted; background: $surface; }
    SaidLine.-error { color: $text-error; }
    """

    def say(self, words: str) -> None:
        self.remove_class("-error")
        self.update(Content(words))

    def fail(self, error: StudioError) -> None:
        self.add_class("-error")
        self.update(Content(display_line(error.words())))


COLUMNS, LINES = 60, 20


def hint_if_small(screens: Iterable[Screen[Any]], size: Size) -> None:
    """Let each screen say so while the window is too small to work in."""
    for screen in screens:
        screen.set_class(size.width < COLUMNS or size.height < LINES, "-too-small")


class TooSmall(Widget):
    """Covers the screen below 60 columns or 20 lines; nothing is lost, and nothing runs differently."""

    DEFAULT_CSS = """
    TooSmall { display: none; layer: cover; width: 100%; height: 100%; background: $background; color: $foreground-muted;
        content-align: center middle; text-align: center; }
    """

    def render(self) -> Content:
        """How large the window is and how large it should be."""
        size = self.app.size
        return Content(f"This window has {size.width}x{size.height}.\nThe studio needs {COLUMNS}x{LINES}.\nThe session goes on as it was.")


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
        return [self.keys[place] for place in fitting([key.width for key in self.keys], [key.stays for key in self.keys], self.size.width)]

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look)

    def _look(self, screen: Screen[Any]) -> None:
        # While another window has the terminal's focus, no key applies; they are not taken away for that.
        if screen.app.app_focus:
            self.keys = tuple(sorted(_keys(screen), key=lambda key: _AT_THE_END.get(key.verb, key.verb in self._later)))

    def render(self) -> Content:
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
        self.hovered = None

    def watch_hovered(self) -> None:
        """The sentence appears where the pointer rests."""
        self.tooltip = Content(self.hovered.sentence) if self.hovered is not None else None

    def on_mouse_down(self, event: MouseDown) -> None:
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
