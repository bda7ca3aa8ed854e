"""The pool screen in an app of its own: finding, sorting, story, lineage, following, and what goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input, Select, Static

from studio.errors import PoolError
from studio.pool.browse import Browse, Keep, Kind, Selection, Sort
from studio.pool.pool import Pool, Queries
from studio.records import Instance, Origin, SeedTask, Source
from studio.tui.pool.detail import LineageTree, TaskDetail
from studio.tui.pool.listing import FilterBar, TaskTable
from studio.tui.pool.screen import PoolScreen
from support.bulk_pool import bulk_pool
from support.pools import make_pool
from support.screens import NASTY_LINES, Host, assert_harmless, seen, until
from support.sessions import chat_pool, mixed_pool

SIZE = (120, 40)
TASKS = 10 + 2 + 90


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return bulk_pool(tmp_path / "pool.db", 120)


def screen_of(path: Path) -> PoolScreen:
    return PoolScreen(path, typing_s=0, follow_s=3600)


@asynccontextmanager
async def opened(path: Path, size: tuple[int, int] = SIZE) -> AsyncIterator[tuple[Pilot[object], PoolScreen, TaskTable]]:
    """The screen of the pool at `path`, its list read."""
    screen = screen_of(path)
    async with Host(screen).run_test(size=size) as pilot:
        await until(pilot, lambda: screen.is_mounted and bool(screen.query(TaskTable)) and said(screen) != "")
        yield pilot, screen, screen.query_one(TaskTable)


def said(screen: PoolScreen) -> str:
    return str(screen.query_one("#said", Static).visual)


async def choose(pilot: Pilot[object], screen: PoolScreen, name: str, value: object) -> None:
    screen.query_one(f"#{name}", Select).value = value
    await pilot.pause()


async def test_it_opens_with_all_tasks_and_the_story_of_the_first(path: Path) -> None:
    async with opened(path) as (pilot, screen, table):
        assert len(table.ids) == TASKS
        await until(pilot, lambda: "Describe the animal with number 1." in seen(pilot.app))
        detail = screen.query_one(TaskDetail)
        await until(pilot, lambda: detail.story is not None)
        await until(pilot, lambda: "task 1: seed" in seen(pilot.app))
        assert f"{TASKS} tasks · by id ↑" in said(screen)


async def test_words_narrow_the_list_as_one_types_and_escape_brings_it_back(path: Path) -> None:
    async with opened(path) as (pilot, screen, table):
        await pilot.press("slash", *"pilo")
        # As many have its first letters.
        await until(pilot, lambda: "with “pilo”" in said(screen))
        assert len(table.ids) == 30
        await pilot.press("enter")
        assert table.has_focus
        await pilot.press("escape")
        await until(pilot, lambda: len(table.ids) == TASKS)


async def test_the_cursor_stays_with_its_task(path: Path) -> None:
    async with opened(path) as (pilot, _, table):
        await pilot.press("end")
        current = table.current
        assert current is not None
        await pilot.press("O")
        await until(pilot, lambda: table.ids[0] == current)
        assert table.current == current
        assert table.cursor == 0


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("origin", "seed", 10),
        ("origin", "imported", 0),
        ("class", "yes", 2 + 1 + 18),
        ("state", "retired", 0),
        ("state", "marked", 0),
    ],
)
async def test_choices_narrow_the_list(path: Path, name: str, value: str, found: int) -> None:
    async with opened(path) as (pilot, screen, table):
        await choose(pilot, screen, name, value)
        await until(pilot, lambda: len(table.ids) == found)
        if not found:
            await until(pilot, lambda: "Press Esc to see the whole list again" in seen(pilot.app))


async def test_rejected_candidates_by_reason_score_and_round(path: Path) -> None:
    async with opened(path) as (pilot, screen, table):
        await choose(pilot, screen, "kind", Kind.REJECTED)
        await until(pilot, lambda: table.kind is Kind.REJECTED and len(table.ids) == 31)
        await until(pilot, lambda: "not novel" in seen(pilot.app))
        await choose(pilot, screen, "reason", "too_short")
        await until(pilot, lambda: len(table.ids) == 15)
        screen.query_one("#rounds", Input).value = "101-111"
        await until(pilot, lambda: len(table.ids) == 2)
        screen.query_one("#scores", Input).value = ".1-.2"
        await until(pilot, lambda: list(table.ids) == [116])
        await until(pilot, lambda: "candidate c116: not in the pool" in seen(pilot.app))
        assert "too short · rounds 101–111 · score 0.1–0.2" in said(screen)


async def test_a_range_that_is_none_says_so_and_changes_nothing(path: Path) -> None:
    async with opened(path) as (pilot, screen, table):
        for text in ("x", "nan", "inf-", "5-x", "1e400", "-", "--"):
            screen.query_one("#rounds", Input).value = text
            await pilot.pause()
            assert screen.query_one("#rounds").has_class("-invalid"), text
        assert len(table.ids) == TASKS


async def test_sorting_by_key_and_by_heading(path: Path) -> None:
    async with opened(path) as (pilot, screen, table):
        await pilot.press("o")
        await until(pilot, lambda: "by score ↑" in said(screen))
        assert table.ids[0] == 101
        assert list(table.ids[-10:]) == list(range(1, 11))
        await pilot.click(table, offset=(7, 0))
        await until(pilot, lambda: "by id ↑" in said(screen))
        await pilot.click(table, offset=(7, 0))
        await until(pilot, lambda: "by id ↓" in said(screen))


async def test_what_the_list_is_sorted_by_stands_in_it(tmp_path: Path) -> None:
    path = chat_pool(tmp_path / "chat.db")
    async with opened(path, (140, 40)) as (pilot, screen, table):
        for sort, title in ((Sort.NATS, "nats"), (Sort.AGREEMENT, "agree"), (Sort.ANSWER_NATS, "a nats")):
            screen.query_one(FilterBar).sort_by(sort)
            await until(pilot, lambda title=title: title in [each.title for each in table.columns])  # type: ignore[misc]
            with Queries.open(path) as pool:
                ids = pool.browse.ids(Selection(sort=sort))
                [row] = pool.browse.rows(Kind.TASKS, ids[:1])
            await until(pilot, lambda ids=ids: list(table.ids) == list(ids))  # type: ignore[misc]
            table.focus()
            await pilot.press("home")
            value = getattr(row, sort.value)
            await until(pilot, lambda value=value: f"{value:.2f}" in seen(pilot.app))  # type: ignore[misc]
            assert f"by {sort.value.replace('_', ' ')}" in said(screen)
        screen.query_one(FilterBar).sort_by(Sort.ID)
        await until(pilot, lambda: "a nats" not in [each.title for each in table.columns])


async def test_a_task_that_the_model_wrote_by_itself_has_no_parents(tmp_path: Path) -> None:
    path = chat_pool(tmp_path / "chat.db", 1)
    with Queries.open(path) as pool:
        rows = pool.browse.rows(Kind.TASKS, pool.browse.ids(Selection()))
    first = next(row.id for row in rows if row.source is Source.TEMPLATE)
    async with opened(path) as (pilot, screen, table):
        await pilot.press("l")
        tree = screen.query_one(LineageTree)
        table.cursor = first - 1
        words = f"task {first} has no parents: no task was shown to the model when it wrote it"
        await until(pilot, lambda: bool(tree.root.children) and str(tree.root.children[0].label) == words)


async def test_lineage_up_to_the_seeds_and_down(path: Path) -> None:
    async with opened(path) as (pilot, screen, table):
        await pilot.press("l")
        tree = screen.query_one(LineageTree)
        await until(pilot, lambda: len(tree.root.children) == 2)
        up, down = tree.root.children
        assert str(up.label) == "task 1 has no parents: it is a seed"
        await until(pilot, lambda: len(down.children) > 2)
        table.cursor = 11
        await until(pilot, lambda: str(tree.root.children[0].label) == "parents of task 12 (8)" if tree.root.children else False)
        await until(pilot, lambda: len(tree.root.children[0].children) == 8)
        tree.focus()
        await pilot.press("down", "down", "enter")
        await until(
            pilot, lambda: (story := screen.query_one(TaskDetail).story) is not None and story.task is not None and story.task.id == 8
        )


async def test_lineage_lines_that_are_cut_say_so(tmp_path: Path) -> None:
    path = mixed_pool(tmp_path / "pool.db")
    with Queries.open(path) as reader:
        generated = reader.browse.ids(Selection(origin=Origin.GENERATED))
    async with opened(path) as (pilot, screen, table):
        table.cursor = list(table.ids).index(generated[0])
        await pilot.press("l")
        tree = screen.query_one(LineageTree)
        await until(pilot, lambda: bool(tree.root.children) and len(tree.root.children[0].children) == 8)
        width = tree.scrollable_content_region.width
        lines = [tree.render_line(y).text.rstrip() for y in range(1, 9)]
        assert all(cell_len(line) <= width for line in lines)
        assert any(cell_len(line) == width and line.endswith("…") for line in lines)
        assert not tree.show_horizontal_scrollbar


async def test_copying_sends_cleaned_text(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    Pool.create(path, [SeedTask("a", "", "Say \x1b]52;c;x\x07 it.", (Instance("in", "out"),), False)]).close()
    async with opened(path) as (pilot, screen, _):
        await until(pilot, lambda: screen.query_one(TaskDetail).story is not None)
        await pilot.press("ctrl+c")
        assert isinstance(pilot.app, Host)
        assert pilot.app.copied == "Say ␛]52;c;x␇ it.\n\nInput: in\nOutput: out"


async def test_it_follows_what_another_writes(path: Path) -> None:
    async with opened(path) as (pilot, screen, table):
        with Pool.open(path) as pool:
            pool.tasks.add([SeedTask("", "", "A task from elsewhere.", (Instance("", "x"),), False)], Origin.IMPORTED)
        screen._looked = 0.0
        screen._took_s = 0.0
        screen._follow()
        await until(pilot, lambda: len(table.ids) == TASKS + 1)


async def test_scores_narrow_the_list(tmp_path: Path) -> None:
    path = chat_pool(tmp_path / "pool.db")
    keep = Keep(max_nats=2.5, min_agreement=0.35)
    with Queries.open(path) as reader:
        expected = list(reader.browse.ids(Selection(keep=keep)))
    async with opened(path) as (pilot, screen, table):
        everything = len(table.ids)
        screen.query_one("#nats", Input).value = "2.5"
        screen.query_one("#agreement", Input).value = ".35"
        await until(pilot, lambda: sorted(table.ids) == sorted(expected))
        await until(pilot, lambda: "nats to 2.5" in said(screen) and "agreement from 0.35" in said(screen))
        assert 0 < len(expected) < everything
        screen.query_one("#agreement", Input).value = "3"
        await until(pilot, lambda: screen.query_one("#agreement").has_class("-invalid"))


async def test_narrow_screens_show_list_or_detail(path: Path) -> None:
    async with opened(path, (80, 24)) as (pilot, screen, table):
        assert not screen.query_one(TaskDetail).display
        await pilot.press("enter")
        await until(pilot, lambda: screen.query_one(TaskDetail).display and not screen.query_one("#list").display)
        await pilot.press("escape")
        assert table.has_focus
        assert not screen.query_one(TaskDetail).display
        assert screen.query_one(FilterBar).has_class("-folded")
        await pilot.press("f")
        assert not screen.query_one(FilterBar).has_class("-folded")


async def test_a_pool_that_is_not_there_is_said_on_the_screen(tmp_path: Path) -> None:
    screen = screen_of(tmp_path / "none.db")
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(screen.query("#said.-error")))
        assert "none.db" in said(screen)


async def test_a_pool_that_fails_while_reading_is_said_and_tried_again(path: Path) -> None:
    faults = [PoolError("the disk is gone", "put it back")]

    class Failing(Browse):
        def rows(self, kind: Kind, ids: Sequence[int]):  # type: ignore[no-untyped-def]
            if faults:
                raise faults[0]
            return super().rows(kind, ids)

    def failing(place: Path) -> Queries:
        opened = Queries.open(place)
        opened.browse = Failing(opened._database)
        return opened

    screen = PoolScreen(path, failing, typing_s=0, follow_s=3600)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "the disk is gone: put it back" in seen(pilot.app))
        faults.clear()
        await pilot.press("down")
        await until(pilot, lambda: "Describe the animal with number 1." in seen(pilot.app))


async def test_an_empty_pool_names_what_is_empty(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db", seeds=1)
    async with opened(path) as (pilot, screen, table):
        await choose(pilot, screen, "kind", Kind.REJECTED)
        await until(pilot, lambda: table.kind is Kind.REJECTED)
        await until(pilot, lambda: "No candidate has been rejected yet." in seen(pilot.app))


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 20), (20, 8)])
async def test_hostile_text_is_shown_as_marks(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "pool[@click=x]\x1b[31m.db"
    Pool.create(path, [SeedTask("", text, text, (Instance(text, text),), False) for text in NASTY_LINES]).close()
    async with opened(path, size) as (pilot, screen, table):
        detail = screen.query_one(TaskDetail)
        for place in range(len(NASTY_LINES)):
            table.cursor = place
            await until(pilot, lambda: detail.story is not None and detail.story.task is not None and detail.story.task.id == table.current)
            assert_harmless(pilot.app)
        await pilot.press("l")
        await pilot.pause()
        assert_harmless(pilot.app)
        screen.query_one("#words", Input).value = "\x1b]52;[/foo] \u202e"
        await until(pilot, lambda: len(table.ids) == 0)
        assert_harmless(pilot.app)
