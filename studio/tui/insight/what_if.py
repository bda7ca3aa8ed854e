"""What if the rule had been another one: move its limits, switch filters, see what would flip, and the story of each candidate."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import ItemGrid, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Checkbox, Static

from studio.errors import StudioError
from studio.loop.filters import FILTERS
from studio.loop.runs import stored_method
from studio.loop.settings import Method
from studio.loop.steering import Known
from studio.loop.whatif import Change, Flip, InstanceFlip, Outcome, what_if
from studio.pool.browse import Kind
from studio.pool.pool import Queries
from studio.text import display_line, spoken
from studio.tui.base import Dialog, GivenUp, ReadFailed, copy_from, lay_over, leaving, start_latest
from studio.tui.keys import bind
from studio.tui.pool.detail import LineageTree, TaskDetail, as_text
from studio.tui.steering import PoolAccess
from studio.tui.widgets.fields import FindLine, LimitBar, MarkedBox
from studio.tui.widgets.table import Cell, Column, IdTable


class StoryDialog(Dialog[None]):
    """Made with a way to read the pool, which stays its owner's, and the id of a candidate, or of a task."""

    HELP = """
    The story of a candidate or task, as the pool screen and `studio show` tell it. `l` turns to its lineage and back, `ctrl+c` sends the
    story to the clipboard, `escape` closes the window.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("lineage", "lineage", "Lineage", "Where the task came from, and what came of it."),
        bind("copy", "copy", "Copy", "Send the story to the clipboard."),
    ]
    DEFAULT_CSS = """
    StoryDialog > Vertical { height: 85%; }
    StoryDialog TaskDetail Pane, StoryDialog LineageTree { background: $panel; }
    """

    def __init__(self, access: PoolAccess, row_id: int, kind: Kind = Kind.REJECTED) -> None:
        super().__init__()
        self._access = access
        self._row = (kind, row_id)
        self.title = f"Task {row_id}" if kind is Kind.TASKS else f"Candidate c{row_id}"

    def body(self) -> ComposeResult:
        yield TaskDetail(self._access)

    def on_mount(self) -> None:
        """Read it; arrows scroll at once."""
        detail = self.query_one(TaskDetail)
        detail.show_row(*self._row)
        detail.focus_text()

    @on(ReadFailed)
    def _failed(self, event: ReadFailed) -> None:
        self.notify(display_line(event.error.message, 300), severity="warning", markup=False)

    @on(LineageTree.Chosen)
    def _chosen(self, event: LineageTree.Chosen) -> None:
        self.query_one(TaskDetail).show_row(Kind.TASKS, event.task_id)

    def action_lineage(self) -> None:
        self.query_one(TaskDetail).show_lineage()

    def action_copy(self) -> None:
        story = self.query_one(TaskDetail).story
        copy_from(self, "" if story is None else as_text(story))


_SETTLE_S = 0.08
"""How long a change waits for the next one."""
_COLUMNS = (
    Column("candidate", 9, right=True),
    Column("decided otherwise", 20),
    Column("score", 5, right=True),
    Column("text", 0),
)
_WITH_NATS = (*_COLUMNS[:-1], Column("nats", 5, right=True), _COLUMNS[-1])


@dataclass(frozen=True, slots=True)
class Preview:
    """A change, and the candidates and instances that flip under it."""

    change: Change
    flips: tuple[int, ...]
    instances: tuple[int, ...] = ()

    @property
    def known(self) -> Known:
        return self.flips, self.instances


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of the run, and what can be moved of them beside.

    `nats` and `answer_nats` are the newest limit of instructions and answers, and the most that any has; None where nobody measured.
    """

    method: Method
    nats: tuple[float | None, float | None]
    answer_nats: tuple[float | None, float | None]
    agreed: bool


def _rules(pool: Queries) -> _Rules | None:
    run = pool.runs.latest()
    if run is None:
        return None
    if not pool.figures.chats():
        return _Rules(stored_method(run), (None, None), (None, None), agreed=False)
    limit, of_answers = pool.rounds.newest_limits()
    scores = (limit, pool.candidates.most_nats()), (of_answers, pool.instances.most_nats())
    return _Rules(stored_method(run), *scores, pool.instances.any_agreed())


