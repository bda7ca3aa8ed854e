"""What may go wrong while somebody plays: it is said, the studio stays up, the work goes on afterwards, the pool is sound."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from textual.events import Resize
from textual.geometry import Size
from textual.widgets import Static

import studio.engine.process.pipe as pipe
from studio.engine.api import Engine
from studio.engine.catalog import find_model
from studio.engine.opening import open_engine
from studio.engine.options import EngineOptions
from studio.engine.process.client import MAX_RESTARTS, ProcessEngine
from studio.engine.scripted import ScriptedEngine
from studio.loop.session import Session
from studio.pool.pool import Pool, Queries
from studio.records import ModelIdentity, Stage
from studio.tui.app import StudioApp
from studio.tui.base import ErrorDialog
from studio.tui.insight.screen import InsightScreen
from studio.tui.pool.screen import PoolScreen
from studio.tui.runner import RunnerState
from support.pools import assert_sound, make_pool
from support.sessions import configuration
from support.studio_app import Driven, HeldEngine, screen_text, studio

SHORT = {
    "requests_per_round": 1,
    "template_requests": 1,
    "sampling.list_chat.max_tokens": 32,
    "sampling.template.max_tokens": 24,
    "sampling.input_first.max_tokens": 16,
    "sampling.output_first.max_tokens": 16,
    "sampling.answer.max_tokens": 8,
    "prompts.classification": "Task: {instruction}\nIs it classification?",
    "prompts.input_first": "Task: {instruction}",
    "prompts.output_first": "Task: {instruction}",
}
"""A small round with few words around a task: the way through it is the same."""
CHILD = Path(__file__).parents[1] / "support" / "scripted_child.py"


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], ProcessEngine]:
    """An engine in a process of its own that is killed in the middle of as many batches as one says."""
    monkeypatch.setattr(pipe, "log_folder", lambda: tmp_path / "logs")

    def made(kills: int) -> ProcessEngine:
        counter, identity = tmp_path / "counter", ScriptedEngine().info.model
        counter.write_text(str(kills))
        return ProcessEngine(
            ModelIdentity(identity.name, identity.sha256), EngineOptions(), (sys.executable, str(CHILD), "kill", "40", str(counter))
        )

    return made


def messages(app: StudioApp) -> list[str]:
    return [str(each.message) for each in app._notifications]


async def read_and_close(driven: Driven, *words: str) -> None:
    """An error is shown with `words`, and goes away."""
    await driven.until(lambda: isinstance(driven.app.screen, ErrorDialog))
    await driven.pilot.pause()
    shown = " ".join(str(part.visual) for part in driven.app.screen.query(Static) if part.region)
    assert all(word in shown for word in words), shown
    await driven.pilot.press("escape")
    await driven.until(lambda: driven.app.screen is driven.screen)


async def test_a_killed_model_is_started_again_and_the_round_goes_on(tmp_path: Path, child: Callable[[int], ProcessEngine]) -> None:
    engine = child(1)
    async with studio(tmp_path / "pool.db", lambda _m, _o: engine) as driven:
        await driven.press("r")
        assert any("started again" in words for words in messages(driven.app))
        assert driven.screen.live.stages[Stage.COMMIT].state == "done"
    assert_sound(tmp_path / "pool.db")


async def test_a_model_that_dies_again_and_again_is_an_error_and_can_be_tried_again(
    tmp_path: Path, child: Callable[[int], ProcessEngine]
) -> None:
    engine = child(MAX_RESTARTS + 1)
    async with studio(tmp_path / "pool.db", lambda _m, _o: engine) as driven:
        await driven.pilot.press("r")
        await read_and_close(driven, "process died", "the last words of the model")
        assert driven.state is RunnerState.IDLE and driven.screen.live.next_stage is Stage.INSTRUCTIONS
        await driven.press("r")
        assert driven.screen.live.stages[Stage.COMMIT].state == "done"
    assert_sound(tmp_path / "pool.db")


def limit_pages(driven: Driven, pages: str) -> None:
    """Let the pool's file have no more pages than `pages` says, as a disk would."""

    runner = driven.app.runner
    assert runner is not None and runner._open is not None
    database = runner._open.pool._database

    def limit(_: Session, __: Queries) -> None:
        database.connection.execute(f"PRAGMA max_page_count = {pages}")

    assert runner.call(limit, lambda _: None)


async def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("s")
        limit_pages(driven, "1")
        await driven.pilot.press("r")
        await read_and_close(driven, "the disk is full", "pool.db")
        assert driven.state is RunnerState.IDLE and driven.screen.live.stages[Stage.COMMIT].state == "waiting"
        assert_sound(tmp_path / "pool.db")
        limit_pages(driven, "1000000")
        await driven.press("r")
        assert driven.screen.live.stages[Stage.COMMIT].state == "done"
    assert_sound(tmp_path / "pool.db")


