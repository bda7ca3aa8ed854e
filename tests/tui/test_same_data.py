"""A run in the terminal studio on auto gives the same data as a run without a screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.engine.opening import Opener
from studio.engine.scripted import ScriptedEngine
from studio.loop.session import Goal
from studio.records import Stage
from support.pools import assert_sound
from support.sessions import configuration, exported, play
from support.studio_app import HeldEngine, chatting, scripted, studio


@pytest.mark.parametrize("opener", [scripted, chatting])
async def test_the_export_of_a_screen_run_equals_the_headless_one(tmp_path: Path, opener: Opener) -> None:
    asked = configuration(best_of=2)
    asked = type(asked)(asked.options.model_copy(update={"target": 60}), asked.overrides)
    async with studio(tmp_path / "screen.db", opener, asked) as driven:
        await driven.press("R")
        assert (Stage.ANSWER in driven.screen.live.order) == (opener is chatting)
    play(tmp_path / "headless.db", Goal(target=60), ScriptedEngine(chats=opener is chatting), asked)
    assert exported(tmp_path / "screen.db") == exported(tmp_path / "headless.db")
    assert_sound(tmp_path / "screen.db")


async def test_quitting_mid_run_loses_nothing_and_the_next_start_goes_on(tmp_path: Path) -> None:
    engine = HeldEngine()
    async with studio(tmp_path / "screen.db", lambda _m, _o: engine) as driven:
        await driven.press("s")
        await driven.pilot.press("R")
        await driven.until(engine.reached.is_set)
        await driven.pilot.press("q", "y")
    asked = configuration()
    asked = type(asked)(asked.options.model_copy(update={"target": 30}), asked.overrides)
    async with studio(tmp_path / "screen.db", asked=asked) as driven:
        assert driven.screen.live.number == 1
        assert driven.screen.live.next_stage == "instructions"
        await driven.press("R")
    play(tmp_path / "headless.db", Goal(target=30), asked=asked)
    assert exported(tmp_path / "screen.db") == exported(tmp_path / "headless.db")
