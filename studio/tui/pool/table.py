"""The pool's tasks, or its rejected candidates, as a table."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from textual.binding import BindingType

from studio.pool.browse import BrowseRow, Kind, Sort
from studio.records import Source, TaskState
from studio.text import spoken
from studio.tui.keys import bind
from studio.tui.steering import PoolAccess
from studio.tui.widgets.frame import SOURCES
from studio.tui.widgets.table import Cell, Column, IdTable

_TASKS = (
    Column("id", 8, right=True, sort=Sort.ID),
    Column("origin", 11),
    Column("class", 5),
    Column("round", 5, right=True),
    Column("score", 5, right=True, sort=Sort.SCORE),
    Column("inst", 4, right=True),
    Column("instruction", 0, sort=Sort.TEXT),
)
_REJECTED = (
    Column("id", 8, right=True, sort=Sort.ID),
    Column("round", 5, right=True),
    Column("score", 5, right=True, sort=Sort.SCORE),
    Column("reason", 22),
    Column("src", 4),
    Column("candidate", 0, sort=Sort.TEXT),
)
_COLUMNS = {Kind.TASKS: _TASKS, Kind.REJECTED: _REJECTED}
_SORTED_BY = {
    Sort.NATS: Column("nats", 5, right=True, sort=Sort.NATS),
    Sort.AGREEMENT: Column("agree", 5, right=True, sort=Sort.AGREEMENT),
    Sort.ANSWER_NATS: Column("a nats", 6, right=True, sort=Sort.ANSWER_NATS),
}
"""Columns that stand there only while the list is sorted by them."""
_NARROW = 100
"""Below this width the columns that filters tell too are left out."""
_LEFT_OUT = ("inst", "class", "round")


class TaskTable(IdTable):
    """Shows either kind; `kind` changes with `show_kind`."""

    # The table's own key, named in the footer: it is the first one that a list asks for.
    BINDINGS: ClassVar[list[BindingType]] = [bind("open", "select", "Read", "Show all about the task under the cursor")]

    def __init__(self, access: PoolAccess, *, id: str | None = None) -> None:
        super().__init__(_TASKS, self._rows_of, id=id)
        self.kind = Kind.TASKS
        self._access = access
        self._narrow = False
        self._sorted_by: Column | None = None

    def show_kind(self, kind: Kind, sort: Sort = Sort.ID) -> None:
        """Show rows of this kind, and what they are sorted by, from now on; their ids are still to come."""
        shown = _SORTED_BY.get(sort)
        if shown is not self._sorted_by:
            self._sorted_by = shown
            self._fit_columns()
        if kind is not self.kind:
            self.kind = kind
            # The same number is another row there: the cursor must not stay with it.
            self.show(array("q"))
            self._fit_columns()

    def on_resize(self) -> None:
        narrow = self.size.width < _NARROW
        if narrow is not self._narrow:
            self._narrow = narrow
            self._fit_columns()

    def _fit_columns(self) -> None:
        *others, text = _shown(_COLUMNS[self.kind], self._narrow)
        self.show_columns((*others, *([self._sorted_by] if self._sorted_by else []), text))

    async def _rows_of(self, ids: Sequence[int]) -> Mapping[int, Sequence[Cell]]:
        kind = self.kind
        rows = await self._access.ask(lambda pool: pool.browse.rows(kind, ids))
        titles = [column.title for column in self.columns]
        return {row.id: [_cell(row, title) for title in titles] for row in rows}


def _shown(columns: Sequence[Column], narrow: bool) -> Iterator[Column]:
    for column in columns:
        if not (narrow and column.title in _LEFT_OUT):
            yield column


def _cell(row: BrowseRow, title: str) -> Cell:
    match title:
        case "id":
            return str(row.id), "muted"
        case "origin":
            return _origin(row)
        case "class":
            return {None: ("?", "muted"), True: ("yes", ""), False: ("no", "muted")}[row.is_classification]
        case "round":
            return ("" if row.round is None else str(row.round)), "muted"
        case "score":
            return ("" if row.score is None else f"{row.score:.2f}"), ""
        case "nats" | "agree" | "a nats":
            score = {"nats": row.nats, "agree": row.agreement, "a nats": row.answer_nats}[title]
            return ("" if score is None else f"{score:.2f}"), ""
        case "inst":
            return str(row.instances), "" if row.instances else "bad"
        case "src":
            return "" if row.source is None else SOURCES[row.source][1], "muted"
        case "reason":
            return spoken(row.reason), "bad"
        case _:
            return row.text, "muted" if row.state is TaskState.RETIRED else ""


def _origin(row: BrowseRow) -> Cell:
    if row.state is TaskState.RETIRED:
        return "retired", "bad"
    if row.state is TaskState.DRAFT:
        return "draft", "note"
    # Generated ones are those of lists; those whose request the model wrote itself, or for a passage, have their own words.
    apart = row.source is not None and row.source is not Source.IN_CONTEXT
    origin = SOURCES[row.source][0] if apart and row.source is not None else str(row.origin)
    return (f"* {origin}" if row.marked else origin), "note" if row.marked else "muted"