class WhatIfPane(Vertical):
    """Works on a connection of its own; a change that is superseded is given up."""

    DEFAULT_CSS = """
    WhatIfPane { height: 1fr; }
    WhatIfPane LimitBar.-off { display: none; }
    WhatIfPane ItemGrid { height: auto; padding: 0 1; grid-gutter: 0 1; }
    WhatIfPane Checkbox { width: 1fr; }
    WhatIfPane #outcome { height: auto; padding: 0 1; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [bind("find", "find", "Find", "Find a candidate that would flip by its words", show=False)]

    class Decided(Message):
        """Another outcome is shown, or one is being worked out."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._access = PoolAccess(path)
        self._method: Method | None = None
        self._wanted: object = None
        self._done = 0
        self._flips: dict[int, Flip | InstanceFlip] = {}
        self.outcome: Outcome | None = None
        self._decided: Preview | None = None

    @property
    def preview(self) -> Preview | None:
        """What is shown, as long as it is what is set: not while something else is being worked out, nor about to be."""
        decided, method = self._decided, self._method
        return decided if decided is not None and method is not None and decided.change == self.change(method) else None

    def compose(self) -> ComposeResult:
        yield LimitBar("threshold", at=0.7, id="threshold")
        # Where requests and answers stand as the newest round has them, each round has its own limit.
        yield LimitBar("requests ", "nats, newest", id="nats", classes="-off")
        yield LimitBar("agreement", id="agreement", classes="-off")
        yield LimitBar("answers  ", "nats, newest", id="answer-nats", classes="-off")
        with ItemGrid(min_column_width=28):
            for name in FILTERS:
                yield MarkedBox(Content(name), id=f"filter-{name}", disabled=True)
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
        self.query_one("#threshold").focus()
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
        threshold, nats, agreement, answer_nats = (None if bar.has_class("-off") else bar.changed for bar in self.query(LimitBar))
        switched = {name: self.query_one(f"#filter-{name}", Checkbox).value for name in FILTERS}
        switched = {name: on for name, on in switched.items() if on is not (name in method.filters)}
        return Change(threshold, switched, nats, agreement, answer_nats)

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
        match self._flips.get(event.row_id):
            case InstanceFlip(task_id=task_id):
                lay_over(self.screen, StoryDialog(self._access, task_id, Kind.TASKS))
            case Flip(candidate_id=candidate_id):
                lay_over(self.screen, StoryDialog(self._access, candidate_id))

    @on(LimitBar.Changed)
    @on(Checkbox.Changed)
    def _changed(self, event: LimitBar.Changed | Checkbox.Changed) -> None:
        event.stop()
        self.decide()

    async def _begin(self) -> None:
        try:
            rules = await self._access.ask(_rules)
        except StudioError as error:
            self._fail(error)
            return
        if rules is None:
            self._say(Content("The pool has no candidates yet: there is nothing to decide again. Press 1 and play a round first."))
            return
        method = rules.method
        with self.prevent(LimitBar.Changed, Checkbox.Changed):
            self._show_bars(rules)
            for name in FILTERS:
                box = self.query_one(f"#filter-{name}", Checkbox)
                box.value, box.disabled = name in method.filters, False
        self._method = method
        await self._decide(Change())

    def _show_bars(self, rules: _Rules) -> None:
        """Put each limit where the run has it; where the pool has none, there is nothing to move."""
        threshold, nats, agreement, answer_nats = self.query(LimitBar)
        threshold.own = threshold.value = rules.method.threshold
        for bar, (limit, most) in ((nats, rules.nats), (answer_nats, rules.answer_nats)):
            if most is not None:
                # Up to where nothing is unlikely.
                bar.top = ceil(most * 100) / 100
                bar.own = bar.value = bar.top if limit is None else limit
                bar.remove_class("-off")
                self.query_one("#flips", IdTable).show_columns(_WITH_NATS)
        if rules.agreed:
            agreement.own = agreement.value = rules.method.min_agreement
            agreement.remove_class("-off")

    async def _decide(self, change: Change) -> None:
        token = object()
        self._wanted, self._done = token, 0
        self._decided = None
        self.post_message(self.Decided())

        def progress(done: int) -> None:
            if self._wanted is not token:
                raise GivenUp
            self._done = done

        await asyncio.sleep(_SETTLE_S)
        try:
            outcome = await self._access.ask(lambda pool: what_if(pool, change, progress))
        except StudioError as error:
            self._fail(error)
            return
        finally:
            if self._wanted is token:
                self._wanted = None
        self.outcome = outcome
        # Instances below 0: their ids are others.
        self._flips = {flip.candidate_id: flip for flip in outcome.flips} | {-flip.instance_id: flip for flip in outcome.instances}
        table = self.query_one("#flips", IdTable)
        table.forget()
        table.show(array("q", self._flips))
        self._say(_words(outcome))
        instances = tuple(flip.instance_id for flip in outcome.instances)
        self._decided = Preview(change, tuple(flip.candidate_id for flip in outcome.flips), instances)
        self.post_message(self.Decided())

    async def _rows_of(self, ids: Sequence[int]) -> Mapping[int, Sequence[Cell]]:
        titles = [column.title for column in self.query_one("#flips", IdTable).columns]
        return {each: [_cell(self._flips[each], title) for title in titles] for each in ids if each in self._flips}

    def _tell_progress(self) -> None:
        if self._wanted is not None and self._done and not leaving(self):
            self._say(Content(f"deciding again … {self._done:,} candidates"))

    def _say(self, words: Content) -> None:
        self.query_one("#outcome", Static).update(words)

    def _fail(self, error: StudioError) -> None:
        text = display_line(error.words())
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
    if outcome.instances:
        kept = sum(flip.accepted for flip in outcome.instances)
        parts += [
            " · instances: ",
            (f"+{kept:,} kept", "$text-success"),
            ", ",
            (f"-{len(outcome.instances) - kept:,} dropped", "$text-error"),
        ]
    if outcome.after.get("human"):
        parts.append((f" · {outcome.after['human']:,} decided by a person stand", "$text-muted"))
    return Content.assemble(*parts)


def _cell(flip: Flip | InstanceFlip, title: str) -> Cell:
    """What a column says of a flip: of an instance its answer, and how far that agrees with the others drawn in place of a score."""
    match title:
        case "candidate":
            return str(flip.candidate_id) if isinstance(flip, Flip) else f"i{flip.instance_id}", "muted"
        case "score":
            score = flip.score if isinstance(flip, Flip) else flip.agreement
            return "" if score is None else f"{score:.2f}", ""
        case "nats":
            return "" if flip.nats is None else f"{flip.nats:.2f}", ""
        case "text":
            return flip.text, ""
        case _:
            return (f"+ was {spoken(flip.before)}", "good") if flip.accepted else (f"- now {spoken(flip.after)}", "bad")
