"""Tables: rows under a heading that are drawn when they are seen; and rows by id, of which a million cost their ids only: those in sight
are fetched when they come into sight.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from studio.errors import StudioError
from studio.tui.base import ReadFailed, start_latest
from studio.tui.keys import bind
from studio.tui.widgets.frame import POINTER, clip, fit


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `width` 0 takes what the others leave. `sort` is what a click on its heading asks for, empty for nothing."""

    title: str
    width: int
    right: bool = False
    sort: str = ""


Cell = tuple[str, str]
"""A cell's text and the name of its colour: empty, `muted`, `good`, `bad` or `note`. The text may be anything, it is cleaned here."""


@dataclass
class TableMessage(Message):
    """What a table tells; handlers may choose by the table."""

    table: RowTable

    @property
    def control(self) -> RowTable:
        return self.table


class RowTable(ScrollView, can_focus=True):
    """Rows under a fixed heading, with a cursor: each is drawn when it is seen, so there may be a million of them.

    A subclass has `count` rows and the `cells` of each, and calls `show_count` when there are others.
    """

    DEFAULT_CSS = """
    RowTable { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    RowTable > .table--heading { text-style: bold; color: $text-muted; background: $panel; }
    RowTable > .table--cursor { background: $block-cursor-blurred-background; color: $block-cursor-blurred-foreground; }
    RowTable:focus > .table--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: $block-cursor-text-style;
    }
    RowTable > .table--muted { color: $text-muted; }
    RowTable > .table--good { color: $text-success; }
    RowTable > .table--bad { color: $text-error; }
    RowTable > .table--note { color: $text-warning; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"table--{name}" for name in ("heading", "cursor", "muted", "good", "bad", "note")}
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", "Up", "The row above", show=False),
        bind("down", "move(1)", "Down", "The row below", show=False),
        bind("page-up", "move_page(-1)", "Page up", "A page up", show=False),
        bind("page-down", "move_page(1)", "Page down", "A page down", show=False),
        bind("first", "move_to(0)", "First", "The first row", show=False),
        bind("last", "move_to(-1)", "Last", "The last row", show=False),
    ]
    cursor: reactive[int] = reactive(0, repaint=False)

    @dataclass
    class HeadingClicked(TableMessage):
        """The heading of a column that sorts was clicked."""

        sort: str

    def __init__(self, columns: Sequence[Column], *, empty: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.empty = empty
        """What is said where there are no rows."""
        self.loading_text = ""
        """What is said instead while they are looked for."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def cells(self, row: int) -> Sequence[Cell]:
        """The cells of a row, one a column."""

    def open_row(self) -> None:
        """The row under the cursor was clicked twice."""

    def show_count(self) -> None:
        """There may be another number of rows: let them be scrolled over, and draw those in sight."""
        self.virtual_size = Size(0, self.count + 1)
        self.refresh()

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, self.count - 1))

    def watch_cursor(self, before: int, after: int) -> None:
        self.keep_in_sight()
        self.refresh()
        if before != after:
            self.moved()

    def moved(self) -> None:
        """The cursor stands on another row."""

    def keep_in_sight(self) -> None:
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + self.page:
            self.scroll_to(y=self.cursor - self.page + 1, animate=False, force=True)

    @property
    def page(self) -> int:
        """Rows that have room under the heading."""
        return max(self.scrollable_content_region.height - 1, 1)

    def action_move(self, rows: int) -> None:
        self.cursor += rows

    def action_move_page(self, pages: int) -> None:
        self.cursor += pages * max(self.page - 1, 1)

    def action_move_to(self, row: int) -> None:
        """Move the cursor to a row, -1 being the last."""
        self.cursor = row if row >= 0 else self.count - 1

    def seek_row(self, fits: Callable[[int], bool], *, again: bool) -> None:
        """Move the cursor to the next row that `fits`, round the end; behind the present one if `again`."""
        for step in range(again, self.count + again):
            row = (self.cursor + step) % self.count
            if fits(row):
                self.cursor = row
                return

    def on_resize(self) -> None:
        """A lower window may leave the cursor out of sight."""
        self.keep_in_sight()

    def on_click(self, event: events.Click) -> None:
        """A click picks a row or a column to sort by, another one opens the row."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._click_heading(offset.x)
            return
        row = self.scroll_offset.y + offset.y - 1
        if row < self.count:
            self.cursor = row
            if event.chain == 2:
                self.open_row()

    def _click_heading(self, x: int) -> None:
        left = 1
        for column, width in zip(self.columns, self._widths(), strict=True):
            if left <= x < left + width and column.sort:
                self.post_message(self.HeadingClicked(self, column.sort))
            left += width + 1

    def render_line(self, y: int) -> Strip:
        """The heading in the first line, then the rows from where it is scrolled to."""
        width = self.scrollable_content_region.width
        if y == 0:
            return self._strip([(column.title, "heading") for column in self.columns], "heading")
        row = self.scroll_offset.y + y - 1
        if not self.count:
            lines = (self.loading_text or self.empty).split("\n")
            line = f"  {lines[y - 2]}" if 2 <= y < len(lines) + 2 else ""
            return Strip([Segment(set_cell_size(line, width), self._style("muted"))], width)
        if row >= self.count:
            return Strip.blank(width, self.rich_style)
        return self._strip(self.cells(row), "cursor" if row == self.cursor else "")

    def _widths(self) -> list[int]:
        fixed = sum(column.width for column in self.columns) + len(self.columns) + 1
        rest = max(self.scrollable_content_region.width - fixed, 8)
        return [column.width or rest for column in self.columns]

    def _strip(self, cells: Sequence[Cell], line: str) -> Strip:
        base = self._style(line)
        segments = [Segment(POINTER if line == "cursor" else " ", base)]
        for column, width, (text, colour) in zip(self.columns, self._widths(), cells, strict=True):
            # Under the cursor its own colours are the readable ones.
            style = base if line else self._style(colour)
            segments += [Segment(_fitted(text, width, right=column.right), style), Segment(" ", base)]
        return Strip(segments).adjust_cell_length(self.scrollable_content_region.width, base)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"table--{name}") if name else self.rich_style


def _fitted(text: str, width: int, *, right: bool) -> str:
    if not right:
        return fit(text, width)
    line = clip(text, width)
    return " " * (width - cell_len(line)) + line


_KEPT = 2_000
"""Rows that stay in memory, the last used ones."""
_AROUND = 40
"""Rows fetched above and below those in sight."""

Fetch = Callable[[Sequence[int]], Awaitable[Mapping[int, Sequence[Cell]]]]
"""Returns the cells of the rows with these ids; ids that are gone may be missing."""


class IdTable(RowTable):
    """Rows by id: their ids are all it holds, and its cursor stays with its id when the ids change."""

    DEFAULT_CSS = """
    IdTable { height: 1fr; background: $surface; color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("open", "select", "Details", "Show all about this row", show=False),
    ]

    @dataclass
    class Moved(TableMessage):
        """The cursor stands on another id; None when there are no rows."""

        row_id: int | None

    @dataclass
    class Selected(TableMessage):
        """The row was opened with enter or a double click."""

        row_id: int

    def __init__(self, columns: Sequence[Column], fetch: Fetch, *, empty: str = "", id: str | None = None) -> None:
        super().__init__(columns, empty=empty, id=id)
        self._fetch = fetch
        self.ids: array[int] = array("q")
        self._rows: OrderedDict[int, Sequence[Cell]] = OrderedDict()
        self._asked = False
        self._forgotten = 0

    @property
    def current(self) -> int | None:
        return self.ids[self.cursor] if 0 <= self.cursor < len(self.ids) else None

    def show(self, ids: array[int]) -> None:
        """Show other ids. The cursor stays with its id and on its line where the id is still there, else about where it was."""
        before, line = self.current, self.cursor - self.scroll_offset.y
        self.ids = ids
        self.loading_text = ""
        try:
            place = ids.index(before) if before is not None else 0
        except ValueError:
            place = min(self.cursor, max(len(ids) - 1, 0))
        self.show_count()
        self.scroll_to(y=max(place - line, 0), animate=False, force=True)
        self.set_reactive(IdTable.cursor, place)
        self.keep_in_sight()
        if self.current != before or before is None:
            self.post_message(self.Moved(self, self.current))

    def show_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns; the rows are fetched anew."""
        self.columns = tuple(columns)
        self.forget()

    def forget(self) -> None:
        """Fetch the rows anew: what they say may have changed. Rows on their way are dropped when they come."""
        self._forgotten += 1
        self._rows.clear()
        self.refresh()

    def show_loading(self, text: str) -> None:
        """Say in place of rows that they are being looked for, where there are none."""
        self.loading_text = text
        self.refresh()

    def moved(self) -> None:
        self.post_message(self.Moved(self, self.current))

    def seek(self, fits: Callable[[int], bool], *, again: bool) -> None:
        """Move the cursor to the next row whose id `fits`; behind the present one if `again`."""
        self.seek_row(lambda row: fits(self.ids[row]), again=again)

    def action_select(self) -> None:
        if self.current is not None:
            self.post_message(self.Selected(self, self.current))

    def open_row(self) -> None:
        self.action_select()

    @property
    def count(self) -> int:
        return len(self.ids)

    def cells(self, row: int) -> Sequence[Cell]:
        """The cells of a row that is there; in place of one that is still to come, its id."""
        row_id = self.ids[row]
        found = self._rows.get(row_id)
        if found is None:
            self._ask()
            return [(str(row_id), "muted"), *[("", "")] * (len(self.columns) - 2), ("…", "muted")]
        self._rows.move_to_end(row_id)
        return found

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self.call_next(self._ask_now)

    def _ask_now(self) -> None:
        self._asked = False
        start_latest(self, "rows", self._load)

    async def _load(self) -> None:
        top = self.scroll_offset.y
        near = self.ids[max(top - _AROUND, 0) : top + self.page + _AROUND]
        missing = [each for each in near if each not in self._rows]
        if not missing:
            return
        forgotten = self._forgotten
        try:
            found = await self._fetch(missing)
        except StudioError as error:
            self.post_message(ReadFailed(error))
            return
        if forgotten != self._forgotten:
            self._ask()
            return
        gone = [("(no longer there)" if place == len(self.columns) - 1 else "", "muted") for place in range(len(self.columns))]
        for each in missing:
            self._rows[each] = found.get(each, gone)
        while len(self._rows) > _KEPT:
            self._rows.popitem(last=False)
        self.refresh()
