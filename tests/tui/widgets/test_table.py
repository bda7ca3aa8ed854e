"""The table over ids: a million rows, fetched as they come into sight, from a source that is no pool.

Lines that come and go under a scrollbar: it tells of them, and the screen stays as it is laid out.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Mapping, Sequence

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.widgets import Static

from studio.errors import PoolError, StudioError
from studio.tui.widgets.table import Cell, Column, IdTable, StillView
from support.screens import NASTY_LINES, assert_harmless, layouts, seen, until

MILLION = 1_000_000


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.moved: list[int | None] = []
        self.errors: list[StudioError] = []
        self.fault = False
        self.gone: set[int] = set()
        self.table = IdTable((Column("id", 9, right=True, sort="id"), Column("text", 0)), self.fetch, empty="nothing here")

    def compose(self) -> ComposeResult:
        yield self.table

    async def fetch(self, ids: Sequence[int]) -> Mapping[int, Sequence[Cell]]:
        if self.fault:
            raise PoolError("no disk")
        self.asked += ids
        return {each: ((str(each), "muted"), (f"row {each}", "")) for each in ids if each not in self.gone}

    def on_id_table_moved(self, event: IdTable.Moved) -> None:
        self.moved.append(event.row_id)

    def on_id_table_failed(self, event: IdTable.Failed) -> None:
        self.errors.append(event.error)


async def shows(pilot: Pilot[None], text: str) -> None:
    await until(pilot, lambda: text in seen(pilot.app))


async def test_a_million_rows_fetch_only_what_is_in_sight() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        app.table.show(array("q", range(1, MILLION + 1)))
        app.table.focus()
        await shows(pilot, "row 1 ")
        await pilot.press("end")
        await shows(pilot, f"row {MILLION} ")
        assert app.table.current == MILLION
        for key, row in (("pageup", MILLION - 22), ("home", 1), ("pagedown", 23), ("j", 24), ("k", 23), ("G", MILLION), ("g", 1)):
            await pilot.press(key)
            assert app.table.current == row, key
            await shows(pilot, f"row {row} ")
        assert len(app.asked) < 400
        assert len(app.asked) == len(set(app.asked))


async def test_only_so_many_rows_stay_in_memory() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        app.table.show(array("q", range(MILLION)))
        for row in range(0, 100_000, 2_000):
            app.table.cursor = row
            await shows(pilot, f"row {row} ")
        assert len(app.table._rows) <= 2_000


async def test_the_cursor_keeps_its_id_and_its_line() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        app.table.show(array("q", range(1000)))
        app.table.cursor = 500
        await shows(pilot, "row 500 ")
        line = app.table.cursor - app.table.scroll_offset.y
        app.moved.clear()
        app.table.show(array("q", range(0, 1000, 2)))
        await shows(pilot, "row 500 ")
        assert app.table.current == 500
        assert app.table.cursor - app.table.scroll_offset.y == line
        assert app.moved == []
        app.table.show(array("q", [7, 8]))
        assert app.table.current == 8
        app.table.show(array("q"))
        assert app.table.current is None
        await shows(pilot, "nothing here")
        await pilot.press("down", "up", "end", "home", "pagedown", "enter")
        app.table.show(array("q", [3]))
        assert app.table.current == 3


async def test_rows_that_are_gone_and_rows_that_cannot_be_read() -> None:
    app = Host()
    app.gone = {2}
    async with app.run_test(size=(80, 24)) as pilot:
        app.table.show(array("q", [1, 2, 3]))
        await shows(pilot, "(no longer there)")
        app.fault = True
        app.table.forget()
        await until(pilot, lambda: bool(app.errors))
        app.fault = False
        app.gone = set()
        app.table.forget()
        await shows(pilot, "row 2 ")


async def test_rows_on_their_way_are_dropped_when_the_columns_change() -> None:
    app = Host()
    held = asyncio.Event()

    async def slow(ids: Sequence[int]) -> Mapping[int, Sequence[Cell]]:
        columns = len(app.table.columns)
        await held.wait()
        return {each: [(f"{columns} columns", "")] * columns for each in ids}

    app.table._fetch = slow
    async with app.run_test(size=(80, 24)) as pilot:
        app.table.show(array("q", range(5)))
        await pilot.pause()
        app.table.show_columns((Column("a", 12), Column("b", 12), Column("c", 0)))
        held.set()
        await shows(pilot, "3 columns")
        assert "2 columns" not in seen(app)


async def test_mouse_selects_rows_and_sorts_by_headings() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        app.table.show(array("q", range(100)))
        await pilot.click(app.table, offset=(20, 6))
        assert app.table.current == 5
        await pilot.click(app.table, offset=(20, 0))
        assert app.table.current == 5


async def test_a_storm_of_sizes_and_ids() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        for place, size in enumerate(((200, 60), (3, 2), (60, 20), (1, 1), (120, 40))):
            await pilot.resize_terminal(*size)
            app.table.show(array("q", range(place * 100)))
            app.table.cursor = place * 99
            await pilot.press("end", "home", "pagedown")
        await shows(pilot, "row 38 ")


async def test_hostile_cells_are_one_clean_line_each() -> None:
    app = Host()

    async def nasty(ids: Sequence[int]) -> Mapping[int, Sequence[Cell]]:
        return {each: ((NASTY_LINES[each], ""), (NASTY_LINES[each], "bad")) for each in ids}

    app.table._fetch = nasty
    async with app.run_test(size=(80, 24)) as pilot:
        app.table.show(array("q", range(len(NASTY_LINES))))
        await shows(pilot, "[/foo] [red]not red[/]")
        assert_harmless(app)
        assert "x…" in seen(app)
        assert {cell_len(line) for line in seen(app).splitlines()} == {80}


class Lines(StillView):
    """Forty lines."""

    def on_mount(self) -> None:
        self.set_lines(40)

    def render_line(self, y: int) -> Strip:
        return Strip([Segment(f"{self.scroll_offset.y + y}")])


class TextUnderLines(App[None]):
    """A text below lines that scroll."""

    CSS = "Lines { height: 5; } Static { height: auto; }"

    def compose(self) -> ComposeResult:
        yield Lines()
        yield Static("one", markup=False)


async def test_lines_come_and_go_without_a_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TextUnderLines().run_test(size=(20, 12)) as pilot:
        lines = pilot.app.query_one(Lines)
        bar = lines.vertical_scrollbar
        await pilot.pause()
        with layouts(monkeypatch) as counted:
            for count, most, thumb in ((80, 75, True), (3, 0, False), (5, 0, False), (6, 1, True)):
                lines.set_lines(count)
                await pilot.pause()
                assert lines.max_scroll_y == most
                acts = [segment.style.meta for line in bar.render_lines(bar.size.region) for segment in line if segment.style]
                assert ({"@mouse.down": "grab"} in acts) is thumb, f"with {count} lines"
        assert not counted


async def test_nobody_is_left_below_the_last_line() -> None:
    async with TextUnderLines().run_test(size=(20, 12)) as pilot:
        lines = pilot.app.query_one(Lines)
        await pilot.pause()
        lines.scroll_end(animate=False)
        await pilot.pause()
        assert seen(pilot.app).startswith("35")
        lines.set_lines(10)
        await pilot.pause()
        assert seen(pilot.app).startswith("5 ")


async def test_a_layout_leaves_the_scrollbar_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TextUnderLines().run_test(size=(20, 12)) as pilot:
        lines, static = pilot.app.query_one(Lines), pilot.app.query_one(Static)
        await pilot.pause()
        drawn: list[None] = []
        render = ScrollBar.render

        def count(self: ScrollBar) -> object:
            drawn.append(None)
            return render(self)

        monkeypatch.setattr(ScrollBar, "render", count)
        with layouts(monkeypatch) as counted:
            static.update("one\ntwo")
            await pilot.pause()
        assert counted and not drawn
        lines.set_lines(3)
        lines.styles.height = 2
        await pilot.pause()
        assert drawn and lines.max_scroll_y == 1
