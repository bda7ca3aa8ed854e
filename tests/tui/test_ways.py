"""The ways to another pool or model, to the end of a run, to words that are looked for, and out, with nothing lost unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.loop.session import Goal
from studio.tui.base import Confirm
from studio.tui.dialogs.edit import InstancesDialog
from studio.tui.dialogs.models import ModelDialog
from studio.tui.dialogs.parameters import GoalDialog, Progress
from studio.tui.dialogs.settings import SettingsScreen
from studio.tui.help_log import LogScreen
from studio.tui.insight.screen import InsightScreen
from studio.tui.insight.what_if import StoryDialog, WhatIfPane
from studio.tui.picker import StartScreen
from studio.tui.round.decisions import DecisionTable
from studio.tui.round.rail import StatusLine
from studio.tui.round.screen import StudioScreen
from studio.tui.runner import RunnerState
from studio.tui.terminal import theme_file
from studio.tui.widgets.fields import LimitBar, SafeInput
from studio.tui.widgets.table import IdTable
from support.pools import assert_sound
from support.studio_app import HeldEngine, screen_text, studio


async def test_back_to_the_picker_to_another_pool_and_on_with_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("studio.tui.dialogs.models.list_models", list)
    first = tmp_path / "first.db"
    async with studio(first) as driven:
        await driven.press("r")
        before = driven.app.runner
        await driven.pilot.press("2", "ctrl+o")
        await driven.until(lambda: isinstance(driven.app.screen, StartScreen) and "first.db" in screen_text(driven.app))
        assert driven.app.runner is None and before is not None and before.state is RunnerState.CLOSED
        await driven.pilot.press("ctrl+n", *["delete"] * 12, *"other.db", "ctrl+s")
        await driven.until(lambda: driven.app.runner is not None)
        await driven.idle()
        assert driven.screen.live.number == 0 and (tmp_path / "other.db").exists()
        await driven.pilot.press("ctrl+o")
        await driven.until(lambda: isinstance(driven.app.screen, StartScreen) and "first.db" in screen_text(driven.app))
        await driven.pilot.press("down", "enter")
        await driven.until(lambda: driven.app.runner is not None)
        await driven.idle()
        assert driven.screen.live.number == 1
        await driven.pilot.press("f4")
        await driven.until(lambda: isinstance(driven.app.screen, ModelDialog) and driven.app.screen.query_one(SafeInput).has_focus)
        await driven.pilot.press("enter")
        await driven.until(lambda: isinstance(driven.app.screen, Confirm))
        await driven.pilot.press("y")
        await driven.until(lambda: driven.app.runner is not None and driven.app.screen is driven.app.studio)
        await driven.idle()
        await driven.press("r")
        assert driven.screen.live.number == 2
    assert_sound(first)


async def test_nothing_under_way_is_lost_without_a_question(tmp_path: Path) -> None:
    engine = HeldEngine()
    async with studio(tmp_path / "pool.db", lambda _model, _options: engine) as driven:
        await driven.press("s")
        await driven.pilot.press("s")
        await driven.until(engine.reached.is_set)
        for key in ("q", "ctrl+q", "ctrl+o"):
            await driven.pilot.press(key)
            assert isinstance(driven.app.screen, Confirm) and "A stage is under way" in screen_text(driven.app)
            await driven.pilot.press("q", "n")
            assert isinstance(driven.app.screen, StudioScreen) and driven.state is RunnerState.RUNNING
        await driven.pilot.press("escape")
        await driven.idle()
        await driven.pilot.press("f2")
        assert isinstance(driven.app.screen, SettingsScreen)
        await driven.pilot.press("/", *"max_words", "enter", "e", "9", "enter", "q")
        await driven.until(lambda: "does not hold yet" in screen_text(driven.app))
        await driven.pilot.press("n", "escape", "y")
        await driven.until(lambda: driven.app.screen is driven.screen)
        assert driven.screen.undo_words is None
        engine.go_on.set()
        await driven.pilot.press("s", "q")
        await driven.until(lambda: isinstance(driven.app.screen, Confirm) or driven.app._exit)
        await driven.pilot.press("ctrl+q")
        await driven.until(lambda: driven.app._exit)


async def test_a_run_goes_on_to_the_goal_that_is_set_and_says_how_far_it_is(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.pilot.press("T")
        assert isinstance(driven.app.screen, GoalDialog)
        await driven.pilot.press("tab", "0", "enter")
        await driven.until(lambda: "rounds is a number from 1" in screen_text(driven.app))
        await driven.pilot.press("backspace", "2", "enter")
        assert isinstance(driven.app.screen, StudioScreen)
        seen = set()
        driven.screen.watch(driven.screen.query_one(StatusLine), "status", lambda status: seen.add(status.far))
        await driven.press("R")
        assert driven.screen.live.number == 2
        assert "round 1 of 2" in seen and driven.screen.progress is None
        await driven.pilot.press("T", *"999", "ctrl+s")
        assert "of 999 accepted" in screen_text(driven.app)


def test_the_time_left_is_that_of_the_end_that_comes_first() -> None:
    progress = Progress(Goal(target=40, rounds=10), before=10, began=100.0)
    assert progress.words(10, 130.0) == "round 1 of 10, 10 of 40 tasks"
    progress.rounds = 1
    assert progress.words(20, 160.0) == "round 2 of 10, 20 of 40 tasks, about 2 min left"
    assert progress.words(39, 160.0).endswith("about 2 s left")
    assert Progress(Goal(rounds=100), 0, 0.0, rounds=1).words(0, 120.0) == "round 2 of 100, about 3 h 18 min left"
    assert Progress(Goal(), 0, 0.0).words(5, 9.0) == ""


async def test_words_are_found_in_the_round_and_in_the_log_and_copied(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        table = driven.screen.query_one(DecisionTable)
        view = driven.screen.live.view
        assert view is not None
        texts = [each.text for each in view.candidates]
        word = texts[3].split()[-1].lower()
        places = [place for place, text in enumerate(texts) if word in text.lower()]
        await driven.pilot.press("/", *word)
        assert table.cursor == places[0] and isinstance(driven.app.screen, StudioScreen)
        await driven.pilot.press("enter")
        assert table.cursor == places[1 % len(places)]
        await driven.pilot.press("escape", "ctrl+c")
        assert driven.app.clipboard == texts[table.cursor]
        await driven.pilot.press("f3")
        assert isinstance(driven.app.screen, LogScreen)
        await driven.until(lambda: "sample is done" in screen_text(driven.app))
        await driven.pilot.press("/", *"brought")
        await driven.until(lambda: "sample is done" not in screen_text(driven.app) and "round 1 brought" in screen_text(driven.app))
        await driven.pilot.press("escape", "escape")
        await driven.until(lambda: "sample is done" in screen_text(driven.app))
        await driven.pilot.press("escape")
        assert isinstance(driven.app.screen, StudioScreen)


async def test_what_is_done_in_the_instances_window_is_undone_there(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        table = driven.screen.query_one(DecisionTable)
        table.focus()
        table.cursor = next(place for place, row in enumerate(table._rows) if row.accepted)
        await driven.press("i")
        assert isinstance(driven.app.screen, InstancesDialog)
        await driven.press("delete")
        await driven.until(lambda: "✗ rejected  by you" in screen_text(driven.app))
        await driven.press("u")
        await driven.until(lambda: "✗ rejected  by you" not in screen_text(driven.app))
        await driven.press("U")
        await driven.until(lambda: "✗ rejected  by you" in screen_text(driven.app))


async def test_enter_on_a_candidate_that_would_flip_tells_its_story(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        await driven.pilot.press("3", "]")
        assert isinstance(driven.app.screen, InsightScreen)
        await driven.until(lambda: "would be" in screen_text(driven.app))
        driven.app.screen.query_one("#threshold", LimitBar).value = 0.3
        table = driven.app.screen.query_one("#flips", IdTable)
        await driven.until(lambda: table.current is not None)
        table.focus()
        flips = driven.app.screen.query_one(WhatIfPane)._flips
        word = flips[table.ids[-1]].text.split()[0].lower()
        await driven.pilot.press("/", *word, "enter", "escape")
        assert word in flips[table.current or 0].text.lower() and table.cursor > 0
        await driven.pilot.press("enter")
        await driven.until(lambda: isinstance(driven.app.screen, StoryDialog) and "round 1" in screen_text(driven.app))
        await driven.pilot.press("escape")
        assert isinstance(driven.app.screen, InsightScreen)


async def test_the_theme_chosen_last_is_worn_again_a_light_one_too(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        assert driven.app.theme == "studio"
        driven.app.theme = "studio-light"
        await driven.until(lambda: theme_file().exists())
    async with studio(tmp_path / "pool.db") as driven:
        assert driven.app.theme == "studio-light" and not driven.app.current_theme.dark
        theme_file().write_text("gone")
    async with studio(tmp_path / "pool.db") as driven:
        assert driven.app.theme == "studio"
