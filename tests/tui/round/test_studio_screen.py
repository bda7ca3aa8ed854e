"""The studio screen by what it says and does: stepping, running, stopping, explaining, at both sizes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Static

from studio.engine.api import CancelToken, Engine, EngineEvent, EngineInfo, Request
from studio.engine.options import EngineOptions
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError
from studio.loop.events import InstanceDecided, StageFinished, StageStarted
from studio.records import Instance, Stage, Verdict
from studio.tui.base import ErrorDialog
from studio.tui.help_log import HelpDialog
from studio.tui.round.decisions import DecisionTable
from studio.tui.round.prompt import ContextTasks, Stream
from studio.tui.round.why import Why
from studio.tui.runner import RunnerState, Work
from studio.tui.widgets.frame import KeyBar, Pane
from support.pools import assert_sound, make_pool
from support.sessions import configuration
from support.studio_app import SIZES, HeldEngine, footer_keys, screen_text, scripted, studio


def text_of(pane: Pane) -> str:
    """All that the pane has to say, in sight or not."""
    return "\n".join(str(static.content) for static in pane.query(Static))


async def test_the_first_frame_does_not_wait_for_the_model(tmp_path: Path) -> None:
    loaded = threading.Event()

    def slow(model: str, options: EngineOptions) -> Engine:
        assert loaded.wait(600)
        return scripted(model, options)

    async with studio(tmp_path / "pool.db", slow, ready=False) as driven:
        await driven.until(lambda: "◌ loading the bundled model …" in screen_text(driven.app))
        assert "In context" in screen_text(driven.app)
        assert driven.state is RunnerState.LOADING
        assert not (tmp_path / "pool.db").exists()
        assert "Step" not in footer_keys(driven.app)
        await driven.pilot.press("s", "tab", "f1")
        assert isinstance(driven.app.screen, HelpDialog)
        await driven.pilot.press("escape")
        loaded.set()
        await driven.idle()
        assert "next: sample" in screen_text(driven.app)
        assert driven.screen.live.stages[Stage.SAMPLE].state == "waiting"


class _Shrunk(ScriptedEngine):
    """An engine that had to give something up, and says so in words that could be markup."""

    @property
    def info(self) -> EngineInfo:
        return replace(super().info, notices=("4 sequences at once instead of 16: [GPU] has 1 GB free",))


async def test_what_was_given_up_to_run_the_model_is_told_and_kept_in_the_log(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", lambda _m, _o: _Shrunk()) as driven:
        assert [(each.title, each.message) for each in driven.app._notifications] == [("Careful", _Shrunk().info.notices[0])]
        assert [line.text for line in driven.app.activity.lines if line.text.startswith("note: ")] == [f"note: {_Shrunk().info.notices[0]}"]


async def test_many_notes_do_not_cover_the_screen(tmp_path: Path) -> None:
    class _Talkative(_Shrunk):
        @property
        def info(self) -> EngineInfo:
            return replace(super().info, notices=tuple(f"note number {number}" for number in range(9)))

    async with studio(tmp_path / "pool.db", lambda _m, _o: _Talkative()) as driven:
        shown = [each.message for each in driven.app._notifications]
        assert shown == [*(f"note number {number}" for number in range(2)), "7 more notes: see the log (f3)."]
        assert sum(line.text.startswith("note: ") for line in driven.app.activity.lines) == 9


@pytest.mark.parametrize("size", SIZES)
async def test_a_step_does_one_stage_and_says_what_comes_next(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path / "pool.db", size=size) as driven:
        stages = driven.screen.live.order
        for stage, following in zip(stages, (*stages[1:], Stage.SAMPLE), strict=True):
            assert f"next: {stage}" in screen_text(driven.app)
            assert len(footer_keys(driven.app)) <= 8
            await driven.press("s")
            assert driven.screen.live.stages[stage].state == "done"
            assert f"next: {following}" in screen_text(driven.app)
        assert driven.screen.live.generated > 0
        assert f"{driven.screen.live.generated} accepted" in screen_text(driven.app)


@pytest.mark.parametrize("size", SIZES)
async def test_the_eight_in_context_tasks_and_the_text_are_there(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path / "pool.db", size=size) as driven:
        await driven.press("s")
        view = driven.screen.live.view
        assert view is not None
        shown = screen_text(driven.app)
        assert "In context · prompt 1 of 5" in shown
        assert all(f"#{task.id}" in shown for task in view.prompts[0].parents)
        await driven.pilot.press("right_square_bracket")
        assert "In context · prompt 2 of 5" in screen_text(driven.app)
        await driven.press("s")
        if size[0] < 100:
            await driven.pilot.press("shift+tab")
        assert "Completion" in screen_text(driven.app)
        assert "stopped" in screen_text(driven.app)


@pytest.mark.parametrize("size", SIZES)
async def test_every_candidate_explains_itself(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path / "pool.db", size=size) as driven:
        await driven.press("r")
        table = driven.screen.query_one(DecisionTable)
        view = driven.screen.live.view
        assert view is not None and table.row is not None
        table.focus()
        for place, candidate in enumerate(view.candidates):
            why, title = driven.screen.query_one(Why), f"c{candidate.id}"
            await driven.until(lambda why=why, title=title: str(why.border_title).endswith(title))  # type: ignore[misc]
            assert table.cursor == place
            text = text_of(why)
            assert candidate.reason.replace("_", " ") in text
            assert "words in common" in text or "no words" in text
            assert "most similar tasks then" in text
            assert text.count("#") >= 8, "parents and neighbours are named"
            await driven.pilot.press("down")


async def test_an_accepted_one_shows_its_class_and_instances(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        row = driven.screen.query_one(DecisionTable).row
        assert row is not None and row.accepted
        text = text_of(driven.screen.query_one(Why))
        assert "classification task" in text and "instances ·" in text and "active" in text


async def test_stopping_keeps_the_partial_text_on_the_screen_as_cancelled(tmp_path: Path) -> None:
    engine = HeldEngine()
    async with studio(tmp_path / "pool.db", lambda _m, _o: engine) as driven:
        await driven.press("s")
        await driven.pilot.press("R")
        await driven.until(engine.reached.is_set)
        await driven.until(lambda: "Stop" in footer_keys(driven.app))
        await driven.until(lambda: "writing" in screen_text(driven.app))
        assert driven.state is RunnerState.RUNNING
        await driven.pilot.press("escape")
        await driven.idle()
        shown = screen_text(driven.app)
        assert "cancelled" in shown and "next: instructions" in shown and "■ instructions" in shown
        assert driven.screen.query_one(Stream) is not None
        engine.go_on.set()
        await driven.press("s")
        assert driven.screen.live.stages[Stage.INSTRUCTIONS].state == "done"
    assert_sound(tmp_path / "pool.db")


async def test_stopped_between_two_stages_nothing_is_said_to_be_cancelled(tmp_path: Path) -> None:
    class Stopping(ScriptedEngine):
        """Whoever waits for its last text presses escape before the stage is committed."""

        def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
            yield from super().stream(requests, cancel)
            cancel.cancel()

    async with studio(tmp_path / "pool.db", lambda _m, _o: Stopping()) as driven:
        await driven.press("R")
        shown = screen_text(driven.app)
        assert "next: filter · stopped between two stages" in shown and "cancelled" not in shown and "■" not in shown


async def test_candidates_appear_while_the_text_still_comes(tmp_path: Path) -> None:
    engine = HeldEngine(free_events=150)
    async with studio(tmp_path / "pool.db", lambda _m, _o: engine) as driven:
        await driven.press("s")
        await driven.pilot.press("s")
        await driven.until(engine.reached.is_set)
        await driven.until(lambda: "pending" in screen_text(driven.app))
        await driven.until(lambda: "tokens/s" in screen_text(driven.app))
        engine.go_on.set()
        await driven.idle()


async def test_candidates_of_a_round_that_is_gone_on_with_are_there_before_they_are_decided(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("s", "s")
    async with studio(tmp_path / "pool.db") as driven:
        table = driven.screen.query_one(DecisionTable)
        assert table.row is not None and table.row.candidate is None
        before = [row.text for row in table._rows]
        await driven.press("s")
        assert [row.text for row in table._rows] == before


async def test_running_on_ends_at_the_target(tmp_path: Path) -> None:
    asked = configuration()
    asked = type(asked)(asked.options.model_copy(update={"target": 30}), asked.overrides)
    async with studio(tmp_path / "pool.db", asked=asked) as driven:
        await driven.press("R")
        assert driven.screen.live.generated >= 30
        assert "of 30 accepted" in screen_text(driven.app)
        assert any("target is reached" in str(toast.message) for toast in driven.app._notifications)


async def test_a_stalled_run_says_what_to_try(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", asked=configuration(threshold=0, stall_rounds=1)) as driven:
        await driven.press("R")
        assert any("temperature" in str(toast.message) for toast in driven.app._notifications)


async def test_a_model_that_only_thinks_is_said_and_what_to_try(tmp_path: Path) -> None:
    def thinking(*_: object) -> Engine:
        return ScriptedEngine(lambda _: "<think>They want more tasks.")

    async with studio(tmp_path / "pool.db", thinking, asked=configuration(stall_rounds=1)) as driven:
        await driven.press("R")
        told = [str(toast.message) for toast in driven.app._notifications]
        assert any("the model thinks before it answers" in words for words in told)
        assert any("inside the model's thoughts" in words for words in told)


async def test_a_model_that_cannot_be_loaded_is_said_and_tried_again(tmp_path: Path) -> None:
    tries: list[str] = []

    def broken(model: str, options: EngineOptions) -> Engine:
        tries.append(model)
        if len(tries) == 1:
            raise ModelError("tiny[/b].gguf: \x1b]52;c;aGk=\x07 no such file", "put it back")
        return scripted(model, options)

    async with studio(tmp_path / "pool.db", broken, ready=False) as driven:
        await driven.until(lambda: isinstance(driven.app.screen, ErrorDialog))
        assert "tiny[/b].gguf: ␛]52;c;aGk=␇ no such file" in screen_text(driven.app)
        await driven.pilot.press("escape")
        await driven.until(lambda: "not ready" in screen_text(driven.app))
        assert footer_keys(driven.app)[0] == "Try again"
        await driven.pilot.press("ctrl+r")
        await driven.idle()
        await driven.press("s")
        assert driven.screen.live.next_stage is Stage.INSTRUCTIONS


async def test_a_pool_that_someone_else_writes_is_named(tmp_path: Path) -> None:
    from studio.pool.pool import Pool

    path = make_pool(tmp_path / "pool.db")
    with Pool.open(path):
        async with studio(path, ready=False) as driven:
            await driven.until(lambda: isinstance(driven.app.screen, ErrorDialog))
            assert "pool.db" in screen_text(driven.app)
            await driven.pilot.press("enter")
            assert driven.state is RunnerState.FAILED
            await driven.until(lambda: "not ready" in screen_text(driven.app))
            # It has tasks that were not counted: none would be a claim.
            assert "accepted" not in screen_text(driven.app)


async def test_panes_are_reached_with_tab_in_a_narrow_window(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=(80, 24)) as driven:
        await driven.press("r")
        seen = []
        for _ in range(4):
            focused = driven.screen.focused
            assert focused is not None and focused.region.height > 3
            seen.append(focused.id)
            await driven.pilot.press("tab")
        assert sorted(map(str, seen)) == ["context", "decisions", "stream", "why"]


async def test_keys_that_come_together_each_go_one_pane_further(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        assert driven.screen.focused is driven.screen.query_one(Stream)
        for _ in range(3):
            driven.app.simulate_key("tab")
        await driven.until(lambda: driven.screen.focused is driven.screen.query_one(ContextTasks))


async def test_a_wide_window_leaves_the_focus_where_the_user_put_it(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        for _ in range(3):
            await driven.press("s")
        assert driven.screen.query_one(DecisionTable).has_focus, "led to what is new"
        await driven.pilot.press("tab")
        await driven.press("r")
        await driven.press("s")
        assert driven.screen.query_one(Why).has_focus


async def test_all_panes_tell_of_the_candidate_under_the_cursor_once_the_prompts_are_written(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", asked=configuration(requests_per_round=3)) as driven:
        await driven.press("s")
        await driven.pilot.press("]", "]")
        assert "prompt 3 of 3" in screen_text(driven.app)
        await driven.press("s")
        assert "prompt 1 of 3" in screen_text(driven.app) and "Completion 1 of 3" in screen_text(driven.app)


async def test_they_do_as_well_when_all_was_written_before_anything_was_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with studio(tmp_path / "pool.db", asked=configuration(requests_per_round=3)) as driven:
        runner = driven.app.runner
        assert runner is not None
        await driven.press("s")
        await driven.pilot.press("]", "]")
        with monkeypatch.context() as patch:
            # Nobody looks until the stage is over, as on a busy machine.
            patch.setattr(runner, "_signal", lambda: None)
            patch.setattr("studio.tui.round.drawing.TICK_S", 3600.0)
            assert runner.play(Work.STEP)
            await driven.until(lambda: runner.state is RunnerState.IDLE)
            driven.screen.collect()
        await driven.until(lambda: "prompt 1 of 3" in screen_text(driven.app) and "Completion 1 of 3" in screen_text(driven.app))


async def test_instances_of_a_stage_are_not_kept_as_if_they_were_asked_for(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        decided = InstanceDecided(1, Instance("", "out"), Verdict.ACCEPTED, "valid")
        screen = driven.screen
        for event in (StageStarted(1, Stage.INSTANCES), decided, StageFinished(1, Stage.INSTANCES, Stage.COMMIT)):
            screen._take(0.0, event)
        assert screen._written == []
        screen._take(0.0, decided)
        assert screen._written == [decided]


async def test_sizes_come_and_go(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=(200, 60)) as driven:
        await driven.press("r")
        for width, height in ((60, 20), (120, 40), (59, 40), (100, 19), (20, 5), (80, 24), (1, 1), (200, 60)):
            await driven.pilot.resize_terminal(width, height)
            await driven.pilot.pause()
            if width > 30 and height > 4:
                hint = width < 60 or height < 20
                await driven.until(lambda hint=hint: ("The studio needs" in screen_text(driven.app)) == hint)  # type: ignore[misc]
        await driven.until(lambda: "Decisions" in screen_text(driven.app))


async def test_a_click_does_what_a_key_does(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        await driven.pilot.click(DecisionTable, offset=(5, 4))
        assert driven.screen.query_one(DecisionTable).cursor == 2
        await driven.pilot.click(KeyBar, offset=(2, 0))
        await driven.idle()
        assert driven.screen.live.next_stage is Stage.INSTRUCTIONS


async def test_the_palette_offers_what_applies(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        offered = [command.title for command in driven.app.get_system_commands(driven.app.screen)]
        assert "Run: step" in offered and "Run: stop" not in offered and "Candidate: edit the text" not in offered
        assert all(": " in title for title in offered)
        await driven.press("r")
        offered = [command.title for command in driven.app.get_system_commands(driven.app.screen)]
        assert "Candidate: edit the text" in offered
