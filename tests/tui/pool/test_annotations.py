"""Tags and notes on the pool screen, and the filters by what people said of tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Select, Static

from studio.loop.session import Session
from studio.pool.browse import Keep, Kind, Selection
from studio.pool.pool import Pool
from studio.pool.reviews import ReviewPlan
from studio.pool.tasks import Annotation
from studio.tui.dialogs.edit import AnnotationDialog
from studio.tui.pool.detail import TaskDetail
from studio.tui.pool.listing import FilterBar, TaskTable, words_of
from studio.tui.pool.screen import PoolScreen
from studio.tui.steering import Steerer
from support.reviews import reviewed, sheet
from support.screens import NASTY_LINES, AtOnce, Host, assert_harmless, seen, until
from support.sessions import pool_of, session_in

SIZE = (120, 40)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    path = tmp_path / "pool.db"
    reviewed(path, ReviewPlan(6, "x"), {"anna": sheet("yyy yyn nnn")})
    with Pool.open(path) as pool:
        yield session_in(pool, force=True)


def screen_of(session: Session) -> PoolScreen:
    return PoolScreen(pool_of(session).path, steerer=Steerer(AtOnce(session)), typing_s=0, follow_s=3600)


async def at_first(pilot: Pilot[object], screen: PoolScreen) -> TaskTable:
    await until(pilot, lambda: screen.is_mounted and bool(screen.query(TaskTable)))
    table, detail = screen.query_one(TaskTable), screen.query_one(TaskDetail)
    await until(pilot, lambda: detail.story is not None and detail.story.task is not None and "task 1:" in seen(pilot.app))
    return table


async def test_tags_and_note_are_given_shown_changed_and_taken_back(session: Session) -> None:
    screen, reader = screen_of(session), pool_of(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_first(pilot, screen)
        await pilot.press("N")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnnotationDialog))
        await pilot.press(*"good, to  check,good", "tab", *"see", "enter")
        assert reader.tasks.annotation(1) == Annotation(("good", "to check"), "see")
        await until(pilot, lambda: "tags: good, to check" in seen(pilot.app) and "note: see" in seen(pilot.app))
        await pilot.press("N")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnnotationDialog))
        await pilot.press("tab", *" it", "escape")
        assert reader.tasks.annotation(1).note == "see"
        await pilot.press("N")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnnotationDialog))
        await pilot.press("tab", *" it", "enter")
        assert reader.tasks.annotation(1) == Annotation(("good", "to check"), "see it")
        await pilot.press("u")
        assert reader.tasks.annotation(1).note == "see"
        await pilot.press("u")
        assert reader.tasks.annotation(1) == Annotation()
        await until(pilot, lambda: "tags:" not in seen(pilot.app))
        await pilot.press("U")
        assert reader.tasks.annotation(1).note == "see"


async def test_hostile_tags_and_notes_are_shown_harmless(session: Session) -> None:
    screen = screen_of(session)
    session.steering.annotate(1, NASTY_LINES[:3], "\n".join(NASTY_LINES))
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_first(pilot, screen)
        assert_harmless(pilot.app)
        await pilot.press("N")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnnotationDialog))
        assert_harmless(pilot.app)


async def test_without_steering_there_is_no_such_key(session: Session) -> None:
    screen = PoolScreen(pool_of(session).path, typing_s=0, follow_s=3600)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_first(pilot, screen)
        await pilot.press("N")
        assert pilot.app.screen is screen
        assert "Tags" not in seen(pilot.app).splitlines()[-1]


async def test_the_list_is_narrowed_by_tag_and_quality(session: Session) -> None:
    screen, reader = screen_of(session), pool_of(session)
    session.steering.annotate(3, ("good",), "")
    session.steering.annotate(5, ("good", "long"), "")
    tasks = [item.task_id for item in reader.reviews.items(1)]
    async with Host(screen).run_test(size=SIZE) as pilot:
        table = await at_first(pilot, screen)
        whole = list(table.ids)
        await pilot.press("f")
        screen.query_one("#tag", Input).value = "good"
        await until(pilot, lambda: list(table.ids) == [3, 5])
        assert "tagged “good”" in str(screen.query_one("#said", Static).visual)
        screen.query_one("#tag", Input).value = ""
        screen.query_one("#quality", Input).value = ".67"
        await until(pilot, lambda: list(table.ids) == sorted(tasks[:2]))
        assert "quality from 0.67" in str(screen.query_one("#said", Static).visual)
        screen.query_one("#quality", Input).value = "0"
        await until(pilot, lambda: list(table.ids) == sorted(tasks[:3]))
        screen.query_one("#quality", Input).value = "2"
        await until(pilot, lambda: screen.query_one("#quality").has_class("-invalid"))
        await until(pilot, lambda: list(table.ids) == whole)
        session.steering.annotate(7, (), "see")
        screen.query_one("#quality", Input).value = ""
        screen.query_one("#state", Select).value = "noted"
        await until(pilot, lambda: list(table.ids) == [7])
        assert "with a note" in str(screen.query_one("#said", Static).visual)
        screen.query_one(FilterBar).reset()
        assert screen.query_one("#quality", Input).value == ""


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_both_filters_can_be_seen(session: Session, size: tuple[int, int]) -> None:
    screen = screen_of(session)
    async with Host(screen).run_test(size=size) as pilot:
        await until(pilot, lambda: screen.is_mounted and bool(screen.query(TaskTable)))
        await pilot.press("f")
        await until(pilot, lambda: "quality from" in seen(pilot.app))
        assert "any, or .67" in seen(pilot.app)


def test_rejected_candidates_know_no_tags(session: Session) -> None:
    wanted = Selection(kind=Kind.REJECTED, keep=Keep(1.0, tags=("good",)))
    assert len(pool_of(session).browse.ids(wanted)) == len(pool_of(session).browse.ids(Selection(kind=Kind.REJECTED)))
    assert list(words_of(wanted)) == []
