"""A table over ids: a million rows cost their ids only, the rows in sight are fetched when they come into sight."""

from __future__ import annotations

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
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from studio.errors import StudioError
from studio.tui.base import start_latest
from studio.tui.cells import POINTER, clip, fit
from studio.tui.keys import bind


class StillView(ScrollView):
    """Its lines come and go, and its scrollbar stays where it is: unseen where everything fits.

    Textual's has the screen laid out when a scrollbar comes or goes, and draws the scrollbar anew, line by line, with every layout of the
    screen: that took a third of the time of a key.
    """

    DEFAULT_CSS = """
    StillView {
        overflow-y: scroll;
        scrollbar-background: transparent;
        scrollbar-background-hover: transparent;
        scrollbar-background-active: transparent;
    }
    """

    _laid_out: Size | None = None

    def set_lines(self, lines: int) -> None:
        """Let so many lines be scrolled over."""
        self.set_reactive(Widget.virtual_size, Size(self.virtual_size.width, lines))
        if self.is_mounted:
            self.vertical_scrollbar.window_virtual_size = lines
            self.scroll_y = min(self.scroll_y, self.max_scroll_y)

    def refresh_line(self, y: int) -> None:
        """Draw line `y` again, wherever it is scrolled to."""
        self.refresh_lines(y)

    def refresh_lines(self, y_start: int, line_count: int = 1) -> None:
        """Draw those of the lines again that are in sight, and not the scrollbar beside them."""
        area = self.scrollable_content_region
        top = max(y_start - self.scroll_offset.y, 0)
        bottom = min(y_start + line_count - self.scroll_offset.y, area.height)
        if bottom > top:
            self.refresh(Region(0, top, area.width, bottom - top))

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        if size == self._laid_out:
            return False
        self._laid_out = size
        return super()._size_updated(size, virtual_size, container_size, layout)


_KEPT = 2_000
"""Rows that stay in memory, the last used ones."""
_AROUND = 40
"""Rows fetched above and below those in sight."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `width` 0 takes what the others leave. `sort` is what a click on its heading asks for, empty for nothing."""

    title: str
    width: int
    right: bool = False
    sort: str = ""


Cell = tuple[str, str]
"""A cell's text and the name of its colour: empty, `muted`, `good`, `bad` or `note`. The text may be anything, it is cleaned here."""

Fetch = Callable[[Sequence[int]], Awaitable[Mapping[int, Sequence[Cell]]]]
"""Returns the cells of the rows with these ids; ids that are gone may be missing."""


