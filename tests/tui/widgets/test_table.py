"""The table over ids: a million rows, fetched as they come into sight, from a source that is no pool."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from studio.errors import PoolError, StudioError
from studio.tui.base import ReadFailed
from studio.tui.widgets.table import Cell, Column, IdTable
from support.screens import NASTY_LINES, assert_harmless, seen, until

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

    def on_read_failed(self, event: ReadFailed) -> None:
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
