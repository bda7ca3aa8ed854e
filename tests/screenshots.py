"""Make the README's pictures: a real run with the bundled model, seen in the studio.

    python tests/screenshots.py [FOLDER]

writes `studio.svg`, `pool.svg` and `insight.svg`, 120 columns by 40 lines, into FOLDER, `tests/screenshots` by default. It takes minutes.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.app import App
from textual.pilot import Pilot

from studio.engine.opening import open_engine
from studio.launch import RunRequest
from studio.loop.runs import Configuration, RunOptions
from studio.tui.app import StudioApp
from studio.tui.round.decisions import DecisionTable
from studio.tui.runner import RunnerState

SIZE = (120, 40)
ROUNDS = 4
SMALL_ROUNDS = {"requests_per_round": 2, "sampling.input_first.max_tokens": 128, "sampling.output_first.max_tokens": 128}
FOLDER = Path(__file__).parent / "screenshots"


def main() -> None:
    """Play some rounds and take the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        # Neither the list of recent pools nor a cache of whoever runs this is touched, and no path of theirs is shown.
        os.environ |= {"HOME": home, "XDG_STATE_HOME": home, "STUDIO_PREFIX_CACHE": "off"}
        asyncio.run(take(Path(home) / "pool.db", folder))


async def take(pool: Path, folder: Path) -> None:
    """Run the studio on a new pool and save its three screens."""
    asked = Configuration(RunOptions(seed="7"), SMALL_ROUNDS)
    app = StudioApp(RunRequest(pool, asked), asked, open_engine)
    try:
        async with app.run_test(size=SIZE) as pilot:
            await idle(app, pilot)
            for number in range(ROUNDS - 1):
                await press(app, pilot, "r")
                print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)  # noqa: T201
            await press(app, pilot, "r")
            await to_the_nearest(app, pilot)
            await save(app, pilot, folder / "studio.svg")
            await pilot.press("2")
            await until(pilot, lambda: bool(app.screen.query("TaskTable")))
            await pilot.press("end")
            await save(app, pilot, folder / "pool.svg")
            await pilot.press("3")
            await save(app, pilot, folder / "insight.svg")
    finally:
        if app.runner is not None:
            app.runner.close()


async def to_the_nearest(app: StudioApp, pilot: Pilot[None]) -> None:
    """Go to the accepted candidate of the round that is most similar to what was there: its *why* has most to show."""
    assert app.studio is not None
    table = app.studio.query_one(DecisionTable)
    table.focus()
    await pilot.press("home")
    best, place, at = -1.0, 0, 0
    while table.row is not None:
        found = table.row.candidate
        if found is not None and table.row.accepted and found.score > best:
            best, place = found.score, at
        before = table.cursor
        await pilot.press("down")
        at += 1
        if table.cursor == before:
            break
    await pilot.press("home", *["down"] * place)


async def press(app: StudioApp, pilot: Pilot[None], key: str) -> None:
    """Press a key and wait until nothing plays."""
    await pilot.press(key)
    await idle(app, pilot)


async def idle(app: StudioApp, pilot: Pilot[None]) -> None:
    """Wait until the model has nothing to do and the screen has taken in what it did."""
    await until(pilot, lambda: app.runner is not None and app.runner.state in (RunnerState.IDLE, RunnerState.FAILED))
    await pilot.pause(0.5)


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Wait for a condition, looking ten times a second."""
    while not condition():
        await pilot.pause(0.1)


async def save(app: App[None], pilot: Pilot[None], path: Path) -> None:
    """Save what is shown when it has come to rest, without messages."""
    app.clear_notifications()
    await pilot.pause(1.0)
    path.write_text(app.export_screenshot(simplify=True), encoding="utf-8")
    print(f"{path}: {path.stat().st_size:,} bytes", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
