"""The pool screen's steering keys: what they do to the pool, when they are there, and how they are taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Select

from studio.loop.session import Session
from studio.pool.browse import Kind, Selection
from studio.pool.pool import Queries
from studio.records import Origin, TaskState, Verdict
from studio.tui.dialogs.edit import EditDialog, InstancesDialog
from studio.tui.pool.detail import TaskDetail
from studio.tui.pool.listing import TaskTable
from studio.tui.pool.screen import PoolScreen
from studio.tui.runner import RunnerState
from studio.tui.steering import Steerer
from studio.tui.terminal import TellingApp
from studio.tui.widgets.fields import SafeTextArea
from support.screens import AtOnce, Host, seen, until
from support.sessions import MIXED, mixed_pool, mixed_session, pool_of
from support.studio_app import HeldEngine, screen_text, studio

SIZE = (120, 40)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with mixed_session(tmp_path / "pool.db") as session:
        yield session


def screen_of(session: Session, state: RunnerState = RunnerState.IDLE) -> PoolScreen:
    return PoolScreen(pool_of(session).path, steerer=Steerer(AtOnce(session, state)), typing_s=0, follow_s=3600)


async def at_task(pilot: Pilot[Any], screen: PoolScreen, task_id: int) -> None:
    """The cursor stands on a task and its story is shown."""
    await until(pilot, lambda: screen.is_mounted and bool(screen.query(TaskTable)))
    table = screen.query_one(TaskTable)
    await until(pilot, lambda: task_id in table.ids)
    table.cursor = table.ids.index(task_id)
    await until(pilot, lambda: shown_task(screen) == task_id)


def shown_task(screen: PoolScreen) -> int | None:
    story = screen.query_one(TaskDetail).story
    return story.task.id if story is not None and story.task is not None else None


def generated(session: Session) -> int:
    return pool_of(session).browse.ids(Selection(origin=Origin.GENERATED))[0]


def state(session: Session, task_id: int) -> TaskState:
    return pool_of(session).tasks.get(task_id).state


async def test_retire_restore_undo_and_redo(session: Session) -> None:
    screen, task = screen_of(session), generated(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, task)
        await until(pilot, lambda: "Retire" in seen(pilot.app))
        await pilot.press("delete")
        assert state(session, task) is TaskState.RETIRED
        await until(pilot, lambda: "Restore" in seen(pilot.app) and "generated, retired" in seen(pilot.app))
        await pilot.press("delete")
        assert state(session, task) is TaskState.ACTIVE
        await pilot.press("u")
        assert state(session, task) is TaskState.RETIRED
        await pilot.press("U")
        assert state(session, task) is TaskState.ACTIVE


async def test_a_mark_comes_and_goes(session: Session) -> None:
    screen, task = screen_of(session), generated(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, task)
        await pilot.press("m")
        await until(pilot, lambda: "* marked" in seen(pilot.app) and "* generated" in seen(pilot.app))
        await pilot.press("m")
        await until(pilot, lambda: "* marked" not in seen(pilot.app) and "* generated" not in seen(pilot.app))


async def test_overruling_a_rejected_candidate_takes_it_from_the_list(session: Session) -> None:
    screen = screen_of(session)
    reader = pool_of(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: screen.is_mounted and bool(screen.query(TaskTable)))
        table = screen.query_one(TaskTable)
        screen.query_one("#kind", Select).value = Kind.REJECTED
        await until(pilot, lambda: table.kind is Kind.REJECTED and table.current is not None)
        candidate = table.ids[0]
        await until(pilot, lambda: f"candidate c{candidate}: not in the pool" in seen(pilot.app))
        await pilot.press("t")
        assert reader.candidates.decisions(candidate)[-1].verdict is Verdict.ACCEPTED
        await until(pilot, lambda: candidate not in table.ids)


async def test_without_steering_its_keys_are_not_there(session: Session) -> None:
    screen, task = PoolScreen(pool_of(session).path, typing_s=0, follow_s=3600), generated(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, task)
        await pilot.press("delete", "m", "t", "u", "U", "e")
        assert "Retire" not in seen(pilot.app)
        assert state(session, task) is TaskState.ACTIVE
        assert list(screen.commands()) == []


async def test_while_a_stage_is_played_nothing_is_done_and_it_says_so(session: Session) -> None:
    screen, task = screen_of(session, RunnerState.RUNNING), generated(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, task)
        await pilot.press("delete")
        await until(pilot, lambda: any("A stage is being played" in each.message for each in pilot.app._notifications))


async def test_editing_opens_the_candidates_text(session: Session) -> None:
    screen, task = screen_of(session), generated(session)
    candidate = pool_of(session).candidates.of_task(task)
    assert candidate is not None

    def opened() -> str:
        dialog = pilot.app.screen
        return dialog.query_one(SafeTextArea).text if isinstance(dialog, EditDialog) and dialog.query(SafeTextArea) else ""

    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, 1)
        await pilot.press("e")
        assert pilot.app.screen is screen
        await at_task(pilot, screen, task)
        await pilot.press("e")
        await until(pilot, lambda: opened() == candidate.text)
        await pilot.press("escape")
        session.steering.edit_candidate(candidate.id, "Say something else entirely.")
        screen.changed()
        await until(pilot, lambda: "edited by human" in seen(pilot.app))
        await pilot.press("e")
        await until(pilot, lambda: opened() == "Say something else entirely.")


async def test_instances_are_opened_for_tasks_that_have_or_may_get_some(session: Session) -> None:
    screen, task = screen_of(session), generated(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, task)
        assert "Task: instances" in [each.title for each in screen.commands()]
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, InstancesDialog) and f"Instances of task #{task}" in seen(pilot.app))


async def test_in_the_studio_instances_and_texts_are_changed_from_the_pool(tmp_path: Path) -> None:
    path = mixed_pool(tmp_path / "pool.db")
    async with studio(path, asked=MIXED) as driven:
        await driven.press("2")
        screen = driven.app.screen
        assert isinstance(screen, PoolScreen)
        with Queries.open(path) as reader:
            task = next(found for found in reader.browse.ids(Selection(origin=Origin.GENERATED)) if reader.instances.of_task(found))
            before = reader.instances.of_task(task)
        await at_task(driven.pilot, screen, task)
        await driven.press("i")
        await driven.until(lambda: isinstance(driven.app.screen, InstancesDialog) and "✓ accepted" in screen_text(driven.app))
        await driven.press("e")
        driven.app.screen.query_one("#output", SafeTextArea).text = "Another answer."
        await driven.press("ctrl+s")
        await driven.until(lambda: "Another answer." in screen_text(driven.app))
        await driven.press("escape")
        await driven.until(lambda: driven.app.screen is screen)
        await driven.until(lambda: "Another answer." in screen_text(driven.app))
        await driven.press("e")
        await driven.until(lambda: isinstance(driven.app.screen, EditDialog))
        driven.app.screen.query_one(SafeTextArea).text = "Say something else entirely."
        await driven.press("ctrl+s")
        await driven.until(lambda: "edited by human" in screen_text(driven.app))
        await driven.press("u", "u")
    with Queries.open(path) as reader:
        assert reader.instances.of_task(task)[0].output == before[0].output
        assert reader.tasks.get(task).instruction != "Say something else entirely."


async def test_more_instances_are_asked_for_from_the_pool(tmp_path: Path) -> None:
    path = mixed_pool(tmp_path / "pool.db")
    engine = HeldEngine(1)
    async with studio(path, lambda _model, _options: engine, MIXED) as driven:
        await driven.press("2")
        screen = driven.app.screen
        assert isinstance(screen, PoolScreen)
        with Queries.open(path) as reader:
            task = reader.browse.ids(Selection(origin=Origin.GENERATED))[0]
            before = len(reader.requests.about(task))
        await at_task(driven.pilot, screen, task)
        await driven.press("i")
        await driven.until(lambda: isinstance(driven.app.screen, InstancesDialog))
        cast(InstancesDialog, driven.app.screen)._show([])
        assert "Press + for some" in screen_text(driven.app)
        await driven.pilot.press("+")
        await driven.until(lambda: driven.app.screen is screen and engine.reached.is_set())
        assert any(f"writes more instances of task {task}" in each.message for each in driven.app._notifications)
        await driven.pilot.press("i")
        await driven.until(lambda: any("A stage is being played" in each.message for each in driven.app._notifications))
        assert driven.app.screen is screen
        engine.go_on.set()
        await driven.idle()
    with Queries.open(path) as reader:
        assert len(reader.requests.about(task)) > before


async def test_nothing_is_imported_while_a_stage_plays(session: Session) -> None:
    screen = screen_of(session, RunnerState.RUNNING)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, 1)
        await pilot.press("I")
        await until(pilot, lambda: any("A stage is being played" in each.message for each in pilot.app._notifications))
        assert pilot.app.screen is screen


async def test_the_palette_has_what_applies(session: Session) -> None:
    screen, task = screen_of(session), generated(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, 1)
        assert [each.title for each in screen.commands()] == [
            "Task: retire",
            "Task: mark for review",
            "Task: tags and note",
            "Task: instances",
            "Pool: undo",
            "Pool: redo",
            "Pool: import",
        ]
        await at_task(pilot, screen, task)
        assert "Candidate: overrule the verdict" in [each.title for each in screen.commands()]


async def test_a_list_takes_page_keys_before_it_is_laid_out() -> None:
    app = TellingApp()
    async with app.run_test(size=SIZE) as pilot:
        listing = OptionList("one", "two")
        await app.mount(listing)
        listing.highlighted = 0
        listing.display = False
        listing.clear_options()
        listing.add_options(["three", "four"])
        listing.highlighted = 0
        listing._line_cache.clear()
        await app.run_action("page_down", listing)
        await app.run_action("page_up", listing)
        assert listing.highlighted == 0
        listing.display = True
        await until(pilot, lambda: "four" in seen(pilot.app))
        await app.run_action("page_down", listing)
        assert listing.highlighted == 1