class IdTable(StillView, can_focus=True):
    """Rows by id under a fixed heading, with a cursor that stays with its id when the ids change."""

    DEFAULT_CSS = """
    IdTable {
        height: 1fr; background: $surface; color: $foreground;
        overflow-x: hidden; scrollbar-size-vertical: 1;
    }
    IdTable > .id-table--heading { text-style: bold; color: $text-muted; background: $panel; }
    IdTable > .id-table--cursor { background: $block-cursor-blurred-background; color: $block-cursor-blurred-foreground; }
    IdTable:focus > .id-table--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: $block-cursor-text-style;
    }
    IdTable > .id-table--muted { color: $text-muted; }
    IdTable > .id-table--good { color: $text-success; }
    IdTable > .id-table--bad { color: $text-error; }
    IdTable > .id-table--note { color: $text-warning; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"id-table--{name}" for name in ("heading", "cursor", "muted", "good", "bad", "note")}
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("up", "move(-1)", "Up", "The row above", show=False),
        bind("down", "move(1)", "Down", "The row below", show=False),
        bind("page-up", "move_page(-1)", "Page up", "A page up", show=False),
        bind("page-down", "move_page(1)", "Page down", "A page down", show=False),
        bind("first", "move_to(0)", "First", "The first row", show=False),
        bind("last", "move_to(-1)", "Last", "The last row", show=False),
        bind("open", "select", "Details", "Show all about this row", show=False),
    ]
    cursor: reactive[int] = reactive(0, repaint=False)

    class Moved(Message):
        """The cursor stands on another id; None when there are no rows."""

        def __init__(self, table: IdTable, row_id: int | None) -> None:
            super().__init__()
            self.table = table
            self.row_id = row_id

        @property
        def control(self) -> IdTable:
            return self.table

    class Selected(Message):
        """The row was opened with enter or a double click."""

        def __init__(self, table: IdTable, row_id: int) -> None:
            super().__init__()
            self.table = table
            self.row_id = row_id

        @property
        def control(self) -> IdTable:
            return self.table

    class HeadingClicked(Message):
        """The heading of a column that sorts was clicked."""

        def __init__(self, table: IdTable, sort: str) -> None:
            super().__init__()
            self.table = table
            self.sort = sort

        @property
        def control(self) -> IdTable:
            return self.table

    class Failed(Message):
        """Rows could not be fetched."""

        def __init__(self, error: StudioError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, columns: Sequence[Column], fetch: Fetch, *, empty: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.empty = empty
        self.loading_text = ""
        self._fetch = fetch
        self._ids: array[int] = array("q")
        self._rows: OrderedDict[int, Sequence[Cell]] = OrderedDict()
        self._asked = False
        self._forgotten = 0

    @property
    def ids(self) -> array[int]:
        return self._ids

    @property
    def current(self) -> int | None:
        """The id under the cursor."""
        return self._ids[self.cursor] if 0 <= self.cursor < len(self._ids) else None

    def show(self, ids: array[int]) -> None:
        """Show other ids. The cursor stays with its id and on its line where the id is still there, else about where it was."""
        before, line = self.current, self.cursor - self.scroll_offset.y
        self._ids = ids
        self.loading_text = ""
        try:
            place = ids.index(before) if before is not None else 0
        except ValueError:
            place = min(self.cursor, max(len(ids) - 1, 0))
        self.set_lines(len(ids) + 1)
        self.scroll_to(y=max(place - line, 0), animate=False, force=True, immediate=True)
        self.set_reactive(IdTable.cursor, place)
        self._keep_in_sight()
        self.refresh()
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

    def watch_cursor(self, before: int, after: int) -> None:
        self._keep_in_sight()
        self.refresh()
        if before != after:
            self.post_message(self.Moved(self, self.current))

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self._ids) - 1))

    def seek(self, fits: Callable[[int], bool], *, again: bool) -> None:
        """Move the cursor to the next row whose id `fits`; behind the present one if `again`."""
        count = len(self._ids)
        for step in range(1 if again else 0, count + 1 if count else 0):
            place = (self.cursor + step) % count
            if fits(self._ids[place]):
                self.cursor = place
                return

    def action_move(self, rows: int) -> None:
        self.cursor += rows

    def action_move_page(self, pages: int) -> None:
        self.cursor += pages * max(self._page - 1, 1)

    def action_move_to(self, row: int) -> None:
        self.cursor = row if row >= 0 else len(self._ids) - 1

    def action_select(self) -> None:
        if self.current is not None:
            self.post_message(self.Selected(self, self.current))

    def on_resize(self) -> None:
        self._keep_in_sight()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._click_heading(offset.x)
            return
        row = self.scroll_offset.y + offset.y - 1
        if row < len(self._ids):
            self.cursor = row
            if event.chain == 2:
                self.action_select()

    def render_line(self, y: int) -> Strip:
        width = self._width
        if y == 0:
            cells = [(column.title, "heading") for column in self.columns]
            return self._strip(cells, "heading")
        row = self.scroll_offset.y + y - 1
        if not self._ids:
            text = self.loading_text or self.empty
            lines = text.split("\n")
            line = f"  {lines[y - 2]}" if 2 <= y < len(lines) + 2 else ""
            return Strip([Segment(set_cell_size(line, width), self._style("muted"))], width)
        if row >= len(self._ids):
            return Strip.blank(width, self.rich_style)
        row_id = self._ids[row]
        found = self._rows.get(row_id)
        if found is None:
            self._ask()
            found = [(str(row_id), "muted"), *[("", "")] * (len(self.columns) - 2), ("…", "muted")]
        else:
            self._rows.move_to_end(row_id)
        return self._strip(found, "cursor" if row == self.cursor else "")

    @property
    def _page(self) -> int:
        return max(self.size.height - 1, 1)

    @property
    def _width(self) -> int:
        """The cells of a line, without the scrollbar."""
        return self.scrollable_content_region.width

    def _keep_in_sight(self) -> None:
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True, immediate=True)
        elif self.cursor >= top + self._page:
            self.scroll_to(y=self.cursor - self._page + 1, animate=False, force=True, immediate=True)

    def _widths(self) -> list[int]:
        fixed = sum(column.width for column in self.columns) + len(self.columns) + 1
        rest = max(self._width - fixed, 8)
        return [column.width or rest for column in self.columns]

    def _strip(self, cells: Sequence[Cell], line: str) -> Strip:
        base = self._style(line)
        segments = [Segment(POINTER if line == "cursor" else " ", base)]
        for column, width, (text, colour) in zip(self.columns, self._widths(), cells, strict=True):
            # Under the cursor its own colours are the readable ones.
            style = base if line else self._style(colour)
            segments += [Segment(_fitted(text, width, right=column.right), style), Segment(" ", base)]
        return Strip(segments).adjust_cell_length(self._width, base)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"id-table--{name}") if name else self.rich_style

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self.call_next(self._ask_now)

    def _ask_now(self) -> None:
        self._asked = False
        start_latest(self, "rows", self._load)

    async def _load(self) -> None:
        top = self.scroll_offset.y
        near = self._ids[max(top - _AROUND, 0) : top + self._page + _AROUND]
        missing = [each for each in near if each not in self._rows]
        if not missing:
            return
        forgotten = self._forgotten
        try:
            found = await self._fetch(missing)
        except StudioError as error:
            self.post_message(self.Failed(error))
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

    def _click_heading(self, x: int) -> None:
        left = 1
        for column, width in zip(self.columns, self._widths(), strict=True):
            if left <= x < left + width and column.sort:
                self.post_message(self.HeadingClicked(self, column.sort))
            left += width + 1


def _fitted(text: str, width: int, *, right: bool) -> str:
    if not right:
        return fit(text, width)
    line = clip(text, width)
    return " " * (width - cell_len(line)) + line
