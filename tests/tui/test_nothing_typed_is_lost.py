"""What is typed while a stage plays, or while the disk is full, stands in its editor until it is stored, and why not is said."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from studio.pool.pool import Pool
from studio.tui.dialogs.edit import AnnotationDialog, EditDialog, InstanceEditor, InstancesDialog, NoteDialog
from studio.tui.dialogs.parameters import ParametersDialog
from studio.tui.dialogs.settings import SettingsScreen
from studio.tui.pool.detail import TaskDetail
from studio.tui.pool.listing import TaskTable
from studio.tui.pool.screen import PoolScreen
from studio.tui.runner import RunnerState, Work
from studio.tui.steering import Steerer
from studio.tui.study.answers import ReviewScreen
from studio.tui.study.entry import ReviewDialog
from studio.tui.widgets.fields import SafeInput, SafeTextArea
from studio.tui.widgets.table import IdTable
from support.pools import actions, assert_sound
from support.screens import AtOnce, Host, seen, until
from support.sessions import configuration, played, session_in
from support.studio_app import Driven, HeldEngine, screen_text, studio

SIZE = (120, 40)
ASKED = configuration(threshold=0.4)
BUSY = "A stage is being played"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pool.db"
    played(path, 1, ASKED, seeds=60)
    return path


@pytest.fixture
def runner(path: Path) -> Iterator[AtOnce]:
    with Pool.open(path) as pool:
        yield AtOnce(session_in(pool, asked=ASKED))


def messages(pilot: Pilot[Any]) -> str:
    return "\n".join(each.message for each in pilot.app._notifications)


def told(pilot: Pilot[Any], times: int) -> bool:
    """Whether it is said so often, as far as there is room for it, that a stage is being played."""
    return messages(pilot).count(BUSY) >= times


async def opened(pilot: Pilot[Any], runner: AtOnce, key: str, kind: type[Screen[None]]) -> Any:
    """Show the pool with the cursor on its last task, and open a window for that."""
    screen = PoolScreen(runner.session._context.pool.path, steerer=Steerer(runner), typing_s=0, follow_s=3600)
    pilot.app.push_screen(screen)
    await until(pilot, lambda: screen.is_mounted and bool(screen.query(TaskTable)))
    table = screen.query_one(TaskTable)
    await until(pilot, lambda: len(table.ids) > 61)
    table.cursor = len(table.ids) - 1
    await until(pilot, lambda: screen.query_one(TaskDetail).shown == f"t{table.current}")
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, kind) and bool(pilot.app.screen.query("KeyBar")))
    return pilot.app.screen


async def refused_then_kept(pilot: Pilot[Any], runner: AtOnce, editor: object, *, says: str = "") -> None:
    """Ask for what is typed to be kept while a stage plays, and again when it is done."""
    reader = runner.session.steering.reader
    before = len(actions(reader))
    runner.turn_to(RunnerState.RUNNING)
    await pilot.press("ctrl+s")
    assert pilot.app.screen is editor and len(actions(reader)) == before
    await until(pilot, lambda: BUSY in seen(pilot.app) + messages(pilot) and says in seen(pilot.app))
    runner.turn_to(RunnerState.IDLE)
    await pilot.press("ctrl+s")
    await until(pilot, lambda: pilot.app.screen is not editor)
    assert len(actions(reader)) == before + 1


async def test_a_candidates_text_is_kept_in_its_editor(runner: AtOnce) -> None:
    async with Host(Screen()).run_test(size=SIZE) as pilot:
        editor = await opened(pilot, runner, "e", EditDialog)
        editor.query_one(SafeTextArea).text = "Say\tsomething\u200f else."
        await refused_then_kept(pilot, runner, editor, says="something")
        reader, screen = runner.session.steering.reader, pilot.app.screen
        assert isinstance(screen, PoolScreen) and screen.chosen is not None
        assert reader.tasks.get(int(screen.chosen[1:])).instruction == "Say\tsomething\u200f else."
        runner.turn_to(RunnerState.RUNNING)
        await pilot.press("e")
        assert isinstance(pilot.app.screen, PoolScreen)
        await until(pilot, lambda: messages(pilot).count(BUSY) == 1)


async def test_an_empty_text_is_refused_where_it_was_typed(runner: AtOnce) -> None:
    async with Host(Screen()).run_test(size=SIZE) as pilot:
        editor = await opened(pilot, runner, "e", EditDialog)
        editor.query_one(SafeTextArea).text = " "
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "an instruction needs a text" in seen(pilot.app))
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, PoolScreen)


async def test_tags_and_a_note_are_kept_and_what_was_not_touched_stays(runner: AtOnce) -> None:
    async with Host(Screen()).run_test(size=SIZE) as pilot:
        editor = await opened(pilot, runner, "N", AnnotationDialog)
        editor.query_one("#note", SafeInput).text = "first\nthen\t\u200fthat"
        await refused_then_kept(pilot, runner, editor)
        screen = pilot.app.screen
        assert isinstance(screen, PoolScreen) and screen.chosen is not None
        reader, task = runner.session.steering.reader, int(screen.chosen[1:])
        assert reader.tasks.annotation(task).note == "first\nthen\t\u200fthat"
        undo = runner.session.steering.reader.ledger.next_undo()
        await pilot.press("N")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnnotationDialog) and bool(pilot.app.screen.query("#tags")))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert runner.session.steering.reader.ledger.next_undo() == undo and len(actions(reader)) == 1
        await pilot.press("N")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnnotationDialog) and bool(pilot.app.screen.query("#tags")))
        await pilot.press(*"good", "enter")
        assert (reader.tasks.annotation(task).tags, reader.tasks.annotation(task).note) == (("good",), "first\nthen\t\u200fthat")


async def test_an_instance_is_kept_in_its_editor_with_all_that_was_not_touched(runner: AtOnce) -> None:
    async with Host(Screen()).run_test(size=SIZE) as pilot:
        dialog: Any = await opened(pilot, runner, "i", InstancesDialog)
        reader, steering = runner.session.steering.reader, runner.session.steering
        hostile = "\t\u200fone\r\n\x85two\x00 \u2028"
        steering.edit_instance(dialog._instances[0].id, hostile, hostile)
        dialog.reload()
        await pilot.press("enter")
        editor = pilot.app.screen
        assert isinstance(editor, InstanceEditor)
        await until(pilot, lambda: bool(editor.query("#output")))
        await pilot.press("ctrl+s")
        assert pilot.app.screen == dialog and len(actions(reader)) == 1
        await pilot.press("enter")
        editor = pilot.app.screen
        await until(pilot, lambda: bool(editor.query("#output")))
        await pilot.press("x")
        await refused_then_kept(pilot, runner, editor)
        changed = reader.instances.get(dialog._instances[0].id)
        assert (changed.input, changed.output) == (hostile, f"x{hostile}")
        runner.turn_to(RunnerState.RUNNING)
        for key in ("enter", "delete", "+"):
            await pilot.press(key)
            assert pilot.app.screen is dialog
        await until(pilot, lambda: messages(pilot).count(BUSY) >= 3)


async def test_keys_that_decide_say_why_not_while_a_stage_plays(path: Path) -> None:
    engine = HeldEngine(1)
    async with studio(path, lambda _model, _options: engine, ASKED, SIZE) as driven:
        await driven.press("s")
        await driven.pilot.press("s")
        await driven.until(engine.reached.is_set)
        driven.app.set_keymap({"overrule": "z"})
        for count, key in enumerate("zeDiwpWuU", 1):
            await driven.pilot.press(key)
            assert driven.app.screen is driven.screen
            await driven.until(partial(told, driven.pilot, count))
        before = messages(driven.pilot)
        await driven.pilot.press("t")
        assert messages(driven.pilot) == before, "the key means nothing any more"
        engine.go_on.set()
        await driven.idle()
        assert driven.screen.undo_words is None


async def test_settings_that_cannot_be_set_now_stay_on_their_screen(path: Path) -> None:
    engine = HeldEngine(1)
    async with studio(path, lambda _model, _options: engine, ASKED, SIZE) as driven:
        driven.app.action_settings()
        await driven.until(lambda: isinstance(driven.app.screen, SettingsScreen) and bool(driven.app.screen.query(IdTable)))
        app: Any = driven.app
        screen = app.screen
        await driven.until(lambda: bool(screen.query_one(IdTable).ids))
        screen._set("threshold", 0.3)
        await play_while_held(driven, engine)
        await driven.pilot.press("ctrl+s")
        assert app.screen is screen
        await driven.until(lambda: BUSY in messages(driven.pilot) and "Your values still stand here" in messages(driven.pilot))
        await driven.pilot.press("e")
        assert not screen.has_class("-editing")
        engine.go_on.set()
        await driven.idle()
        screen._set("threshold", 0.35)
        await driven.press("ctrl+s")
        assert driven.app.screen is driven.screen
        assert driven.screen.method is not None and driven.screen.method.threshold == 0.35


async def test_parameters_and_remarks_stay_where_they_were_typed(path: Path) -> None:
    engine = HeldEngine(1)
    async with studio(path, lambda _model, _options: engine, ASKED, SIZE) as driven:
        await driven.pilot.press("p")
        dialog = driven.app.screen
        assert isinstance(dialog, ParametersDialog)
        dialog.query_one("#field-4", SafeInput).text = "0.3"
        await play_while_held(driven, engine)
        await driven.pilot.press("ctrl+s")
        assert driven.app.screen is dialog
        await driven.until(lambda: BUSY in str(dialog.query_one("#said", Static).visual))
        engine.go_on.set()
        await driven.idle()
        await driven.press("ctrl+s")
        assert driven.screen.method is not None and driven.screen.method.threshold == 0.3
        await driven.press("v")
        await driven.until(lambda: isinstance(driven.app.screen, ReviewDialog))
        driven.app.screen.query_one("#size", SafeInput).text = "3"
        engine.go_on.clear()
        engine.reached.clear()
        await play_while_held(driven, engine)
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: BUSY in screen_text(driven.app) and isinstance(driven.app.screen, ReviewDialog))
        engine.go_on.set()
        await driven.idle()
        await driven.press("ctrl+s")
        await driven.until(lambda: isinstance(driven.app.screen, ReviewScreen))
        await driven.press("N")
        note = driven.app.screen
        assert isinstance(note, NoteDialog)
        await driven.pilot.press(*"look")
        engine.go_on.clear()
        engine.reached.clear()
        await play_while_held(driven, engine)
        await driven.pilot.press("enter")
        await driven.until(lambda: BUSY in screen_text(driven.app))
        assert driven.app.screen is note and note.query_one(SafeInput).text == "look"
        engine.go_on.set()
        await driven.idle()
        await driven.press("enter")
        assert isinstance(driven.app.screen, ReviewScreen) and driven.app.screen.walk.rating.note == "look"
    assert_sound(path)


async def play_while_held(driven: Driven, engine: HeldEngine) -> None:
    """Let a stage play under whatever is open, as one that was begun elsewhere."""
    assert driven.app.runner is not None
    assert driven.app.runner.play(Work.ROUND)
    await driven.until(engine.reached.is_set)
