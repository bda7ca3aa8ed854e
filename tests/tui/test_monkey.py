"""Thousands of random keys and sizes on every screen, over a pool of hostile text: the app stays up and the pool stays sound."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from studio.engine.api import Engine, Request
from studio.engine.options import EngineOptions
from studio.engine.scripted import ScriptedEngine
from studio.loop.session import Goal
from studio.pool.pool import Pool
from studio.records import Instance, SeedTask
from studio.tui.app import StudioApp
from studio.tui.keys import VERBS, keys_of
from support.pools import assert_sound
from support.screens import NASTY_LINES, assert_harmless
from support.sessions import configuration, play
from support.studio_app import Driven, studio

KEYS = (
    *(key for verb in VERBS.values() for key in keys_of(verb.keys)),
    *(
        "space",
        "left_parenthesis",
        "H",
        "L",
        "h",
        "5",
        "full_stop",
        "z",
        "A",
        "C",
        "ctrl+l",
        "ctrl+t",
        "ctrl+v",
        "ctrl+a",
        "ctrl+x",
        "ctrl+z",
    ),
)
"""Every key that means something, and some that do not."""
SEEDS = os.environ.get("MONKEY_SEEDS", "1 2 3 v V").split()
"""The first key, which says on which screen it begins, and whatever makes other keys follow."""
# Not one cell: Textual then lays some screens out without end, which costs a core until the window is larger.
SIZES = ((80, 24), (60, 20), (40, 10), (10, 3), (100, 30))
BURST = 35
SHORT_NASTY = tuple(text[:300] for text in NASTY_LINES)


def answer(request: Request) -> str:
    """Nasty texts as a list, or as an instance."""
    if request.params.choices:
        return " No"
    return "".join(f" {text}\n{10 + place}. Tell {request.seed} about it {place}, please: " for place, text in enumerate(SHORT_NASTY))


def hostile(_model: str = "", _options: EngineOptions | None = None) -> Engine:
    return ScriptedEngine(answer, delay_s=0.001)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool whose every text is hostile, one round old."""
    path = tmp_path_factory.mktemp("monkey") / "pool.db"
    seeds = [SeedTask("", text, text or "An empty one.", (Instance(text, text),), place % 2 == 0) for place, text in enumerate(NASTY_LINES)]
    Pool.create(path, [*seeds, *seeds]).close()
    play(path, Goal(rounds=1), hostile(), configuration(threshold=0.6))
    return path


async def close_dialogs(driven: Driven) -> None:
    """Take off whatever lies over the screen of the mode."""
    while len(driven.app.screen_stack) > 1:
        driven.app.pop_screen()
        await driven.pilot.pause()


@pytest.mark.parametrize("bursts", [4, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("start", SEEDS)
async def test_random_keys_break_nothing(tmp_path: Path, pool: Path, monkeypatch: pytest.MonkeyPatch, start: str, bursts: int) -> None:
    rng, path = random.Random(start), tmp_path / "pool.db"
    shutil.copy(pool, path)
    # Names of files may be typed, too.
    monkeypatch.chdir(tmp_path)
    # All the other keys can still be pressed then.
    monkeypatch.setattr(StudioApp, "action_quit", AsyncMock())
    for leaving in ("action_pools", "action_models"):
        monkeypatch.setattr(StudioApp, leaving, lambda _app: None)
    async with studio(path, hostile, size=(100, 30)) as driven:
        await driven.pilot.press(start[0])
        for burst in range(bursts):
            for _ in range(BURST):
                # Not `pilot.press`: it waits for an idle process, and a fist on the keyboard does not.
                driven.app.simulate_key(rng.choice(KEYS))
                if rng.random() < 0.7:
                    await asyncio.sleep(0)
            if burst % 4 == 3:
                await driven.pilot.resize_terminal(*rng.choice(SIZES))
                assert_harmless(driven.app)
            await driven.pilot._wait_for_screen()
            assert driven.app.is_running and driven.app._exception is None
        await driven.pilot.resize_terminal(100, 30)
        await close_dialogs(driven)
        driven.screen.action_stop()
        await driven.idle()
        await close_dialogs(driven)  # What ended meanwhile may have had something to say.
        driven.app.screen.set_focus(None)  # A field would take the key as a digit.
        await driven.pilot.press("1")
        await close_dialogs(driven)
        assert driven.app.screen is driven.screen
    assert_sound(path)