async def test_a_full_disk_refuses_an_action_and_says_so(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        before = driven.screen.live.generated
        limit_pages(driven, "1")
        # Each action needs little room: some pass, and the one that does not is said.
        for _ in range(200):
            await driven.press("t")
            if isinstance(driven.app.screen, ErrorDialog):
                break
        await read_and_close(driven, "the disk is full")
        assert abs(driven.screen.live.generated - before) <= 1
    assert_sound(tmp_path / "pool.db")


async def test_a_pool_that_another_writes_may_be_looked_at_and_played_when_it_is_free(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    with Pool.open(path):
        async with studio(path, ready=False) as driven:
            await read_and_close(driven, "pool.db")
            assert driven.state is RunnerState.FAILED
            await driven.pilot.press("s", "r", "2")
            assert isinstance(driven.app.screen, PoolScreen)
            await driven.until(lambda: "Describe the animal" in screen_text(driven.app))
            await driven.pilot.press("m", "delete", "3")
            assert isinstance(driven.app.screen, InsightScreen)
            await driven.until(lambda: "No task has been generated" in screen_text(driven.app) or "Press 1" in screen_text(driven.app))
        assert_sound(path)
    async with studio(path) as driven:
        await driven.press("s")
        assert driven.screen.live.next_stage is Stage.INSTRUCTIONS
    assert_sound(path)


async def test_a_pool_becomes_free_while_the_studio_waits(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    with closing(Pool.open(path)) as holder:
        async with studio(path, ready=False) as driven:
            await read_and_close(driven, "pool.db")
            holder.close()
            await driven.pilot.press("ctrl+r")
            await driven.until(lambda: driven.state is RunnerState.IDLE)
            await driven.press("s")
            assert driven.screen.live.next_stage is Stage.INSTRUCTIONS
    assert_sound(path)


async def test_a_model_file_that_is_gone_is_named_and_the_pool_can_be_read(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    asked = configuration()
    asked = type(asked)(asked.options.model_copy(update={"model": str(tmp_path / "gone.gguf")}), asked.overrides)
    async with studio(path, open_engine, asked, ready=False) as driven:
        await read_and_close(driven, "gone.gguf")
        await driven.until(lambda: "ctrl+r tries again" in screen_text(driven.app))
        await driven.pilot.press("2")
        await driven.until(lambda: "Describe the animal" in screen_text(driven.app))
    assert_sound(path)


async def test_a_pool_that_is_deleted_under_the_studio_is_said(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    async with studio(path) as driven:
        await driven.press("s")
        for each in tmp_path.glob("pool.db*"):
            each.unlink()
        await driven.pilot.press("s")
        await read_and_close(driven, "pool.db")
        for key in ("2", "3", "1", "x", "escape"):
            await driven.pilot.press(key)
        assert driven.app.is_running


async def test_a_storm_of_sizes_while_the_model_writes(tmp_path: Path) -> None:
    engine, rng = HeldEngine(free_events=60), random.Random(4)

    def opened(_model: str, _options: EngineOptions) -> Engine:
        return engine

    async with studio(tmp_path / "pool.db", opened, size=(200, 60)) as driven:
        await driven.press("s")
        await driven.pilot.press("s")
        await driven.until(engine.reached.is_set)
        for size in [*((200, 60), (60, 20), (20, 5)) * 8, *((rng.randint(1, 210), rng.randint(1, 70)) for _ in range(20))]:
            # Without a wait between them, as a window manager does it.
            driven.app.post_message(Resize(Size(*size), Size(*size)))
        engine.go_on.set()
        await driven.idle()
        await driven.pilot.resize_terminal(80, 24)
        await driven.until(lambda: "next: filter" in screen_text(driven.app))
        await driven.press("s")
        assert "Decisions" in screen_text(driven.app)
    assert_sound(tmp_path / "pool.db")


@pytest.mark.real_model
async def test_a_model_file_deleted_under_the_studio_is_said_once_it_is_needed_again(tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    shutil.copy(find_model(), file)
    given = configuration()
    asked = type(given)(given.options.model_copy(update={"model": str(file)}), SHORT)
    one_thread = EngineOptions(context=4096, threads=1)
    async with studio(tmp_path / "pool.db", lambda model, _: open_engine(model, one_thread), asked) as driven:
        file.unlink()
        # What is loaded stays loaded.
        await driven.press("s", "s")
        assert driven.screen.live.next_stage is Stage.FILTER
        runner = driven.app.runner
        assert runner is not None and runner._open is not None
        engine = runner._open.engine
        assert isinstance(engine, ProcessEngine)
        os.kill(engine.pid, signal.SIGKILL)
        await driven.pilot.press("r")
        await read_and_close(driven, "mine.gguf")
        # The filter is the first to ask the model, for how likely a candidate is, unless none has come so far.
        assert driven.state is RunnerState.IDLE and driven.screen.live.next_stage in (Stage.FILTER, Stage.CLASSIFY)
        assert_sound(tmp_path / "pool.db")
        shutil.copy(find_model(), file)
        await driven.press("r")
        assert driven.screen.live.stages[Stage.COMMIT].state == "done"
    assert_sound(tmp_path / "pool.db")
