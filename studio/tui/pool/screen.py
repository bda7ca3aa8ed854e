"""The pool screen: every task and every rejected candidate, found as one types, with story and lineage."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from studio.errors import StudioError
from studio.insight.story import Story, story_of
from studio.pool.browse import Kind, Selection, Sort
from studio.pool.pool import Queries
from studio.text import display_line, spoken
from studio.tui.base import ReadFailed, copy_from, start_latest
from studio.tui.keys import bind
from studio.tui.pool.detail import LineageTree, TaskDetail, as_text, reference_of
from studio.tui.pool.listing import FilterBar, LintSearch, TaskTable, words_of
from studio.tui.pool.steering import PoolSteering
from studio.tui.steering import PoolAccess, Steerer
from studio.tui.widgets.frame import HeaderFacts, KeyBar, SaidLine, StudioHeader, TooSmall, header_facts
from studio.tui.widgets.table import IdTable

TYPING_S = 0.12
"""How long the list waits for the next letter."""
FOLLOW_S = 2.0
"""How often the screen looks whether a session has written."""
FIRST = 200
"""Rows shown before all are found, when the screen opens."""
_SORTS = tuple(Sort)


class PoolScreen(PoolSteering):
    """Made with the pool's path; it reads through connections of its own, beside whoever writes.

    With a `steerer` tasks and candidates can be decided otherwise and their texts be opened.
    """

    HELP = """\
## Pool

