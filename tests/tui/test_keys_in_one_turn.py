"""Keys that come together: each acts on the row that is under the cursor then, on what the pool says of it then, and opens one window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Select

from studio.loop.session import Session
from studio.pool.browse import Kind
from studio.pool.pool import Pool, Queries
from studio.records import TaskState, Verdict
from studio.tui.app import StudioApp
from studio.tui.dialogs.edit import AnnotationDialog, EditDialog, InstancesDialog
from studio.tui.dialogs.export import ExportDialog
from studio.tui.insight.what_if import WhatIfPane
from studio.tui.pool.detail import LineageTree, TaskDetail
from studio.tui.pool.listing import TaskTable
from studio.tui.pool.screen import PoolScreen
from studio.tui.round.decisions import DecisionTable
from studio.tui.round.screen import StudioScreen
from studio.tui.steering import Steerer
from studio.tui.study.answers import ReviewScreen
from studio.tui.study.entry import CompareDialog, ReviewDialog
from studio.tui.widgets.fields import LimitBar
from support.pools import actions
from support.reviews import rated
from support.screens import AtOnce, Host, burst, seen, until
from support.sessions import configuration, played, session_in
from support.studio_app import Driven, scripted, studio

SIZE = (120, 40)
ASKED = configuration(threshold=0.4)


def mixed(path: Path, rounds: int = 1) -> Path:
    return played(path, rounds, ASKED, seeds=60)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Pool.open(mixed(tmp_path / "pool.db")) as pool:
        yield session_in(pool, asked=ASKED)


def screen_of(session: Session) -> PoolScreen:
    return PoolScreen(session._context.pool.path, steerer=Steerer(AtOnce(session)), typing_s=0, follow_s=3600)


async def last_generated(pilot: Pilot[Any], screen: PoolScreen) -> tuple[int, int]:
    """Put the cursor above the last task, show all about the one it is on, and return both: generated ones, with instances."""
    await until(pilot, lambda: screen.is_mounted and bool(screen.query(TaskTable)))
    table, detail = screen.query_one(TaskTable), screen.query_one(TaskDetail)
    await until(pilot, lambda: len(table.ids) > 61)
    table.cursor = len(table.ids) - 2
    await until(pilot, lambda: detail.shown == f"t{table.ids[-2]}")
    return table.ids[-2], table.ids[-1]


async def test_a_key_acts_on_the_row_under_the_cursor_not_on_the_story_beside_it(session: Session) -> None:
    screen, reader = screen_of(session), session.steering.reader
    host = Host(screen)
    async with host.run_test(size=SIZE) as pilot:
        before, after = await last_generated(pilot, screen)
        await burst(pilot, "k", "j", "delete", "m", "t")
        assert (reader.tasks.get(before).state, reader.tasks.get(after).state) == (TaskState.RETIRED, TaskState.ACTIVE)
        candidate = reader.candidates.of_task(before)
        assert candidate is not None and reader.candidates.decisions(candidate.id)[-1].verdict is Verdict.REJECTED
        for _ in range(3):
            session.steering.undo()
        await burst(pilot, "j", "delete")
        assert (reader.tasks.get(before).state, reader.tasks.get(after).state) == (TaskState.ACTIVE, TaskState.RETIRED)
        await until(pilot, lambda: screen.query_one(TaskDetail).shown == f"t{after}")
        await burst(pilot, "delete", "delete", "delete", "k", "ctrl+c")
        assert reader.tasks.get(after).state is TaskState.ACTIVE
        await until(pilot, lambda: host.copied.startswith(reader.tasks.get(before).instruction))


@pytest.mark.parametrize(("key", "kind"), [("N", AnnotationDialog), ("e", EditDialog), ("i", InstancesDialog)])
async def test_a_window_is_opened_once_and_for_the_row_under_the_cursor(session: Session, key: str, kind: type) -> None:
    screen, reader = screen_of(session), session.steering.reader
    async with Host(screen).run_test(size=SIZE) as pilot:
        _, after = await last_generated(pilot, screen)
        candidate = reader.candidates.of_task(after)
        assert candidate is not None
        await burst(pilot, "j", key, key)
        assert [type(each) for each in pilot.app.screen_stack[1:]] == [PoolScreen, kind]
        title = {"e": f"Candidate c{candidate.id}", "i": f"Instances of task #{after}", "N": f"Tags and note of task {after}"}[key]
        await until(pilot, lambda: title in seen(pilot.app))


async def test_a_verdict_is_turned_as_it_stands_when_the_key_is_pressed(session: Session) -> None:
    screen, reader = screen_of(session), session.steering.reader
    async with Host(screen).run_test(size=SIZE) as pilot:
        await last_generated(pilot, screen)
        screen.query_one("#kind", Select).value = Kind.REJECTED
        table = screen.query_one(TaskTable)
        await until(pilot, lambda: table.kind is Kind.REJECTED and len(table.ids) > 1)
        first, second = table.ids[:2]
        await burst(pilot, "j", "t", "t", "t")
        assert [reader.candidates.decisions(each)[-1].verdict for each in (first, second)] == [Verdict.REJECTED, Verdict.ACCEPTED]


async def test_a_story_that_comes_late_is_dropped(session: Session) -> None:
    screen = screen_of(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        before, after = await last_generated(pilot, screen)
        detail = screen.query_one(TaskDetail)
        detail.show_row(Kind.TASKS, after)
        detail.show_row(Kind.TASKS, None)
        screen.query_one("#words").focus()
        for _ in range(20):
            await pilot.pause(0.01)
            assert detail.story is None and (detail.wanted, detail.shown) == ("", "")
        detail.show_again()
        detail.show_row(Kind.TASKS, after)
        detail.show_row(Kind.TASKS, before)
        await until(pilot, lambda: detail.story is not None)
        assert detail.story is not None and detail.story.task is not None and detail.story.task.id == before


async def test_back_in_the_list_keys_are_for_its_row_again_not_for_a_relative(session: Session) -> None:
    screen, reader = screen_of(session), session.steering.reader
    async with Host(screen).run_test(size=SIZE) as pilot:
        task, _ = await last_generated(pilot, screen)
        await pilot.press("l")
        tree = screen.query_one(LineageTree)
        await until(pilot, lambda: bool(tree.root.children) and bool(tree.root.children[0].children))
        await pilot.pause()
        tree.move_cursor(tree.root.children[0].children[0])
        await pilot.press("enter")
        await until(pilot, lambda: screen.chosen != f"t{task}")
        relative = int(str(screen.chosen)[1:])
        await burst(pilot, "delete")
        assert reader.tasks.get(relative).state is TaskState.RETIRED
        await burst(pilot, "escape", "delete")
        assert reader.tasks.get(task).state is TaskState.RETIRED


async def test_only_what_is_shown_of_what_if_is_applied(tmp_path: Path) -> None:
    async with studio(mixed(tmp_path / "pool.db"), asked=ASKED, size=SIZE) as driven:
        await driven.press("3", "]")
        pane = driven.app.screen.query_one(WhatIfPane)
        await driven.until(lambda: pane.preview is not None)
        for _ in range(20):
            await driven.pilot.press("left")
            if pane.preview is None:
                await driven.until(lambda: pane.preview is not None)
            if pane.preview is not None and pane.preview.flips:
                break
        assert pane.preview is not None and pane.preview.flips and driven.app.screen.focused is pane.query_one("#threshold", LimitBar)
        await burst(driven.pilot, "left", "ctrl+s")
        await driven.idle()
        with Queries.open(tmp_path / "pool.db") as reader:
            assert actions(reader) == []


async def test_in_the_decision_table_each_key_turns_the_verdict_that_stands(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=SIZE) as driven:
        for _ in range(3):
            await driven.press("s")
        driven.screen.query_one(DecisionTable).focus()
        view = driven.screen.live.view
        assert view is not None
        before = [each.verdict for each in view.candidates]
        await burst(driven.pilot, "j", "t", "t", "t", "j", "t", "t")
        await driven.idle()
        view = driven.screen.live.view
        assert view is not None
        assert [place for place, each in enumerate(view.candidates) if each.verdict is not before[place]] == [1]


async def reviewing(driven: Driven) -> ReviewScreen:
    await driven.press("v")
    await driven.until(lambda: isinstance(driven.app.screen, ReviewDialog))
    await driven.press("ctrl+s")
    await driven.until(lambda: isinstance(driven.app.screen, ReviewScreen) and bool(driven.app.screen.query("#item")))
    assert isinstance(driven.app.screen, ReviewScreen)
    return driven.app.screen


async def test_in_a_review_keys_wait_for_the_undo_before_them(tmp_path: Path) -> None:
    async with studio(mixed(tmp_path / "pool.db"), asked=ASKED, size=SIZE) as driven:
        screen = await reviewing(driven)
        await driven.press(*"yyy")
        assert screen.walk.position == 1
        await burst(driven.pilot, "u", "n", "u", "u", "y", "U", "n")
        await driven.until(lambda: not screen._waiting and not screen._turning)
        await driven.idle()
        with Queries.open(tmp_path / "pool.db") as reader:
            assert reader.reviews.said(1, screen.walk.rater) == {0: rated("yyn")}
        # What comes when the screen has gone is drawn nowhere.
        await burst(driven.pilot, "u", "escape", "escape")
        await driven.idle()
        assert isinstance(driven.app.screen, StudioScreen)
        await reviewing(driven)
        await driven.press("2", "v")
        await driven.until(lambda: isinstance(driven.app.screen, ReviewScreen))
        assert sum(isinstance(each, ReviewScreen) for mode in ("studio", "pool") for each in driven.app.get_screen_stack(mode)) == 1


@pytest.mark.parametrize(
    ("keys", "windows"),
    [
        ("vvx", [ReviewDialog]),
        ("xxv", [ExportDialog]),
        ("vcv", [ReviewDialog]),
        ("v2v", [ReviewDialog]),
        ("eei", [EditDialog]),
        ("iie", [InstancesDialog]),
        ("ccx", [CompareDialog]),
    ],
)
async def test_a_window_is_opened_once(tmp_path: Path, keys: str, windows: list[type]) -> None:
    async with studio(mixed(tmp_path / "pool.db"), asked=ASKED, size=SIZE) as driven:
        table = driven.screen.query_one(DecisionTable)
        table.focus()
        table.cursor = next(place for place, row in enumerate(driven.screen._rows()) if row.accepted)
        await driven.pilot.pause()
        await burst(driven.pilot, *keys)
        await driven.idle()
        found = [type(each) for each in driven.app.screen_stack[1:]]
        # Without two evaluations there is nothing to compare, and the third key is free to act.
        assert found == (windows if windows != [CompareDialog] else found[:1]), found


@pytest.mark.parametrize("keys", ["qqx", "q2", "qv", "qe", "q?"])
async def test_keys_behind_the_one_that_quits_do_nothing(tmp_path: Path, keys: str) -> None:
    async with studio(mixed(tmp_path / "pool.db"), asked=ASKED, size=SIZE) as driven:
        await burst(driven.pilot, *keys)
        await until(driven.pilot, lambda: not driven.app.is_running)


async def test_the_picker_opens_one_pool_however_often_enter_is_pressed(tmp_path: Path) -> None:
    app = StudioApp(None, ASKED, scripted)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(app.screen.query("#file")))
        app.screen.query_one("#file").text = str(tmp_path / "new.db")  # type: ignore[attr-defined]
        app.screen.query_one("#file").focus()
        await pilot.pause()
        await burst(pilot, "enter", "enter", "ctrl+s", "f4", "f2")
        await until(pilot, lambda: app.studio is not None and app.current_mode == "studio")
        await Driven(app, pilot).idle()
        assert len(app.get_screen_stack("start")) == 1, "nothing was opened behind the key that left it"
        assert app.runner is not None and app.runner.close()
