"""Showing one screen in an app of its own, and waiting for what it shall say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from textual._context import active_app, visible_screen_stack
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

from studio.errors import PoolError, StudioError
from studio.loop.session import Session
from studio.loop.steering import Steering
from studio.pool.pool import Queries
from studio.pool.reviews import Sheets
from studio.tui.base import ErrorDialog
from studio.tui.runner import Runner, RunnerState, Told

T = TypeVar("T")

NASTY_LINES = (
    "[/foo] [red]not red[/] [@click=app.quit]press[/] [INST]",
    "\x1b[31mred\x1b[0m \x1b]52;c;aGFjaw==\x07 \x9b2J \x1b]0;title\x07",
    "right \u202eto left\u202c, zero\u200bwidth, tag\U000e0041, bom\ufeff, nul\x00, del\x7f",
    "emoji 👩‍👩‍👧‍👦 漢字 ภาษาไทย عربي e\u0301",
    "x" * 100_000,
    "line one\nline two\r\n\tline three\u2028four",
    "",
)
FORBIDDEN = "\x1b\x07\x9b\u202e\u200b\x00\x7f\U000e0041\ufeff\u2028"
"""Characters that must not reach a terminal from a text of somebody else."""


class AtOnce(Runner):
    """Does what is asked before it returns, as a runner does it between stages; in another `state` than idle it does nothing."""

    def __init__(self, session: Session, state: RunnerState = RunnerState.IDLE) -> None:
        self.session = session
        self._state = state

    def turn_to(self, state: RunnerState) -> None:
        self._state = state

    def call(self, function: Callable[[Session, Queries], T], then: Callable[[T], None], failed: Told | None = None) -> bool:
        if self.state is not RunnerState.IDLE:
            return False
        try:
            value = function(self.session, self.session.steering.reader)
        except StudioError as error:
            if failed is None:
                raise
            failed(error)
        else:
            then(value)
        return True

    def steer(self, function: Callable[[Steering], T], then: Callable[[T], None], failed: Told | None = None) -> bool:
        return self.call(lambda session, _: function(session.steering), then, failed)

    def cancel(self) -> bool:
        return False


class Host(App[object]):
    """Shows one screen."""

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        self.shown = screen
        self.copied = ""

    def on_mount(self) -> None:
        self.push_screen(self.shown)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied = text


HANG_S = 600.0
"""A state that has not come by then is taken never to come; no test asks how fast it does."""
_MOST_DRAWN = 200


async def quiet(_min_sleep: float = 0, _max_sleep: float = 0) -> None:
    """Wait until the app has nothing to do before a timer, a thread or a key: no callback is due and nothing is to be drawn.

    Stands in for Textual's `wait_for_idle`, which takes a process for idle that used little of the CPU during the last 20 ms: with a
    thread at work beside it that takes a second a key, and on a busy machine it is wrong.
    """
    ready: Any = asyncio.get_running_loop()
    app = active_app.get()
    drawn = 0
    # In a window of one cell Textual can lay out a view with scrollbars anew at every tick, for ever.
    while drawn < _MOST_DRAWN:
        await asyncio.sleep(0)
        if ready._ready:
            continue
        # A screen draws at its next tick, 60 of which make a second.
        if not app._screen_stack or not app.screen._update_timer._active.is_set():
            return
        app.screen._on_timer_update()
        drawn += 1


async def burst(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys within one turn of the event loop, as a terminal sends those that were pressed while the studio was busy."""
    for key in keys:
        pilot.app.simulate_key(key)
    await pilot.pause()


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    """Let the app go on until `condition` holds and what came with it is drawn."""
    latest = time.monotonic() + HANG_S
    while not condition():
        if time.monotonic() > latest:
            raise AssertionError(f"this never came: {condition}\n{seen(pilot.app)}")
        await asyncio.sleep(0.004)
        pilot.app.screen._on_timer_update()
    await pilot.pause()


def fill_disk(monkeypatch: pytest.MonkeyPatch, sheets: type[Sheets[Any]]) -> None:
    """Let nothing be stored in `sheets` any more."""

    def full(*_: object) -> None:
        raise PoolError("pool: the disk is full", "free some space")

    monkeypatch.setattr(sheets, "put", full)


async def press_on_a_full_disk(pilot: Pilot[Any], monkeypatch: pytest.MonkeyPatch, sheets: type[Sheets[Any]], key: str) -> None:
    """Press a key of a study while nothing can be stored in `sheets`, and read and close what is said of it."""
    with monkeypatch.context() as patched:
        fill_disk(patched, sheets)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(pilot.app.screen, ErrorDialog))
        assert "the disk is full" in seen(pilot.app)
        await pilot.press("escape")


def seen(app: App[Any]) -> str:
    """All characters on the screen, line by line."""
    # As the app itself does: a dialog drawn without it would keep an empty background.
    visible_screen_stack.set(app._background_screens)
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


@contextmanager
def layouts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """Count how often the screen is laid out."""
    counted: list[None] = []
    lay_out = Screen._refresh_layout

    def count(self: Screen[object], *given: object, **named: object) -> None:
        counted.append(None)
        lay_out(self, *given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Screen, "_refresh_layout", count)
        yield counted


def assert_harmless(app: App[Any]) -> None:
    """Assert that nothing on the screen acts on a terminal."""
    shown = seen(app)
    assert not [hex(ord(character)) for character in FORBIDDEN if character in shown]
