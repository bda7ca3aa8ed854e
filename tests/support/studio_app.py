"""The terminal studio under Pilot: a scripted engine that may be held, a wait for states, and the text on the screen."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.pilot import Pilot

from studio.engine.api import CancelToken, Engine, EngineEvent, EngineInfo, Request
from studio.engine.opening import Opener
from studio.engine.options import EngineOptions
from studio.engine.scripted import ScriptedEngine
from studio.launch import RunRequest
from studio.loop.runs import Configuration
from studio.tui.app import StudioApp
from studio.tui.round.screen import StudioScreen
from studio.tui.round.why import Why
from studio.tui.runner import Answered, RunnerState
from studio.tui.widgets.frame import KeyBar
from support.screens import HANG_S, seen, until
from support.sessions import configuration

SIZES = ((80, 24), pytest.param((120, 40), marks=pytest.mark.slow))
"""The size in which things have least room, and the one in which they are at home: in the usual run, the snapshots have the latter."""


def scripted(_model: str = "", _options: EngineOptions | None = None) -> Engine:
    """Open the scripted engine, whatever model is named."""
    return ScriptedEngine()


def chatting(_model: str = "", _options: EngineOptions | None = None) -> Engine:
    """Open a scripted engine that wants to be asked in chat."""
    return ScriptedEngine(chats=True)


class HeldEngine:
    """A scripted engine that waits after each event until it is let go on, so that a test can act in the middle of a completion."""

    def __init__(self, free_events: int = 12, engine: Engine | None = None) -> None:
        self._engine = engine or ScriptedEngine()
        self._free = free_events
        self.reached = threading.Event()
        self.go_on = threading.Event()

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        """Give a few events, then wait for `go_on` or the cancellation."""
        for number, event in enumerate(self._engine.stream(requests, cancel)):
            if number == self._free:
                self.reached.set()
                while not self.go_on.is_set() and not cancel.cancelled:
                    self.go_on.wait(0.01)
            yield event

    def close(self) -> None:
        self._engine.close()


@dataclass
class Driven:
    """A running studio."""

    app: StudioApp
    pilot: Pilot[None]

    @property
    def screen(self) -> StudioScreen:
        assert self.app.studio is not None
        return self.app.studio

    @property
    def state(self) -> RunnerState:
        assert self.app.runner is not None
        return self.app.runner.state

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the app work until `condition` holds."""
        await until(self.pilot, condition)

    async def idle(self) -> None:
        """Wait until nothing plays, all that was asked of the runner is done, and the screen has taken in what happened."""
        runner = self.app.runner
        assert runner is not None
        await self.until(lambda: runner.state is RunnerState.IDLE and not runner._notices)
        done: list[None] = []
        # Behind whatever is still in the queue: an action between stages does not change the runner's state.
        runner._work.put(lambda: runner._tell(Answered(done.append, None)))
        await self.until(lambda: bool(done) and runner.state is RunnerState.IDLE and not runner._notices and not self._timed())
        # The pane that explains a candidate asks the pool for itself.
        await self.until(lambda: all(worker.is_finished for worker in self.app.workers if isinstance(worker.node, Why)))

    async def settled(self) -> None:
        """Wait for a picture that stays: nothing works in the background, and what is to be done after a while is done.

        Before a dialog is opened too, for what lies below it keeps the layout that it had then.
        """
        await self.until(lambda: all(worker.is_finished for worker in self.app.workers) and not self._timed())

    def _timed(self) -> bool:
        """Whether something is to be done after a while: what waits for more keys, or for more to be shown at once."""
        timers = [timer for part in self.app.screen.walk_children(with_self=True) for timer in part._timers if timer._repeat == 0]
        return any(timer._task is not None and not timer._task.done() for timer in timers)

    async def press(self, *keys: str) -> None:
        """Press keys, and wait after each for the runner to come to rest."""
        for key in keys:
            await self.pilot.press(key)
            await self.idle()


@asynccontextmanager
async def studio(
    path: Path,
    opener: Opener = scripted,
    asked: Configuration | None = None,
    size: tuple[int, int] = (120, 40),
    *,
    ready: bool = True,
) -> AsyncIterator[Driven]:
    """Run the app on the pool at `path`, closed properly at the end."""
    asked = asked or configuration()
    app = StudioApp(RunRequest(path, asked), asked, opener)
    try:
        async with app.run_test(size=size) as pilot:
            driven = Driven(app, pilot)
            if ready:
                await driven.until(lambda: app.runner is not None)
                await driven.idle()
            yield driven
    finally:
        if app.runner is not None:
            assert app.runner.close(HANG_S)


def screen_text(app: StudioApp) -> str:
    """What stands on the terminal, line by line."""
    return seen(app)


def footer_keys(app: StudioApp) -> list[str]:
    """The descriptions in the footer, as far as they are enabled or greyed."""
    return [key.word for bar in app.screen.query(KeyBar) for key in bar.shown]
