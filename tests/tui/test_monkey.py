"""Hundreds of random keys and sizes: the app stays up and the pool stays sound."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from studio.engine.scripted import ScriptedEngine
from support.pools import assert_sound
from support.studio_app import studio

KEYS = (
    *("s", "space", "r", "a", "escape", "t", "e", "d", "w", "n", "p", "i", "u", "U", "ctrl+y", "x", "m", "ctrl+s", "ctrl+e", "ctrl+r"),
    *("tab", "shift+tab", "up", "down", "j", "k", "g", "G", "pageup", "pagedown", "home", "end", "left", "right", "enter", "backspace"),
    *("left_square_bracket", "right_square_bracket", "f1", "question_mark", "1", "2", "3", "c", "delete", "left_parenthesis", "ctrl+d"),
)
SIZES = ((80, 24), (120, 40), (60, 20), (40, 10), (200, 60))


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_keys_break_nothing(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    async with studio(tmp_path / "pool.db", lambda _m, _o: ScriptedEngine(delay_s=0.0005), size=(100, 30)) as driven:
        for number in range(400):
            # Not `pilot.press`: it waits for an idle process, and a fist on the keyboard does not.
            driven.app.simulate_key(rng.choice(KEYS))
            await asyncio.sleep(0.002)
            if number % 80 == 79:
                await driven.pilot.resize_terminal(*rng.choice(SIZES))
            assert driven.app.is_running and driven.app._exception is None
        while len(driven.app.screen_stack) > 1:
            driven.app.pop_screen()
            await driven.pilot.pause()
        driven.screen.action_stop()
        await driven.idle()
    assert_sound(tmp_path / "pool.db")
