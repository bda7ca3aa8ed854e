"""The pool screen's steering keys: what they do to the pool, when they are there, and how they are taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Select

from studio.engine.scripted import ScriptedEngine
from studio.loop.session import Goal, Session
from studio.loop.steering import Steering
from studio.pool.browsing import Kind, Selection
from studio.pool.store import Pool
from studio.records import Origin, TaskState, Verdict
from studio.tui.pool_screen import PoolScreen
from studio.tui.widgets.task_detail import TaskDetail
from studio.tui.widgets.task_table import TaskTable
from support.screens import Host, seen, until
from support.sessions import all_seeds, configuration, play, session_in

SIZE = (120, 40)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    path = tmp_path / "pool.db"
    asked = configuration(threshold=0.4)
    play(path, Goal(rounds=1), asked=asked, seeds=all_seeds()[:60])
    with Pool.open(path) as pool:
        yield session_in(pool, ScriptedEngine(), asked)


def pool_of(session: Session) -> Pool:
    return session._context.pool


def screen_of(session: Session, **more: object) -> PoolScreen:
    def steer(act: Callable[[Steering], str | None], then: Callable[[str | None], None]) -> bool:
        then(act(session.steering))
        return True

    return PoolScreen(pool_of(session).path, steer=steer, typing_s=0, follow_s=3600, **more)  # type: ignore[arg-type]


async def at_task(pilot: Pilot[object], screen: PoolScreen, task_id: int) -> None:
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
    return pool_of(session).reader.browse_ids(Selection(origin=Origin.GENERATED))[0]


def state(session: Session, task_id: int) -> TaskState:
    return pool_of(session).reader.task(task_id).state


async def test_retire_restore_undo_and_redo(session: Session) -> None:
    screen, task = screen_of(session), generated(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, task)
        await until(pilot, lambda: "Retire" in seen(pilot.app))
        await pilot.press("r")
        assert state(session, task) is TaskState.RETIRED
        await until(pilot, lambda: "Restore" in seen(pilot.app) and " · retired" in seen(pilot.app))
        await pilot.press("r")
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
        await until(pilot, lambda: screen.query_one(TaskDetail).marked)
        await until(pilot, lambda: "* marked" in seen(pilot.app) and "* generated" in seen(pilot.app))
        await pilot.press("m")
        await until(pilot, lambda: not screen.query_one(TaskDetail).marked)


async def test_overruling_a_rejected_candidate_takes_it_from_the_list(session: Session) -> None:
    screen = screen_of(session)
    reader = pool_of(session).reader
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: screen.is_mounted and bool(screen.query(TaskTable)))
        table = screen.query_one(TaskTable)
        screen.query_one("#kind", Select).value = Kind.REJECTED
        await until(pilot, lambda: table.kind is Kind.REJECTED and table.current is not None)
        candidate = table.ids[0]
        await until(pilot, lambda: f"Candidate {candidate} · rejected" in seen(pilot.app))
        await pilot.press("t")
        assert reader.decisions(candidate)[-1].verdict is Verdict.ACCEPTED
        await until(pilot, lambda: candidate not in table.ids)


async def test_without_steering_its_keys_are_not_there(session: Session) -> None:
    screen, task = PoolScreen(pool_of(session).path, typing_s=0, follow_s=3600), generated(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, task)
        await pilot.press("r", "m", "t", "u", "U", "e")
        assert "Retire" not in seen(pilot.app)
        assert state(session, task) is TaskState.ACTIVE
        assert list(screen.steering_commands()) == []


async def test_while_a_stage_is_played_nothing_is_done_and_it_says_so(session: Session) -> None:
    screen, task = PoolScreen(pool_of(session).path, steer=lambda _act, _then: False, typing_s=0, follow_s=3600), generated(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, task)
        await pilot.press("r")
        await until(pilot, lambda: any("A stage is being played" in each.message for each in pilot.app._notifications))


async def test_editing_opens_the_candidates_text(session: Session) -> None:
    opened: list[tuple[int, str]] = []
    task = generated(session)
    candidate = pool_of(session).reader.task_candidate(task)
    assert candidate is not None
    screen = screen_of(session, edit=lambda found, text: opened.append((found, text)))
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, 1)
        await pilot.press("e")
        assert opened == []
        await at_task(pilot, screen, task)
        await pilot.press("e")
        assert opened == [(candidate.id, candidate.text)]
        session.steering.edit_candidate(candidate.id, "Say something else entirely.")
        screen.changed()
        await until(pilot, lambda: "The model wrote" in seen(pilot.app))
        await pilot.press("e")
        assert opened[-1] == (candidate.id, "Say something else entirely.")


async def test_the_palette_has_what_applies(session: Session) -> None:
    screen, task = screen_of(session), generated(session)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await at_task(pilot, screen, 1)
        assert [each.title for each in screen.steering_commands()] == ["Task: retire", "Task: mark for review", "Pool: undo", "Pool: redo"]
        await at_task(pilot, screen, task)
        assert "Candidate: overrule the verdict" in [each.title for each in screen.steering_commands()]
