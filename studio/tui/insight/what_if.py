"""What if the rule had been another one: move the threshold, switch filters, and see which candidates would flip."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import ItemGrid, Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Checkbox, Static

from studio.errors import StudioError
from studio.loop.filters import FILTERS
from studio.loop.runs import stored_method
from studio.loop.settings import Method
from studio.loop.whatif import Change, Flip, Outcome, what_if
from studio.pool.pool import Queries
from studio.text import display_line, spoken
from studio.tui.base import lay_over, leaving, start_latest
from studio.tui.cells import POINTER
from studio.tui.dialogs.story import StoryDialog
from studio.tui.keys import bind
from studio.tui.reader import PoolAccess
from studio.tui.widgets.fields import MarkedBox
from studio.tui.widgets.pane import FindLine
from studio.tui.widgets.table import Cell, Column, IdTable

_LEFT = len(" threshold  0.70  ")
_RIGHT = len("  the run's 0.70 ")


class ThresholdBar(Widget, can_focus=True):
    """A track from 0 to 1; `own` is where the run has it."""

    DEFAULT_CSS = """
    ThresholdBar { height: 1; padding: 0 1 0 0; }
    ThresholdBar:focus { background: $block-cursor-background; color: $block-cursor-foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left", "move(-0.01)", "-0.01", "A little lower: fewer candidates are novel", show=False),
        bind("right", "move(0.01)", "Move", "A little higher: more candidates are novel"),
        bind("far-left", "move(-0.05)", "-0.05", "Lower by 0.05", show=False),
        bind("far-right", "move(0.05)", "+0.05", "Higher by 0.05", show=False),
        bind("drop", "reset", "Run's own", "Back to where the run has it"),
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


SETTLE_S = 0.08
"""How long a change waits for the next one."""
_COLUMNS = (
    Column("candidate", 9, right=True),
    Column("decided otherwise", 20),
    Column("score", 5, right=True),
    Column("text", 0),
)


@dataclass(frozen=True, slots=True)
class Preview:
    """A change and the candidates that flip under it."""

    change: Change
    flips: tuple[int, ...]


class _Superseded(Exception):
    """Another change is waited for."""


class WhatIfPane(Vertical):
    """Works on a connection of its own; a change that is superseded is given up."""

    DEFAULT_CSS = """
    WhatIfPane { height: 1fr; }
    WhatIfPane ItemGrid { height: auto; padding: 0 1; grid-gutter: 0 1; }
    WhatIfPane Checkbox { border: none; padding: 0; background: transparent; width: 1fr; }
    WhatIfPane #outcome { height: auto; padding: 0 1; margin-top: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [bind("find", "find", "Find", "Find a candidate that would flip by its words", show=False)]

    class Decided(Message):
        """Another outcome is shown, or one is being worked out."""

    def __init__(self, path: Path, opened: Callable[[Path], Queries] = Queries.open, *, settle_s: float = SETTLE_S) -> None:
        super().__init__()
        self._access = PoolAccess(path, opened)
        self._settle_s = settle_s
        self._method: Method | None = None
        self._wanted: object = None
        self._done = 0
        self._flips: dict[int, Flip] = {}
        self.outcome: Outcome | None = None
        self._decided: Preview | None = None

    @property
    def preview(self) -> Preview | None:
        """What is shown, as long as it is what is set: not while something else is being worked out, nor about to be."""
        decided, method = self._decided, self._method
        return decided if decided is not None and method is not None and decided.change == self.change(method) else None

    def compose(self) -> ComposeResult:
        yield ThresholdBar()
        with ItemGrid(min_column_width=28):
            for name in FILTERS:
                yield MarkedBox(Content(name), id=f"filter-{name}", compact=True, disabled=True)
        yield Static(id="outcome", markup=False)
        yield IdTable(_COLUMNS, self._rows_of, empty="No candidate would be decided otherwise.", id="flips")
        yield FindLine("words of a candidate; enter goes on to the next")

    def on_mount(self) -> None:
        self.set_interval(0.2, self._tell_progress)

    def on_unmount(self) -> None:
        self._wanted = None
        self._access.close()

    def enter(self) -> None:
        """The pane comes into sight: take over the run's rules the first time, and decide."""
        self.query_one(ThresholdBar).focus()
        if self._method is None:
            start_latest(self, "what-if", self._begin)
        else:
            self.decide()

    def decide(self) -> None:
        """Decide all candidates again under what is set."""
        if self._method is not None:
            start_latest(self, "what-if", self._decide, self.change(self._method))

    def change(self, method: Method) -> Change:
        """What is set, as a change of the run's rules."""
        threshold = self.query_one(ThresholdBar).value
        switched = {name: self.query_one(f"#filter-{name}", Checkbox).value for name in FILTERS}
        return Change(
            None if threshold == round(method.threshold, 2) else threshold,
            {name: on for name, on in switched.items() if on is not (name in method.filters)},
        )

    def action_find(self) -> None:
        self.query_one(FindLine).open()

    @on(FindLine.Wanted)
    def _find(self, event: FindLine.Wanted) -> None:
        event.stop()
        self.query_one("#flips", IdTable).seek(lambda each: event.fits(self._flips[each].text), again=event.again)

    @on(FindLine.Left)
    def _found(self, event: FindLine.Left) -> None:
        event.stop()
        self.query_one("#flips").focus()

    @on(IdTable.Selected, "#flips")
    def _tell_why(self, event: IdTable.Selected) -> None:
        event.stop()
        lay_over(self.screen, StoryDialog(self._access, event.row_id))

    @on(ThresholdBar.Changed)
    @on(Checkbox.Changed)
    def _changed(self, event: ThresholdBar.Changed | Checkbox.Changed) -> None:
        event.stop()
        self.decide()

    async def _begin(self) -> None:
        try:
            run = await self._access.ask(lambda pool: pool.runs.latest())
            method = None if run is None else stored_method(run)
        except StudioError as error:
            self._fail(error)
            return
        if method is None:
            self._say(Content("The pool has no candidates yet: there is nothing to decide again. Press 1 and play a round first."))
            return
        bar = self.query_one(ThresholdBar)
        with self.prevent(ThresholdBar.Changed, Checkbox.Changed):
            bar.own = bar.value = method.threshold
            for name in FILTERS:
                box = self.query_one(f"#filter-{name}", Checkbox)
                box.value, box.disabled = name in method.filters, False
        self._method = method
        await self._decide(Change())

    async def _decide(self, change: Change) -> None:
        token = object()
        self._wanted, self._done = token, 0
        self._decided = None
        self.post_message(self.Decided())

        def progress(done: int) -> None:
            if self._wanted is not token:
                raise _Superseded
            self._done = done

        await asyncio.sleep(self._settle_s)
        try:
            outcome = await self._access.ask(lambda pool: what_if(pool, change, progress))
        except StudioError as error:
            self._fail(error)
            return
        finally:
            if self._wanted is token:
                self._wanted = None
        self.outcome = outcome
        self._flips = {flip.candidate_id: flip for flip in outcome.flips}
        table = self.query_one("#flips", IdTable)
        table.forget()
        table.show(array("q", self._flips))
        self._say(_words(outcome))
        self._decided = Preview(change, tuple(self._flips))
        self.post_message(self.Decided())

    async def _rows_of(self, ids: Sequence[int]) -> Mapping[int, Sequence[Cell]]:
        return {each: _cells(self._flips[each]) for each in ids if each in self._flips}

    def _tell_progress(self) -> None:
        if self._wanted is not None and self._done and not leaving(self):
            self._say(Content(f"deciding again … {self._done:,} candidates"))

    def _say(self, words: Content) -> None:
        self.query_one("#outcome", Static).update(words)

    def _fail(self, error: StudioError) -> None:
        text = display_line(f"{error.message}: {error.hint}" if error.hint else error.message)
        self._say(Content.assemble((text, "$text-error")))


def _words(outcome: Outcome) -> Content:
    joining = sum(flip.accepted for flip in outcome.flips)
    leaving = len(outcome.flips) - joining
    parts: list[str | tuple[str, str]] = [
        f"{outcome.accepted_before:,} of {outcome.candidates:,} candidates were accepted, ",
        (f"{outcome.accepted_after:,} would be", "bold"),
    ]
    if outcome.flips:
        parts += [": ", (f"+{joining:,} join", "$text-success"), ", ", (f"-{leaving:,} leave", "$text-error")]
    if outcome.after.get("human"):
        parts.append((f" · {outcome.after['human']:,} decided by a person stand", "$text-muted"))
    return Content.assemble(*parts)


def _cells(flip: Flip) -> Sequence[Cell]:
    word = (f"+ was {spoken(flip.before)}", "good") if flip.accepted else (f"- now {spoken(flip.after)}", "bad")
    return (str(flip.candidate_id), "muted"), word, (f"{flip.score:.2f}", ""), (flip.text, "")