Every task of the pool, and every rejected candidate. **/** finds words as you type, **f** opens the filters, **o** sorts by something
else and **O** turns the order round; a click on a heading does the same. **Enter** shows the task under the cursor, **l** its lineage: the
in-context tasks it came from, up to the seeds, and what came of it. **ctrl+c** sends the text to the clipboard.

Among the words, **lint:refusal** finds what a lint reports; `studio lint --help` lists them.

Between stages: **delete** retires a task or restores it, **m** marks it for review, **N** hangs tags and a note on it, **t** overrules the
verdict, **e** edits the text, **i** opens the instances, and **u** and **U** take back and do again. **I** brings in the tasks of a file.
The origin of a task whose request the model wrote itself, in its chat template, reads *template*; of a rejected candidate the list tells
the source as *ctx*, a prompt with in-context tasks, or *tmpl*. *request* and *question* are those it wrote for passages of documents:
*reqs* and *ques* in the list.
Among the filters, *quality* is the share of yes that raters gave a task; *nats*, *answer's* nats and *agreement* are as in the export.
"""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012  (Textual's own type)
    DEFAULT_CSS = """
    PoolScreen #list { width: 3fr; }
    PoolScreen TaskDetail { width: 2fr; border-left: solid $border-blurred; }
    PoolScreen.-narrow TaskDetail { display: none; border-left: none; }
    PoolScreen.-narrow.-detail TaskDetail { display: block; width: 1fr; }
    PoolScreen.-narrow.-detail #list { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("find", "find", "Find", "Find words in the instructions"),
        bind("filter", "filter", "Filter", "Narrow the list: origin, class, reason, round, score, tag, quality"),
        bind("sort", "sort", "Sort", "Sort by something else", show=False),
        bind("reverse", "reverse", "Reverse", "Turn the order round", show=False),
        bind("lineage", "lineage", "Lineage", "Where the task came from, and what came of it"),
        bind("copy", "copy", "Copy", "Send the text to the clipboard", show=False),
        bind("back", "back", "Back", "Back to the list, then to the whole list"),
        *PoolSteering.STEERING,
    ]

    def __init__(
        self,
        path: Path,
        opened: Callable[[Path], Queries] = Queries.open,
        *,
        steerer: Steerer | None = None,
        typing_s: float = TYPING_S,
        follow_s: float = FOLLOW_S,
    ) -> None:
        super().__init__()
        self.steerer = steerer
        self._path = path
        self._lists = PoolAccess(path, opened)
        self._rows = PoolAccess(path, opened)
        self._typing_s = typing_s
        self._follow_s = follow_s
        self._version = -1
        self._took_s = 0.0
        self._looked = 0.0
        self._lints = LintSearch()
        self._question = 0

    def compose(self) -> ComposeResult:
        yield StudioHeader(HeaderFacts(pool=self._path.name), mode="pool")
        yield FilterBar(id="filters")
        yield SaidLine(id="said", markup=False)
        with Horizontal():
            with Vertical(id="list"):
                yield TaskTable(self._rows, id="tasks")
            yield TaskDetail(self._rows)
        yield KeyBar()
        yield TooSmall()

    def on_mount(self) -> None:
        self.query_one(FilterBar).set_class(self.size.height < 30, "-folded")
        table = self.query_one(TaskTable)
        table.show_loading("reading the pool …")
        table.focus()
        self.set_interval(self._follow_s, self._follow)
        self.look()

    def on_unmount(self) -> None:
        self._lists.close()
        self._rows.close()

    def on_screen_resume(self) -> None:
        self._follow()

    def look(self, *, wait_s: float = 0.0, again: bool = False) -> None:
        """Read the ids of what is looked for; an answer still on its way is dropped. `again`: rows are read anew as well."""
        start_latest(self, "ids", self._look, self.query_one(FilterBar).selection, wait_s, again)

    async def _look(self, wanted: Selection, wait_s: float, again: bool) -> None:
        if wait_s:
            await asyncio.sleep(wait_s)
        started = time.monotonic()
        table = self.query_one(TaskTable)

        self._question += 1
        number, loop = self._question, asyncio.get_running_loop()

        def tell(done: int, steps: int) -> bool:
            loop.call_soon_threadsafe(self._tell, number, done, steps)
            return number == self._question and self.is_attached

        def question(pool: Queries) -> tuple[int, array[int], HeaderFacts]:
            return pool.version(), self._lints.browse(pool, wanted, tell), header_facts(pool, self._path)

        try:
            if self._version == -1:
                # Something to look at while the ids of all are read.
                table.show_kind(wanted.kind, wanted.sort)
                table.show(await self._lists.ask(lambda pool: pool.browse.ids(wanted, FIRST)))
            self._version, ids, facts = await self._lists.ask(question)
        except StudioError as error:
            self._fail(error)
            return
        self._took_s = time.monotonic() - started
        self.query_one(StudioHeader).facts = facts
        table.empty = _empty(wanted)
        table.show_kind(wanted.kind, wanted.sort)
        if again:
            table.forget()
        table.show(ids)
        self._say(wanted, len(ids))

    def _tell(self, number: int, done: int, steps: int) -> None:
        if number == self._question and self.is_attached:
            self.query_one(SaidLine).say(f"looking for faults … {done / max(steps, 1):.0%}")

    def _follow(self) -> None:
        # A list that takes a second to read is read anew every few seconds only.
        if not self.is_current or time.monotonic() - self._looked < 5 * self._took_s:
            return
        start_latest(self, "follow", self._follow_now)

    async def _follow_now(self) -> None:
        try:
            version = await self._lists.ask(lambda pool: pool.version())
        except StudioError as error:
            self._fail(error)
            return
        self._looked = time.monotonic()
        if self._version not in (-1, version):
            self.changed()

    @on(FilterBar.Changed)
    def _filters_changed(self, event: FilterBar.Changed) -> None:
        self.look(wait_s=self._typing_s if event.typed else 0.0)

    @on(FilterBar.Left)
    def _filters_left(self) -> None:
        self.query_one(TaskTable).focus()

    @on(IdTable.HeadingClicked)
    def _heading_clicked(self, event: IdTable.HeadingClicked) -> None:
        self.query_one(FilterBar).sort_by(Sort(event.sort))

    @on(IdTable.Selected)
    def _selected(self) -> None:
        self.add_class("-detail")
        self.query_one(TaskDetail).focus_text()

    @on(ReadFailed)
    def _row_failed(self, event: ReadFailed) -> None:
        self._fail(event.error)

    @on(LineageTree.Chosen)
    def _relative_chosen(self, event: LineageTree.Chosen) -> None:
        self.query_one(TaskDetail).show_row(Kind.TASKS, event.task_id)

    @property
    def chosen(self) -> str | None:
        """The row under the cursor or, while one reads beside the list, what is read there: a relative perhaps."""
        detail, table = self.query_one(TaskDetail), self.query_one(TaskTable)
        return (detail.wanted if detail.has_focus_within else reference_of(table.kind, table.current)) or None

    def story_of_chosen(self) -> Story | None:
        """Its story, if that is what stands there."""
        detail = self.query_one(TaskDetail)
        return detail.story if detail.shown == self.chosen else None

    @on(TaskDetail.Shown)
    def _story_shown(self) -> None:
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what applies to the task or candidate that is shown."""
        if action == "back":
            return self.is_mounted and (not self.query_one(TaskTable).has_focus or self._narrowed())
        return super().check_action(action, parameters)

    @on(IdTable.Moved)
    def _show_chosen(self) -> None:
        """Tell beside the list of the row under the cursor, unless that is told there already."""
        detail, table = self.query_one(TaskDetail), self.query_one(TaskTable)
        if detail.wanted != reference_of(table.kind, table.current):
            detail.show_row(table.kind, table.current)

    def _narrowed(self) -> bool:
        """Whether less than the whole list is looked for."""
        wanted = self.query_one(FilterBar).selection
        return self.has_class("-detail") or wanted != Selection(sort=wanted.sort, descending=wanted.descending)

    def changed(self) -> None:
        """Read the rows and the story again; the ids as well, for a filter may no longer hold."""
        self.look(again=True)
        self.query_one(TaskDetail).show_again()

    def action_find(self) -> None:
        self.remove_class("-detail")
        self.query_one(FilterBar).focus_words()

    def action_filter(self) -> None:
        self.remove_class("-detail")
        self.query_one(FilterBar).focus_choices()

    def action_sort(self) -> None:
        bar = self.query_one(FilterBar)
        bar.sort_by(_SORTS[(_SORTS.index(bar.selection.sort) + 1) % len(_SORTS)])

    def action_reverse(self) -> None:
        bar = self.query_one(FilterBar)
        bar.sort_by(bar.selection.sort)

    def action_lineage(self) -> None:
        self.add_class("-detail")
        self.query_one(TaskDetail).show_lineage()

    def action_copy(self) -> None:
        story, reference = self.story_of_chosen(), self.chosen
        if story is not None:
            copy_from(self, as_text(story))
        elif reference is not None and not self.get_selected_text():
            start_latest(self, "copy", self._copy, reference)
        else:
            copy_from(self, "")

    async def _copy(self, reference: str) -> None:
        try:
            story = await self._rows.ask(lambda pool: story_of(pool, reference))
        except StudioError as error:
            self._fail(error)
            return
        copy_from(self, as_text(story))

    def action_back(self) -> None:
        """From the detail to the list, from the filters to the list, and there to the whole list."""
        table, bar = self.query_one(TaskTable), self.query_one(FilterBar)
        if not self.has_class("-detail") and table.has_focus:
            bar.reset()
        self.remove_class("-detail")
        if self.size.height < 30:
            bar.add_class("-folded")
        table.focus()
        self._show_chosen()

    def _say(self, wanted: Selection, found: int) -> None:
        what = ("task" if wanted.kind is Kind.TASKS else "rejected candidate") + ("" if found == 1 else "s")
        order = spoken(wanted.sort)
        words = "".join(f" · {display_line(word, 60)}" for word in words_of(wanted))
        self.query_one(SaidLine).say(f"{found:,} {what}{words} · by {order} {'↓' if wanted.descending else '↑'}")

    def _fail(self, error: StudioError) -> None:
        self.query_one(SaidLine).fail(error)


def _empty(wanted: Selection) -> str:
    if wanted == Selection(kind=wanted.kind, sort=wanted.sort, descending=wanted.descending):
        return "The pool has no tasks yet." if wanted.kind is Kind.TASKS else "No candidate has been rejected yet."
    return "Nothing matches.\nPress Esc to see the whole list again, / for other words, f for other filters."
