"""Keys mashed at random on the pool screen, the insight screen and the export dialog: they stay up, and the pool stays sound."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from textual.app import App
from textual.screen import Screen

from studio.loop.session import Goal
from studio.pool.store import Pool
from studio.records import Instance, Origin, SeedTask
from studio.tui.export_dialog import ExportDialog
from studio.tui.insight_screen import InsightScreen
from studio.tui.pool_screen import PoolScreen
from support.pools import assert_sound
from support.screens import NASTY_LINES, Host, assert_harmless
from support.sessions import configuration, play

PRESSES = 120
KEYS = (
    *"jkgGlofOyw/*h",
    *("up", "down", "left", "right", "pageup", "pagedown", "home", "end", "enter", "escape", "tab", "shift+tab", "space", "backspace"),
    *("ctrl+u", "ctrl+d", "slash", "asterisk", "x", "5", "minus", "full_stop", "left_square_bracket"),
)
SIZES = ((120, 40), (80, 24), (60, 20), (10, 3), (200, 60))


def hostile(path: Path) -> Path:
    seeds = [SeedTask("", text, text or "An empty one.", (Instance(text, text),), place % 2 == 0) for place, text in enumerate(NASTY_LINES)]
    Pool.create(path, [*seeds, *seeds]).close()
    play(path, Goal(rounds=2), asked=configuration(threshold=0.4))
    return path


@pytest.mark.parametrize("name", ["pool", "insight", "export"])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.slow
async def test_mashing_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, seed: int) -> None:
    # A path may be typed, too.
    monkeypatch.chdir(tmp_path)
    path = hostile(tmp_path / "pool.db")
    screens: dict[str, Screen[object]] = {
        "pool": PoolScreen(path, typing_s=0, follow_s=0.05),  # type: ignore[dict-item]
        "insight": InsightScreen(path, follow_s=0.05),  # type: ignore[dict-item]
        "export": ExportDialog(path),  # type: ignore[dict-item]
    }
    chance = random.Random(seed)
    app: App[object] = Host(screens[name])
    async with app.run_test(size=SIZES[0]) as pilot:
        for count in range(PRESSES):
            await pilot.press(chance.choice(KEYS))
            if count % 30 == 0:
                await pilot.resize_terminal(*chance.choice(SIZES))
                assert_harmless(app)
            if count == PRESSES // 2:
                with Pool.open(path) as pool:
                    pool.add_tasks([SeedTask("", "", "One more.", (Instance("", "x"),), False)], Origin.IMPORTED)
        assert app.is_running
        assert app._exception is None
    assert_sound(path)
